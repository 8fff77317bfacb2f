"""A folder, or a list, of texts: one row each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
from pyarrow.fs import FileSystem

from imagepipe.sources.contents import BYTE_ORDER_MARK
from imagepipe.sources.folders import Suffixes
from imagepipe.sources.formats.base import Rows, as_text
from imagepipe.sources.formats.whole import COLUMNS, PATH, WHOLE, WholeFile

TEXT = "text"


@dataclass(frozen=True)
class Text(WholeFile):
    """`text` is all that a file holds, but for line ends behind it. The other columns are those of
    pictures.
    """

    name: ClassVar[str] = "text"
    suffixes: ClassVar[Suffixes] = Suffixes((".txt",), compressed=False)

    def schema(self, filesystem: FileSystem, path: str, used: Collection[str]) -> pa.Schema:
        return pa.schema([(name, pa.string()) for name in (*COLUMNS, TEXT)])

    def scan(
        self, filesystem: FileSystem, path: str, schema: pa.Schema, wanted: Sequence[str]
    ) -> Iterator[Rows]:
        with self.open(filesystem, path) as stream:
            raw = pa.table({PATH: [path], WHOLE: [stream.read()]})
        yield self.decode(raw, pa.schema([schema.field(name) for name in wanted]))

    def decode(self, raw: pa.Table, schema: pa.Schema) -> Rows:
        rows = Rows(raw)
        contents = [
            one.removeprefix(BYTE_ORDER_MARK).rstrip(b"\r\n") for one in raw[WHOLE].to_pylist()
        ]
        texts = as_text(pa.chunked_array([pa.array(contents, pa.binary())]), TEXT, rows)
        rows.table = self.table(raw[PATH].to_pylist(), schema, {TEXT: texts})
        return rows

    def content(
        self, filesystem: FileSystem, path: str, schema: pa.Schema, used: Collection[str]
    ) -> Iterator[bytes]:
        """Its place too, which its name is made of."""
        yield path.removeprefix(self.base).encode()
        yield from super().content(filesystem, path, schema, used)
