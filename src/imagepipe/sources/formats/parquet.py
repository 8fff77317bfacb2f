"""Parquet tables."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.fs import FileSystem

from imagepipe.compat.ray_data import files_of_any_name
from imagepipe.sources.folders import Suffixes
from imagepipe.sources.formats.arrow import ArrowFormat, kept
from imagepipe.sources.formats.base import OUT_OF_BYTES, OUT_OF_UUID, FileFormat, Rows, without
from imagepipe.sources.unreadable import Unreadable

if TYPE_CHECKING:
    from ray.data import Dataset

# Types of which pyarrow writes cells that it cannot read: nulls, and text that is not UTF-8.
FIXED_SIZE = re.compile("fixed_size_list|fixed_shape_tensor")
TEXT_BY_INDEX = re.compile(r"values=(large_)?string, indices=u?int(8|16|64)")


@dataclass(frozen=True)
class Parquet(ArrowFormat, FileFormat):
    """As ArrowFormat says."""

    name: ClassVar[str] = "parquet"
    suffixes: ClassVar[Suffixes] = Suffixes((".parquet", ".pq", ".parq"), compressed=False)

    def no_table(self, filesystem: FileSystem, path: str) -> str | None:
        return None

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
            columns = kept([f for f in parquet.schema_arrow if f.name not in unreadable], used)
            return without(
                columns, dict.fromkeys(sorted(unreadable), "holds cells that pyarrow cannot read")
            )

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

    def features(self, filesystem: FileSystem, path: str) -> dict[str, Any]:
        """What `datasets` wrote of the columns into the file's metadata."""
        with filesystem.open_input_file(path) as file:
            metadata = pq.read_schema(file).metadata or {}
        try:
            return dict(json.loads(metadata[b"huggingface"])["info"]["features"])
        except (KeyError, TypeError, ValueError):
            return {}


def _in_files(schema: pa.Schema) -> pa.Schema:
    return pa.schema([column.with_type(_type_in_files(column)) for column in schema])


def _type_in_files(column: pa.Field) -> pa.DataType:
    if column.metadata == OUT_OF_UUID:
        return pa.uuid()
    return pa.binary() if column.metadata == OUT_OF_BYTES else column.type


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
