"""Sums of a run's scores by category, from its table."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from imagepipe.prompts.cells import cell_texts
from imagepipe.sink.ledger import Scores
from imagepipe.sink.parts import written_parts
from imagepipe.store import Store

Groups = dict[str, dict[str, Scores]]
WHOLE, NO_CATEGORY = "", "none"  # all rows; those whose cell is empty


def grouped(store: Store, id: str, category: str | None, columns: Mapping[str, str]) -> Groups:
    """{category: {score: running figures of its rows}}, and those of all rows as WHOLE.

    `columns` are the scores' columns by name. The score of a row is the mean of its pictures',
    which are in one part of the table; rows without a score are left out. Reads one part at a time.
    """
    found: Groups = {WHOLE: {}}
    for part in written_parts(store):
        file = pq.ParquetFile(store.open(part))
        here = {
            name: column for name, column in columns.items() if column in file.schema_arrow.names
        }
        wanted = dict.fromkeys([id, *([category] if category else []), *here.values()])
        for name, column in here.items():
            _add(found, name, _means(file.read(columns=[*wanted]), id, category, column))
    return found


def _means(rows: pa.Table, id: str, category: str | None, column: str) -> pa.Table:
    """A row for each id: its `category` as text, and the mean of `column`."""
    texts = pa.nulls(len(rows), pa.string()) if category is None else cell_texts(rows[category])
    known = pa.table({"id": rows[id], "category": texts, "score": rows[column]})
    known = known.filter(known["score"].is_valid())
    return known.group_by(["id", "category"]).aggregate([("score", "mean")])


def _add(found: Groups, name: str, means: pa.Table) -> None:
    scores = means["score_mean"].to_pylist()
    found[WHOLE].setdefault(name, Scores()).add(scores)
    by: dict[str, list[float]] = {}
    for category, score in zip(means["category"].to_pylist(), scores, strict=True):
        by.setdefault(category or NO_CATEGORY, []).append(score)
    for category, part in by.items():
        found.setdefault(category, {}).setdefault(name, Scores()).add(part)
