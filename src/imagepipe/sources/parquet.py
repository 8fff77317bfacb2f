"""Parquet tables."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.fs import FileSystem

from imagepipe.compat.ray_data import files_of_any_name
from imagepipe.sources.folders import Suffixes
from imagepipe.sources.format import (
    ADDED,
    OUT_OF_BYTES,
    Rows,
    Unreadable,
    as_bytes,
    as_bytes_type,
    as_text,
    packed,
    plain,
    without,
)

if TYPE_CHECKING:
    from ray.data import Dataset

# Types of which pyarrow writes cells that it cannot read: nulls, and text that is not UTF-8.
FIXED_SIZE = re.compile("fixed_size_list|fixed_shape_tensor")
TEXT_BY_INDEX = re.compile(r"values=(large_)?string, indices=u?int(8|16|64)")


class Parquet:
    """Columns keep their types; dictionaries are resolved. Bytes that are used are text."""

    suffixes = Suffixes((".parquet", ".pq", ".parq"), compressed=False)

    def schema(self, filesystem: FileSystem, path: str, used: Collection[str]) -> pa.Schema:
        with filesystem.open_input_file(path) as file:
            try:
                parquet = pq.ParquetFile(file)
            except pa.ArrowInvalid as error:
                raise Unreadable(
                    f"is not a readable Parquet file: {error}", "Write the file again."
                ) from error
            unreadable = set(_unreadable(parquet))
            if unreadable & set(used):
                raise Unreadable(
                    f"holds cells in column {min(unreadable & set(used))!r} that cannot be read",
                    "Write the column with another type, such as plain text.",
                )
            own = [f for f in parquet.schema_arrow if f.name in used or not _is_added(f)]
            columns = plain(f for f in own if f.name not in unreadable)
            left_out = dict.fromkeys(sorted(unreadable), "holds cells that pyarrow cannot read")
            return without([_as_text(c) if c.name in used else c for c in columns], left_out)

    def scan(
        self, filesystem: FileSystem, path: str, schema: pa.Schema, wanted: Sequence[str]
    ) -> Iterator[Rows]:
        part = pa.schema([schema.field(name) for name in wanted])
        with filesystem.open_input_file(path) as file:
            group = 0
            try:
                parquet = pq.ParquetFile(file)
                for group in range(parquet.num_row_groups):
                    for batch in parquet.iter_batches(row_groups=[group], columns=list(wanted)):
                        yield self.decode(pa.Table.from_batches([batch]), part)
            except (pa.ArrowInvalid, OSError) as error:
                line = " ".join(str(error).split())
                raise Unreadable(
                    f"cannot be read, in row group {group}: {line}", "Write the file again."
                ) from error

    def decode(self, raw: pa.Table, schema: pa.Schema) -> Rows:
        rows, columns = Rows(raw), []
        there = set(raw.column_names)
        for field in schema:
            if field.name not in there:
                columns.append(pa.nulls(raw.num_rows, field.type))
                continue
            column = raw[field.name]
            if pa.types.is_string(field.type):  # Parquet's readers do not check text
                column = as_text(as_bytes(column), field.name, rows)
            elif pa.types.is_nested(field.type):
                column = _sound(column, field.name, rows)
            columns.append(_cast(column, field))
        rows.table = pa.table(columns, schema=schema)
        return rows

    def dataset(
        self, filesystem: FileSystem, paths: list[str], schema: pa.Schema, **options: Any
    ) -> Dataset:
        import ray

        with files_of_any_name():
            return ray.data.read_parquet(
                paths,
                filesystem=filesystem,
                file_extensions=None,
                schema=_in_files(schema),  # or files of other types cannot share a block
                **options,
            )

    def size(self, filesystem: FileSystem, path: str) -> int:
        with filesystem.open_input_file(path) as file:
            metadata = pq.read_metadata(file)
        return sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))


def _is_added(column: pa.Field) -> bool:
    return ADDED.items() <= (column.metadata or {}).items()


def _as_text(column: pa.Field) -> pa.Field:
    """A column of bytes that is used is one of text: rejected rows that are fed in hold such."""
    if not pa.types.is_binary(column.type):
        return column
    return pa.field(column.name, pa.string(), metadata=OUT_OF_BYTES)


def _in_files(schema: pa.Schema) -> pa.Schema:
    return pa.schema(
        [c.with_type(pa.binary()) if c.metadata == OUT_OF_BYTES else c for c in schema]
    )


def _unreadable(file: pq.ParquetFile) -> Iterator[str]:
    """The columns that pyarrow cannot read; only those that may be such are read."""
    for field in file.schema_arrow:
        kind = str(field.type)
        nulls = FIXED_SIZE.search(kind) and _may_hold_nulls(file.metadata, field.name)
        if nulls or TEXT_BY_INDEX.search(kind):
            try:
                deque(file.iter_batches(columns=[field.name]), maxlen=0)
            except pa.ArrowInvalid:
                yield field.name


def _may_hold_nulls(metadata: pq.FileMetaData, name: str) -> bool:
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for part in map(group.column, range(group.num_columns)):
            known = part.statistics and part.statistics.null_count == 0
            if part.path_in_schema.startswith(f"{name}.") and not known:
                return True
    return False


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
    """A cell with U+FFFD for what is not UTF-8, and what it was, `packed`. Null where its type
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


def features(filesystem: FileSystem, path: str) -> dict[str, Any]:
    """What `datasets` wrote of the columns into the file's metadata; none where it has not."""
    with filesystem.open_input_file(path) as file:
        metadata = pq.read_schema(file).metadata or {}
    try:
        return dict(json.loads(metadata[b"huggingface"])["info"]["features"])
    except (KeyError, TypeError, ValueError):
        return {}
