"""A folder, or a list, of pictures: one row each."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
from pyarrow.fs import FileSystem

from imagepipe.errors import one_line
from imagepipe.sources.folders import Suffixes
from imagepipe.sources.formats.base import Rows
from imagepipe.sources.formats.whole import PATH, WHOLE, WholeFile


@dataclass(frozen=True)
class Images(WholeFile):
    """Pictures themselves are no column. One that cannot be decoded fails its row."""

    name: ClassVar[str] = "images"
    suffixes: ClassVar[Suffixes] = Suffixes(
        (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"), compressed=False
    )

    def decode(self, raw: pa.Table, schema: pa.Schema) -> Rows:
        rows = Rows(self.table(raw[PATH].to_pylist(), schema))
        for row, content in enumerate(raw[WHOLE]):
            if problem := _problem(content.as_buffer()):
                for name in schema.names:  # whichever of them are used
                    rows.spoil(name, row, problem)
        return rows

    def content(
        self, filesystem: FileSystem, path: str, schema: pa.Schema, used: Collection[str]
    ) -> Iterator[bytes]:
        """Its place and size: all of thousands of pictures would take as long as to read them."""
        yield f"{path.removeprefix(self.base)}:{self.size(filesystem, path)}".encode()


def _problem(content: Any) -> str | None:
    """Why a file's content is no picture that can be drawn from; null: it is one."""
    from PIL import Image

    try:
        with Image.open(pa.BufferReader(content)) as picture:
            picture.load()
    except Exception as error:  # whatever PIL's many readers raise
        return f"names no picture that can be read: {one_line(error)}"
    return None
