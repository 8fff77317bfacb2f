"""Cells as text for a prompt: the shortest text that stands for the value."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Below these every whole number is a value of the type: 2 to the power of the bits of its fraction.
EXACT = {pa.float16(): 2**11, pa.float32(): 2**24, pa.float64(): 2**63}
DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}  # of a second's fraction, by the unit of a duration


def is_blank(cell: Any) -> bool:
    """Whether a cell holds nothing: a null, NaN as pandas has it, or no sign but spaces."""
    if isinstance(cell, float):
        return math.isnan(cell)
    return cell is None or (isinstance(cell, str) and not cell.strip())


def cell_texts(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """One text for each cell, null if it is null or NaN: 4.1 of 32 bits is "4.1", 3.0 is "3".

    Midnight of a timestamp is its day, and fractions of a second have no zeros at their end. A
    duration has days and hours, whatever its unit.
    Raises pa.ArrowNotImplementedError for a type that has no text.
    """
    cells = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    kind = cells.type
    if kind in EXACT:
        return _numbers(cells)
    if pa.types.is_duration(kind):
        spans = cells.cast(pa.int64()).to_pylist()
        digits = DIGITS[kind.unit]
        return pa.array([_span(span, digits) for span in spans], pa.string())
    texts = cells.cast(pa.string())
    if pa.types.is_decimal(kind):
        exponent = pc.any(pc.match_substring(texts, "E")).as_py()  # of very small ones, and E+2
        return pa.array(map(_plain, texts.to_pylist()), pa.string()) if exponent else texts
    if pa.types.is_timestamp(kind):
        texts = pc.replace_substring_regex(_without_zeros(texts), " 00:00:00$", "")
    return _without_zeros(texts) if pa.types.is_time(kind) else texts


def _span(units: int | None, digits: int) -> str | None:
    """A duration in units of 10**-digits seconds as `2 days, 3:04:05.5`, to its last digit."""
    if units is None:
        return None
    seconds, part = divmod(abs(units), 10**digits)
    days, seconds = divmod(seconds, 86_400)
    fraction = f".{part:0{digits}d}".rstrip("0") if part else ""
    clock = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}{fraction}"
    whole = f"{days} day{'' if days == 1 else 's'}, {clock}" if days else clock
    return f"-{whole}" if units < 0 else whole


def without_numbers(ids: pa.Array, count: int) -> pa.Array:
    """Ids as the table has them, of rows with `count` numbers behind: `7-r0-j1` with 2 is `7`."""
    return pc.replace_substring_regex(ids, rf"(-[a-z]\d+){{{count}}}$", "") if count else ids


def _numbers(cells: pa.Array) -> pa.Array:
    """Whole numbers without a fraction and without an exponent, where they have below 19 digits."""
    wide = cells.cast(pa.float64())
    whole = pc.and_(pc.equal(wide, pc.trunc(wide)), pc.less(pc.abs(wide), float(EXACT[cells.type])))
    numbers = pc.if_else(whole, wide, None).cast(pa.int64()).cast(pa.string())
    if cells.type == pa.float16():  # Arrow writes as many digits as 64 bits need
        values = cells.to_numpy(zero_copy_only=False)
        shortest = pa.array([str(value) for value in values], pa.string(), mask=_nulls(cells))
    else:
        shortest = cells.cast(pa.string())
    long = pc.fill_null(pc.match_substring(shortest, "e+"), False)
    if pc.any(pc.and_(long, pc.invert(pc.fill_null(whole, False)))).as_py():
        shortest = pa.array(map(_expanded, shortest.to_pylist()), pa.string())
    return pc.if_else(pc.is_nan(wide), None, pc.coalesce(numbers, shortest))


def _nulls(cells: pa.Array) -> np.ndarray:
    return cells.is_null().to_numpy(zero_copy_only=False)


def _expanded(text: str | None) -> str | None:
    """1.5e+10 of 32 bits as 15000000000; 1e+30 stays."""
    return f"{Decimal(text):f}" if text and "e+" in text and Decimal(text) < 2**63 else text


def _plain(text: str | None) -> str | None:
    """1.20E-7 as 0.000000120: a decimal keeps the digits of its type."""
    return text and f"{Decimal(text):f}"


def _without_zeros(texts: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(
        texts, r"(:\d\d)(?:\.0+|(\.\d*[1-9])0+)(Z|[+-]\d{4})?$", r"\1\2\3"
    )
