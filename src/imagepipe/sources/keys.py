"""Join keys and ids as text, so that a CSV's `100` and a Parquet file's 100 are the same key."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc


def keys_of(table: pa.Table, names: Sequence[str]) -> pa.Array:
    """One text a row for the columns `names`; null where one of them is null or blank.

    Several columns are joined as length:text, so that ("a", "bc") and ("ab", "c") differ.
    """
    texts = [_texts(table[name]) for name in names]
    if len(texts) == 1:
        return texts[0]
    parts = []
    for text in texts:
        parts += [pc.utf8_length(text).cast(pa.string()), ":", text]
    return pc.binary_join_element_wise(*parts, "")


def _texts(column: pa.ChunkedArray) -> pa.Array:
    texts = column.cast(pa.string()).combine_chunks()
    blank = pc.equal(pc.utf8_trim_whitespace(texts), "")
    return pc.if_else(blank, pa.scalar(None, pa.string()), texts)
