"""Parquet tables."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow.fs import FileSystem

from imagepipe.compat.ray_data import files_of_any_name
from imagepipe.sources.format import Reasons, Unreadable, as_bytes, as_text, plain

if TYPE_CHECKING:
    from ray.data import Dataset

# Types of which pyarrow writes cells that it cannot read: nulls, and text that is not UTF-8.
FIXED_SIZE = re.compile("fixed_size_list|fixed_shape_tensor")
TEXT_BY_INDEX = re.compile(r"values=(large_)?string, indices=u?int(8|16|64)")


class Parquet:
    """Columns keep their types; dictionaries are resolved. Folder names are no columns."""

    suffixes: tuple[str, ...] = (".parquet", ".pq")

    def schema(self, filesystem: FileSystem, path: str) -> pa.Schema:
        with filesystem.open_input_file(path) as file:
            try:
                parquet = pq.ParquetFile(file)
            except pa.ArrowInvalid as error:
                raise Unreadable(
                    f"is not a readable Parquet file: {error}", "Write the file again."
                ) from error
            _check_cells(parquet)
            return plain(parquet.schema_arrow)

    def scan(
        self, filesystem: FileSystem, path: str, schema: pa.Schema, wanted: Sequence[str]
    ) -> Iterator[tuple[pa.Table, Reasons]]:
        part = pa.schema([schema.field(name) for name in wanted])
        with filesystem.open_input_file(path) as file:
            try:
                for batch in pq.ParquetFile(file).iter_batches(columns=list(wanted)):
                    yield self.decode(pa.Table.from_batches([batch]), part)
            except (pa.ArrowInvalid, OSError) as error:
                raise Unreadable(f"cannot be read: {error}", "Write the file again.") from error

    def decode(self, raw: pa.Table, schema: pa.Schema) -> tuple[pa.Table, Reasons]:
        reasons: Reasons = [None] * raw.num_rows
        columns = []
        for field in schema:
            column = raw[field.name]
            if pa.types.is_string(field.type):  # Parquet's readers do not check text
                column = as_text(as_bytes(column), field.name, reasons)
            elif pa.types.is_nested(field.type):
                column = _sound(column, field.name, reasons)
            columns.append(_cast(column, field))
        return pa.table(columns, schema=schema), reasons

    def dataset(
        self, filesystem: FileSystem, paths: list[str], schema: pa.Schema, **options: Any
    ) -> Dataset:
        import ray

        with files_of_any_name():
            return ray.data.read_parquet(
                paths,
                filesystem=filesystem,
                partitioning=None,
                file_extensions=None,
                schema=schema,  # or files of differing types cannot share a block
                **options,
            )

    def size(self, filesystem: FileSystem, path: str) -> int:
        with filesystem.open_input_file(path) as file:
            metadata = pq.read_metadata(file)
        return sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))


def _check_cells(file: pq.ParquetFile) -> None:
    """Refuse a column that pyarrow cannot read; only those that may be such are read."""
    for field in file.schema_arrow:
        kind = str(field.type)
        nulls = FIXED_SIZE.search(kind) and _may_hold_nulls(file.metadata, field.name)
        if nulls or TEXT_BY_INDEX.search(kind):
            try:
                deque(file.iter_batches(columns=[field.name]), maxlen=0)
            except pa.ArrowInvalid as error:
                raise Unreadable(
                    f"holds {kind} in column {field.name!r}, which cannot be read: {error}",
                    "Write the column with another type, such as plain text or list.",
                ) from error


def _may_hold_nulls(metadata: pq.FileMetaData, name: str) -> bool:
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for part in map(group.column, range(group.num_columns)):
            known = part.statistics and part.statistics.null_count == 0
            if part.path_in_schema.startswith(f"{name}.") and not known:
                return True
    return False


def _sound(column: pa.ChunkedArray, name: str, reasons: Reasons) -> pa.ChunkedArray:
    """`column` of lists and the like; null, with a reason, where text in one is not UTF-8."""
    try:
        column.validate(full=True)
        return column
    except pa.ArrowInvalid:
        # Taken out, as what is nested deeper in a cell is else checked in all cells of its chunk.
        cells = (chunk.take([row])[0] for chunk in column.chunks for row in range(len(chunk)))
        problems = [_problem(cell) for cell in cells]
    for row, problem in enumerate(problems):
        if problem:
            reasons[row] = reasons[row] or f"column {name!r} is not valid: {problem}"
    good = pa.array([problem is None for problem in problems])
    return pc.if_else(good, column, pa.scalar(None, column.type))


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
