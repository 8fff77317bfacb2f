"""Join keys and ids as text, compared by value: a CSV's `100`, 100 and 100.0 are the same key."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

import pyarrow as pa
import pyarrow.compute as pc

from imagepipe.prompts.cells import cell_texts

NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")  # as in JSON: 007 is none


def keys_of(table: pa.Table, names: Sequence[str], like: Sequence[pa.DataType] = ()) -> pa.Array:
    """One text a row for the columns `names`; null if one of them is null or blank.

    Several columns are joined as length:text, so that ("a", "bc") and ("ab", "c") differ. `like`
    are the types that they are compared with: text beside numbers, dates or true and false is
    taken for such where it is one.
    """
    others = like or [pa.string()] * len(names)
    texts = [_texts(table[name], other) for name, other in zip(names, others, strict=True)]
    if len(texts) == 1:
        return texts[0]
    parts = []
    for text in texts:
        parts += [pc.utf8_length(text).cast(pa.string()), ":", text]
    return pc.binary_join_element_wise(*parts, "")


def _texts(column: pa.ChunkedArray, other: pa.DataType) -> pa.Array:
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.tz:
        column = column.cast(pa.timestamp(kind.unit, "UTC"))
        if pa.types.is_date(other):  # which is midnight, as others write it: in UTC
            column = column.cast(pa.timestamp(kind.unit))
    if pa.types.is_binary(kind):  # as rejected rows may hold
        return _texts(pa.chunked_array([_decoded(column)]), other)
    texts = cell_texts(column)
    if pa.types.is_decimal(kind):
        texts = pc.replace_substring_regex(texts, r"(\.\d*?)0+$", r"\1")
        texts = pc.replace_substring_regex(texts, r"\.$", "")
    if pa.types.is_string(kind) or pa.types.is_dictionary(kind):
        texts = _as_values(texts, other)
    blank = pc.equal(pc.utf8_trim_whitespace(texts), "")
    return pc.if_else(blank, pa.scalar(None, pa.string()), texts)


def _decoded(column: pa.ChunkedArray) -> pa.Array:
    cells = column.to_pylist()
    return pa.array([c if c is None else c.decode("utf-8", "replace") for c in cells], pa.string())


def _as_values(texts: pa.Array, other: pa.DataType) -> pa.Array:
    """Texts as the values of type `other` that they say, where they say one."""
    if pa.types.is_boolean(other):
        lower = pc.utf8_lower(texts)
        says = pc.is_in(lower, value_set=pa.array(["true", "false"]))
        return pc.if_else(says, lower, texts)
    if pa.types.is_integer(other) or pa.types.is_floating(other) or pa.types.is_decimal(other):
        plain = pc.match_substring_regex(texts, r"^(0|-?[1-9]\d*)$")
        convert: Callable[[str | None, pa.DataType], str | None] = _number
    elif pa.types.is_temporal(other):
        plain = pc.match_substring_regex(texts, r"^\d{4}-\d\d-\d\d$")
        convert = _moment
    else:
        return texts
    if pc.all(plain).as_py() is not False:
        return texts
    return pa.array([convert(text, other) for text in texts.to_pylist()], pa.string())


def _number(text: str | None, other: pa.DataType) -> str | None:
    if text and NUMBER.fullmatch(text):
        with suppress(InvalidOperation):
            number = Decimal(text)
            if number == number.to_integral_value() and number.adjusted() < 19:
                return str(int(number))
            kind = other if pa.types.is_floating(other) else pa.float64()
            return cell_texts(pa.array([float(number)], kind))[0].as_py()
    return text


def _moment(text: str | None, other: pa.DataType) -> str | None:
    if text and len(text) > len("2024-01-31"):
        with suppress(ValueError):
            moment = datetime.fromisoformat(text)
            said = moment if moment.tzinfo is None else moment.astimezone(UTC)
            naive = pa.array([said.replace(tzinfo=None)], pa.timestamp("us"))
            is_instant = moment.tzinfo is not None and not pa.types.is_date(other)
            whole = pa.array([said], pa.timestamp("us", "UTC")) if is_instant else naive
            return cell_texts(whole)[0].as_py()
    return text
