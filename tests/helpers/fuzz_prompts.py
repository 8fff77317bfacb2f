"""What is drawn of a cell, told apart from the package's own formatter: by the value alone.

docs/how/data.md says it: text as it stands, else the shortest text that comes back as the value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import time
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pyarrow as pa

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
LOST = "\ufffd"
WIDTHS = {pa.float16(): np.float16, pa.float32(): np.float32}
MOST_PLAIN = 2**63  # a number below it has no exponent


def is_drawn(cell: pa.Scalar | Any, prompt: str | None) -> bool:
    """Whether `prompt` is what a template of nothing but the cell's column draws of it; null where
    the row fails.
    """
    kind = cell.type if isinstance(cell, pa.Scalar) else None
    if kind is not None and pa.types.is_dictionary(kind):
        cell, kind = cell.value, kind.value_type
    if kind == pa.uuid():
        return prompt == (str(cell.as_py()) if cell.is_valid else None)
    if kind in (pa.json_(), pa.bool8()):
        kind = pa.string() if kind == pa.json_() else pa.bool_()
        cell = pa.scalar(cell.as_py(), kind)
    for says in (_temporal, _number, _text):
        told = says(cell, kind, prompt)
        if told is not None:
            return told
    raise AssertionError(f"no such cell: {cell!r} of {kind}")


def _temporal(cell: Any, kind: pa.DataType | None, prompt: str | None) -> bool | None:
    if kind is None or not pa.types.is_temporal(kind):
        return None
    if not cell.is_valid or prompt is None:
        return not cell.is_valid and prompt is None
    if pa.types.is_duration(kind):
        return pa.scalar(_units(prompt, kind.unit), pa.int64()).cast(kind).equals(cell)
    said = time.fromisoformat(prompt) if pa.types.is_time(kind) else prompt
    back = pa.scalar(said, kind) if pa.types.is_time(kind) else pa.scalar(said).cast(kind)
    if getattr(kind, "tz", None):  # before there were time zones its minutes had seconds
        same = abs((back.as_py() - cell.as_py()).total_seconds()) < 60
    else:
        same = back.equals(cell)
    return same and not re.search(r"\.\d*0$|\.$| 00:00:00$", prompt)


def _units(said: str, unit: str) -> int:
    """`-2 days, 3:04:05.5` in units such as ms."""
    found = re.fullmatch(r"(-?)(?:(\d+) days?, )?(\d+):(\d\d):(\d\d(?:\.\d*[1-9])?)", said)
    assert found, said
    sign, days, hours, minutes, seconds = found.groups()
    whole = ((int(days or 0) * 24 + int(hours)) * 60 + int(minutes)) * 60 + Decimal(seconds)
    units = whole.scaleb({"s": 0, "ms": 3, "us": 6, "ns": 9}[unit])
    assert units == int(units), said
    return int(f"{sign}{int(units)}")


def _number(cell: Any, kind: pa.DataType | None, prompt: str | None) -> bool | None:
    width: Callable[[Any], Any] = WIDTHS.get(kind, np.float64)
    value = cell.as_py() if isinstance(cell, pa.Scalar) else cell
    if isinstance(value, np.floating):
        value = float(value)
    if isinstance(value, bool):
        return prompt == ("true" if value else "false")
    if not isinstance(value, int | float | Decimal):
        return None
    if (isinstance(value, float) and math.isnan(value)) or prompt is None:
        return prompt is None and isinstance(value, float) and math.isnan(value)
    if value in (math.inf, -math.inf):
        return float(prompt) == value
    try:
        said = Decimal(prompt)
    except InvalidOperation:
        return False
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < _exact(kind)
        wanted = Decimal(int(value)) if whole else Decimal(str(width(value)))
    else:
        wanted = Decimal(value)
    digits = prompt.split("e")[0]  # a decimal keeps those of its type
    short = isinstance(value, Decimal) or "." not in digits or not digits.endswith(("0", "."))
    return said == wanted and short and not ("+" in prompt and abs(value) < MOST_PLAIN)


def _exact(kind: pa.DataType | None) -> int:
    """Below it every whole number is a value of the type."""
    return {pa.float16(): 2**11, pa.float32(): 2**24}.get(kind, MOST_PLAIN)


def _text(cell: Any, kind: pa.DataType | None, prompt: str | None) -> bool | None:
    value = cell.as_py() if isinstance(cell, pa.Scalar) else cell
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            value = None
    if value is not None and not isinstance(value, str):
        return None
    broken = value is None or not value.strip() or bool(CONTROL.search(value))
    if broken or LOST in value or any("\ud800" <= sign <= "\udfff" for sign in value):
        return prompt is None
    return prompt == value
