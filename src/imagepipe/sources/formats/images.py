"""A folder, or a list, of pictures: a row each."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
from pyarrow.fs import FileSystem

from imagepipe.errors import one_line
from imagepipe.sources.files import Found
from imagepipe.sources.folders import Suffixes
from imagepipe.sources.formats.base import FileFormat, Format, Rows

if TYPE_CHECKING:
    from ray.data import Dataset

COLUMNS = ("path", "file_name", "name", "folder")
SCHEMES = {
    "s3": "s3://",
    "gcs": "gs://",
    "abfs": "abfs://",
}  # of file systems, as pyarrow calls them


@dataclass(frozen=True)
class Images(FileFormat):
    """`path` is the whole of it; below the folder that is named, `file_name` is its place,
    `name` the same without the ending, and `folder` the name of the folder that it is in.

    A picture that cannot be decoded fails its row. Pictures themselves are no column.
    """

    base: str = field(default="", init=False)
    scheme: str = field(default="", init=False)

    name: ClassVar[str] = "images"
    suffixes: ClassVar[Suffixes] = Suffixes(
        (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"), compressed=False
    )

    def find(self, field: str, path: Any) -> tuple[Format, Found]:
        form, found = super().find(field, path)
        assert found.filesystem is not None
        made = replace(form)
        object.__setattr__(made, "base", found.base)
        object.__setattr__(made, "scheme", SCHEMES.get(found.filesystem.type_name, ""))
        return made, found

    def check(self, filesystem: FileSystem, path: str, prefix: str) -> None:
        """What is no picture fails its row alone."""

    def no_table(self, filesystem: FileSystem, path: str) -> str | None:
        return None

    def schema(self, filesystem: FileSystem, path: str, used: Collection[str]) -> pa.Schema:
        return pa.schema([(name, pa.string()) for name in COLUMNS])

    def scan(
        self, filesystem: FileSystem, path: str, schema: pa.Schema, wanted: Sequence[str]
    ) -> Iterator[Rows]:
        part = pa.schema([schema.field(name) for name in wanted])
        yield Rows(self._table([path], part))

    def decode(self, raw: pa.Table, schema: pa.Schema) -> Rows:
        rows = Rows(self._table(raw["path"].to_pylist(), schema))
        for row, content in enumerate(raw["bytes"]):
            if problem := _problem(content.as_buffer()):
                for name in schema.names:  # whichever of them are used
                    rows.spoil(name, row, problem)
        return rows

    def dataset(
        self, filesystem: FileSystem, paths: list[str], schema: pa.Schema, **options: Any
    ) -> Dataset:
        import ray

        how = {"include_paths": True, **options}
        return ray.data.read_binary_files(paths, filesystem=filesystem, **how)

    def content(
        self, filesystem: FileSystem, path: str, schema: pa.Schema, used: Collection[str]
    ) -> Iterator[bytes]:
        """Its place and size: all of thousands of pictures would take as long as to read them."""
        yield f"{path.removeprefix(self.base)}:{self.size(filesystem, path)}".encode()

    def _table(self, paths: Sequence[str], schema: pa.Schema) -> pa.Table:
        below = [path.removeprefix(self.base).lstrip("/") for path in paths]
        cells = {
            "path": [f"{self.scheme}{path}" for path in paths],
            "file_name": below,
            "name": [os.path.splitext(path)[0] for path in below],
            "folder": [os.path.basename(os.path.dirname(path)) for path in paths],
        }
        return pa.table(
            [pa.array(cells[name], pa.string()) for name in schema.names], schema=schema
        )


def _problem(content: Any) -> str | None:
    """Why a file's content is no picture that can be drawn from; null: it is one."""
    from PIL import Image

    try:
        with Image.open(pa.BufferReader(content)) as picture:
            picture.load()
    except Exception as error:  # whatever PIL's many readers raise
        return f"names no picture that can be read: {one_line(error)}"
    return None
