"""Formats in which each file is one row."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow.fs import FileSystem

from imagepipe.sources.files import Found
from imagepipe.sources.formats.base import FileFormat, Format, Rows

if TYPE_CHECKING:
    from ray.data import Dataset

COLUMNS = ("path", "file_name", "name", "folder")
PATH, WHOLE = "path", "bytes"  # as Ray Data's reader calls where a file is, and what it holds
SCHEMES = {
    "s3": "s3://",
    "gcs": "gs://",
    "abfs": "abfs://",
}  # of file systems, as pyarrow calls them


@dataclass(frozen=True)
class WholeFile(FileFormat):
    """`path` is the whole of it; below the folder that is named, `file_name` is its place,
    `name` the same without the ending, and `folder` the name of the folder that it is in.
    """

    base: str = field(default="", init=False)
    scheme: str = field(default="", init=False)

    def find(self, field: str, path: Any) -> tuple[Format, Found]:
        form, found = super().find(field, path)
        assert found.filesystem is not None
        made = replace(form)
        object.__setattr__(made, "base", found.base)
        object.__setattr__(made, "scheme", SCHEMES.get(found.filesystem.type_name, ""))
        return made, found

    def check(self, filesystem: FileSystem, path: str, prefix: str) -> None:
        """What cannot be used fails its row alone."""

    def no_table(self, filesystem: FileSystem, path: str) -> str | None:
        return None

    def schema(self, filesystem: FileSystem, path: str, used: Collection[str]) -> pa.Schema:
        return pa.schema([(name, pa.string()) for name in COLUMNS])

    def scan(
        self, filesystem: FileSystem, path: str, schema: pa.Schema, wanted: Sequence[str]
    ) -> Iterator[Rows]:
        part = pa.schema([schema.field(name) for name in wanted])
        yield Rows(self.table([path], part))

    def dataset(
        self, filesystem: FileSystem, paths: list[str], schema: pa.Schema, **options: Any
    ) -> Dataset:
        import ray

        how = {"include_paths": True, **options}
        return ray.data.read_binary_files(paths, filesystem=filesystem, **how)

    def table(
        self, paths: Sequence[str], schema: pa.Schema, held: Mapping[str, pa.Array] | None = None
    ) -> pa.Table:
        """The columns of `schema`: where files are, and what they hold, by column."""
        below = [path.removeprefix(self.base).lstrip("/") for path in paths]
        cells: dict[str, Any] = {
            "path": [f"{self.scheme}{path}" for path in paths],
            "file_name": below,
            "name": [os.path.splitext(path)[0] for path in below],
            "folder": [os.path.basename(os.path.dirname(path)) for path in paths],
            **(held or {}),
        }
        return pa.table({name: pa.array(cells[name], pa.string()) for name in schema.names}, schema)
