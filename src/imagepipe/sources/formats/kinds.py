"""The kinds of values in a column, and the one type of all its cells, if there is one.

Values are Python's: those of JSON, and of a database.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from imagepipe.sources.formats.base import AS_JSON, AS_TEXT

NOTHING, NUMBER, TEXT = "nothing", "a number", "text"
KINDS = {
    type(None): NOTHING,
    bool: "true or false",
    int: NUMBER,
    float: NUMBER,
    str: TEXT,
    list: "a list",
    dict: "an object",
}
NO_VALUE = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError)
MOST_LEAVES = 64  # of objects: with more, or ever new ones, a table of them is mostly nulls
AT_ONCE = 1000  # cells whose types are told at once: few enough that ever new keys cost little
EXACT = 2**53  # whole numbers up to here are values of a double


def kind_of(kind: type) -> str:
    """What a value of the class `kind` is, in words."""
    return KINDS.get(kind, f"a {kind.__name__}")


@dataclass
class Column:
    """What the cells of one column are, seen in parts."""

    kinds: set[str] = field(default_factory=set)
    type: pa.DataType = field(default_factory=pa.null)
    large: bool = False  # whole numbers that are no double
    one_type: bool = True

    def see(self, values: Sequence[Any]) -> None:
        """Take in some cells."""
        self.kinds |= set(map(kind_of, set(map(type, values)))) - {NOTHING}
        self.one_type &= len(self.kinds) < 2
        for start in range(0, len(values), AT_ONCE):
            if not self.one_type:
                return
            self._see(values[start : start + AT_ONCE])

    def _see(self, values: Sequence[Any]) -> None:
        try:
            cells = pa.array(values)
            fields = [pa.schema([("", kind)]) for kind in (self.type, cells.type)]
            self.type = pa.unify_schemas(fields, promote_options="permissive").field(0).type
        except NO_VALUE:
            self.one_type = False
            return
        leaves = list(_leaves(self.type))
        self.large = self.large or any(map(_is_large, _leaf_arrays(cells)))
        self.one_type = len(leaves) <= MOST_LEAVES and not (self.large and pa.float64() in leaves)

    def field(self, name: str, used: bool) -> pa.Field:
        """The column as it is kept: of one type, or as text where `used`, else as JSON text."""
        objects = any(pa.types.is_null(leaf) for leaf in _leaves(self.type))
        if self.one_type and not (objects and pa.types.is_nested(self.type)):
            return pa.field(name, self.type)
        if used and self.kinds <= {"a list", "an object"}:  # refused as what they are
            return pa.field(name, pa.list_(pa.null()) if "a list" in self.kinds else pa.struct([]))
        return pa.field(name, pa.string(), metadata=AS_TEXT if used else AS_JSON)


def _leaves(kind: pa.DataType) -> Iterator[pa.DataType]:
    """The types of the values inside `kind`; null for an object without any."""
    if pa.types.is_struct(kind):
        if kind.num_fields == 0:
            yield pa.null()
        for place in range(kind.num_fields):
            yield from _leaves(kind.field(place).type)
    elif pa.types.is_list(kind):
        yield from _leaves(kind.value_type)
    else:
        yield kind


def _leaf_arrays(cells: pa.Array) -> Iterator[pa.Array]:
    if pa.types.is_struct(cells.type):
        for part in cells.flatten():
            yield from _leaf_arrays(part)
    elif pa.types.is_list(cells.type):
        yield from _leaf_arrays(cells.flatten())
    else:
        yield cells


def _is_large(cells: pa.Array) -> bool:
    if not pa.types.is_integer(cells.type):
        return False
    ends = pc.min_max(cells).as_py()
    return ends["min"] is not None and (ends["min"] < -EXACT or ends["max"] > EXACT)


def cell_text(value: Any) -> str | None:
    """A cell as text: texts as they stand, other values as JSON, whole numbers without a point."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return str(int(value))
    if isinstance(value, float) and math.isinf(value):
        return str(value)  # as in a column of numbers
    return json_text(value)


def json_text(value: Any) -> str | None:
    """A cell as JSON text, in which NaN is null; null for a cell that holds nothing else."""
    try:
        said = json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)
    except ValueError:
        said = json.dumps(_without_nan(value), ensure_ascii=False, default=str)
    return None if said == "null" else said


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(cell) for name, cell in value.items()}
    if isinstance(value, list):
        return [_without_nan(cell) for cell in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
