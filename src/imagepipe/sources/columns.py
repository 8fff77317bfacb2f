"""The columns of a table from those of its files, and which are left out and why."""

from __future__ import annotations

import io
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from imagepipe.sources.formats.base import (
    AS_JSON,
    AS_TEXT,
    KEPT,
    OUT_OF_BYTES,
    OUT_OF_UUID,
    left_out,
)
from imagepipe.sources.unreadable import Unreadable


@dataclass
class Together:
    """The columns of all files, and why some of these are left out."""

    schema: pa.Schema
    left_out: dict[str, str] = field(default_factory=dict)

    def leave_out(self, name: str, why: str) -> None:
        """Go without the column `name`."""
        self.left_out[name] = why
        if name in self.schema.names:
            self.schema = self.schema.remove(self.schema.get_field_index(name))

    def keep_as_text(self, name: str, used: Collection[str]) -> None:
        """Keep a column of several kinds as text, or as JSON text where it is not `used`."""
        place = self.schema.get_field_index(name)
        self.schema = self.schema.set(place, _as_text(name, used))


def together(schemas: Mapping[str, pa.Schema], used: Collection[str], *, as_text: bool) -> Together:
    """One schema for the files of `schemas` (of whole numbers and floats: floats, and so on).

    A column without one type is kept `as_text`, or left out. Raises Unreadable if a `used` one
    would be. That single values can be cast is not said: a whole number beyond 2**53 is no float.
    """
    found, columns = Together(pa.schema([])), []
    by_name: dict[str, dict[str, pa.Field]] = {}
    for path, schema in schemas.items():
        for one in schema:
            by_name.setdefault(one.name, {})[path] = one
    for name, fields in by_name.items():
        marks = {(one.metadata or {}).get(KEPT) for one in fields.values()}
        kept, of_uuid = marks != {None}, OUT_OF_UUID[KEPT] in marks
        if "\0" in name:  # where Arrow's look-up of a field ends
            found.left_out[name] = "has a NUL character in its name"
            continue
        # Text of UUIDs is in the files no text: Ray's reader could not cast it to the other's.
        kind = None if of_uuid and len(marks) > 1 else _common(fields)
        if as_text and (kept or kind is None):
            columns.append(_as_text(name, used))
        elif kind is not None:
            mark = OUT_OF_UUID if of_uuid else OUT_OF_BYTES if kept else None
            columns.append(pa.field(name, kind, metadata=mark))
        elif name in used:
            raise Unreadable(
                f"holds different kinds of values in column {name!r}: {_kinds(fields)}",
                "Give the column one type, for example text everywhere.",
            )
        else:
            found.left_out[name] = f"holds {_kinds(fields)}"
    found.schema = pa.schema(columns)
    for schema in schemas.values():
        for name, why in left_out(schema).items():
            found.leave_out(name, why)
    _leave_out_unwritable(found)
    return found


def _leave_out_unwritable(found: Together) -> None:
    if _can_be_written(found.schema):
        return
    for column in found.schema:
        if not _can_be_written(pa.schema([column])):
            found.leave_out(column.name, f"holds {brief(column.type)}, which cannot be written")


def _as_text(name: str, used: Collection[str]) -> pa.Field:
    return pa.field(name, pa.string(), metadata=AS_TEXT if name in used else AS_JSON)


def _common(fields: Mapping[str, pa.Field]) -> pa.DataType | None:
    """The type that all can have, text for what is null everywhere; null: there is none."""
    types = list(dict.fromkeys(one.type for one in fields.values()))
    try:
        every = [pa.schema([("", kind)]) for kind in types]
        kind = pa.unify_schemas(every, promote_options="permissive").field(0).type
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None
    return pa.string() if pa.types.is_null(kind) else kind


def _kinds(fields: Mapping[str, pa.Field]) -> str:
    """Each type once, with the first file that has it."""
    first: dict[pa.DataType, str] = {}
    for path, one in fields.items():
        first.setdefault(one.type, os.path.basename(path))
    return " and ".join(f"{brief(kind)} in {path}" for kind, path in list(first.items())[:3])


def _can_be_written(columns: pa.Schema) -> bool:
    """Whether a table of these columns can, as an empty one shows."""
    try:
        pq.ParquetWriter(io.BytesIO(), columns).close()
    except (pa.ArrowException, NotImplementedError):
        return False
    return True


def brief(kind: pa.DataType) -> str:
    """A type's name; of a long one, such as an object of many fields, its beginning."""
    text = str(kind)
    return text if len(text) <= 60 else f"{text[:60]}..."
