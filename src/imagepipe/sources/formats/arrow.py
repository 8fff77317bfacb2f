"""Columns that are Arrow's already: types are kept, and text is checked."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pyarrow as pa

from imagepipe.sources.formats.base import (
    ADDED,
    OUT_OF_BYTES,
    OUT_OF_UUID,
    Format,
    Rows,
    as_bytes,
    as_bytes_type,
    as_text,
    packed,
    plain,
)
from imagepipe.sources.unreadable import Unreadable


@dataclass(frozen=True)
class ArrowFormat(Format):
    """Columns keep their types; dictionaries are resolved. Used ones of bytes, UUIDs and JSON are
    text.
    """

    def decode(self, raw: pa.Table, schema: pa.Schema) -> Rows:
        rows, columns = Rows(raw), []
        there = set(raw.column_names)
        for field in schema:
            if field.name not in there:
                columns.append(pa.nulls(raw.num_rows, field.type))
                continue
            column = raw[field.name]
            if column.type == pa.uuid() and pa.types.is_string(field.type):
                column = pa.array([_uuid_text(cell) for cell in column.to_pylist()], pa.string())
            elif column.type != field.type and _said_by(column.type) == field.type:
                column = column.cast(field.type)
            elif pa.types.is_string(field.type):  # Parquet's readers do not check text
                column = as_text(as_bytes(column), field.name, rows)
            elif pa.types.is_nested(field.type):
                column = _sound(column, field.name, rows)
            columns.append(_cast(column, field))
        rows.table = pa.table(columns, schema=schema)
        return rows


def kept(columns: Iterable[pa.Field], used: Collection[str]) -> pa.Schema:
    """The columns as they come out: plain, those of bytes that are `used` as text."""
    own = [column for column in columns if column.name in used or not _is_added(column)]
    return pa.schema([_as_text(c) if c.name in used else c for c in plain(own)])


def _is_added(column: pa.Field) -> bool:
    return ADDED.items() <= (column.metadata or {}).items()


def _as_text(column: pa.Field) -> pa.Field:
    """A column of bytes that is used is one of text: rejected rows that are fed in hold such. One
    of UUIDs is their text, too, as databases show it; JSON is its text, and true is true.
    """
    if column.type == pa.uuid():
        return pa.field(column.name, pa.string(), metadata=OUT_OF_UUID)
    if said := _said_by(column.type):
        return pa.field(column.name, said)  # readers cast to it
    if not pa.types.is_binary(column.type):
        return column
    return pa.field(column.name, pa.string(), metadata=OUT_OF_BYTES)


def _said_by(kind: pa.DataType) -> pa.DataType | None:
    """The type of what a column of Arrow's own types for JSON and for true or false says."""
    name = getattr(kind, "extension_name", "")
    return {"arrow.json": pa.string(), "arrow.bool8": pa.bool_()}.get(name)


def _uuid_text(cell: UUID | None) -> str | None:
    return None if cell is None else str(cell)


def _sound(column: pa.ChunkedArray, name: str, rows: Rows) -> pa.ChunkedArray:
    """`column` of lists and the like; U+FFFD stands in them for what is not UTF-8."""
    try:
        column.validate(full=True)
        return column
    except pa.ArrowInvalid:
        # Taken out, as what is nested deeper in a cell is else checked in all cells of its chunk.
        cells = [chunk.take([row]) for chunk in column.chunks for row in range(len(chunk))]
    for row, cell in enumerate(cells):
        if problem := _problem(cell[0]):
            cells[row], original = _mended(cell)
            rows.spoil(name, row, f"is not valid: {problem}", original)
    return pa.chunked_array(cells, column.type)


def _mended(cell: pa.Array) -> tuple[pa.Array, bytes | None]:
    """A cell with U+FFFD for what is not UTF-8, and what it was, `packed`. Null if its type
    cannot be told as bytes.
    """
    try:
        value = cell.cast(as_bytes_type(cell.type)).to_pylist()
        return pa.array(_decoded(value), cell.type), packed(value[0])
    except (pa.ArrowException, ValueError):
        return pa.nulls(1, cell.type), None


def _decoded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _decoded(cell) for name, cell in value.items()}
    if isinstance(value, list):
        return [_decoded(cell) for cell in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _problem(cell: pa.Scalar) -> str | None:
    try:
        cell.validate(full=True)
    except pa.ArrowInvalid as error:
        return str(error)
    return None


def _cast(column: pa.ChunkedArray | pa.Array, field: pa.Field) -> pa.ChunkedArray | pa.Array:
    """`column` in the type that it has in all files together. Ray's reader casts the same way."""
    if column.type == field.type:
        return column
    try:
        return column.cast(field.type)
    except pa.ArrowException as error:
        raise Unreadable(
            f"holds values in column {field.name!r} that do not fit {field.type}, which is its "
            f"type in all files together: {error}",
            "Give the column one type in all files.",
        ) from error
