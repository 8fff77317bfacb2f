"""Join keys and ids as text, compared by value: a CSV's `100`, 100 and 100.0 are the same key."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

import pyarrow as pa
import pyarrow.compute as pc

from imagepipe.prompts.cells import cell_texts

NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")  # as in JSON: 007 is none
WHOLE, DAY = r"^(0|-?[1-9]\d*)$", r"^\d{4}-\d\d-\d\d$"
LONGEST = 76  # digits of Arrow's longest decimals
NANOS = re.compile(r"(?<=\.\d{6})\d{1,3}")  # of a second, which Python's own moments do not have


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
    if pa.types.is_floating(kind):
        texts = _in_full(texts)
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
    if pa.types.is_time(other):
        return _clock(texts)
    if pa.types.is_integer(other) or pa.types.is_floating(other) or pa.types.is_decimal(other):
        plain, convert = WHOLE, _number
    elif pa.types.is_temporal(other):
        plain, convert = DAY, _moment
    else:
        return texts
    if pc.all(pc.match_substring_regex(texts, plain)).as_py() is not False:
        return texts
    return pa.array([convert(text, other) for text in texts.to_pylist()], pa.string())


def _in_full(texts: pa.Array) -> pa.Array:
    """9.223372036854776e+18 as the whole number that a double so written is, up to 64 bits."""
    if not pc.any(pc.match_substring(texts, "e+")).as_py():
        return texts
    return pa.array(map(_whole, texts.to_pylist()), pa.string())


def _whole(text: str | None) -> str | None:
    large = text and "e+" in text and abs(float(text)) < 2**64
    return str(int(float(text))) if text and large else text


def _number(text: str | None, other: pa.DataType) -> str | None:
    if not text or re.match(WHOLE, text) or not NUMBER.fullmatch(text):
        return text
    is_float = pa.types.is_floating(other)
    with suppress(InvalidOperation):  # an exponent of twenty digits
        number = Decimal(text)
        if not is_float and number.adjusted() < LONGEST and number == number.to_integral_value():
            return str(int(number))
    cells = cell_texts(pa.array([float(text)], other if is_float else pa.float64()))
    found: str = _in_full(cells)[0].as_py()
    return text if "inf" in found else found


def _clock(texts: pa.Array) -> pa.Array:
    """6:00 and 06:00:00.0 as 06:00:00, which is how `cell_texts` has a time."""
    padded = pc.replace_substring_regex(texts, r"^(\d:\d\d(:\d\d(\.\d+)?)?)$", r"0\1")
    whole = pc.replace_substring_regex(padded, r"^(\d\d:\d\d)$", r"\1:00")
    return pc.replace_substring_regex(whole, r"^(\d\d:\d\d:\d\d)(?:\.0+|(\.\d*[1-9])0+)$", r"\1\2")


def _moment(text: str | None, other: pa.DataType) -> str | None:
    if text and len(text) > len("2024-01-31"):
        with suppress(ValueError):
            moment = datetime.fromisoformat(text)
            said = moment if moment.tzinfo is None else moment.astimezone(UTC)
            cells = pa.array([said.replace(tzinfo=None)], pa.timestamp("us"))
            if nanos := NANOS.search(text):
                more = pa.scalar(int(nanos[0].ljust(3, "0")), pa.duration("ns"))
                cells = pc.add(cells.cast(pa.timestamp("ns")), more)
            if moment.tzinfo is not None and not pa.types.is_date(other):
                cells = cells.cast(pa.timestamp(cells.type.unit, "UTC"))
            return cell_texts(cells)[0].as_py()
    return text
