"""Parquet tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow.fs import FileSystem

from imagepipe.sources.format import Reasons, Unreadable, as_bytes, as_text, plain

if TYPE_CHECKING:
    from ray.data import Dataset


class Parquet:
    """Columns keep their types; dictionaries are resolved. Folder names are no columns."""

    suffixes: tuple[str, ...] = (".parquet", ".pq")

    def schema(self, filesystem: FileSystem, path: str) -> pa.Schema:
        with filesystem.open_input_file(path) as file:
            try:
                return plain(pq.read_schema(file))
            except pa.ArrowInvalid as error:
                raise Unreadable(
                    f"is not a readable Parquet file: {error}", "Write the file again."
                ) from error

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

        # Ray's newer reader takes only files named *.parquet, without a word, and starts actors.
        context = ray.data.DataContext.get_current()
        before, context.use_datasource_v2 = context.use_datasource_v2, False
        try:
            return ray.data.read_parquet(
                paths,
                filesystem=filesystem,
                partitioning=None,
                file_extensions=None,
                schema=schema,  # or files of differing types cannot share a block
                **options,
            )
        finally:
            context.use_datasource_v2 = before

    def size(self, filesystem: FileSystem, path: str) -> int:
        with filesystem.open_input_file(path) as file:
            metadata = pq.read_metadata(file)
        return sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))


def _sound(column: pa.ChunkedArray, name: str, reasons: Reasons) -> pa.ChunkedArray:
    """`column` of lists and the like; null, with a reason, where text in one is not UTF-8."""
    try:
        column.validate(full=True)
        return column
    except pa.ArrowInvalid:
        problems = [_problem(cell) for cell in column]
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
