"""What a table format is, and what the formats have in common: types and text.

A raw block is what the file holds (CSV: cells as bytes; JSON Lines: lines as bytes; Parquet:
its columns). Decoding turns it into typed columns and finds rows whose text is not UTF-8.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
from pyarrow.fs import FileSystem

from imagepipe.sources.folders import Suffixes

if TYPE_CHECKING:
    from ray.data import Dataset

# How the cells of a column of several kinds are kept, in its field's metadata: as the text of one
# that is used, or as JSON text.
KEPT = b"imagepipe.kept"
AS_TEXT, AS_JSON = {KEPT: b"text"}, {KEPT: b"json"}
OUT_OF_BYTES = {KEPT: b"out of bytes"}  # text that stands as bytes in some file


class Unreadable(Exception):
    """A file that is not what its format says: the problem, and a remedy."""

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem, self.remedy = problem, remedy
        super().__init__(problem)


@dataclass
class Rows:
    """Typed columns, and of the cells that are not usable why, and their bytes where it is text.

    Both by column and row; U+FFFD stands in the table for what is not UTF-8, null for other cells.
    """

    table: pa.Table
    problems: dict[str, dict[int, str]] = field(default_factory=dict)
    original: dict[str, dict[int, bytes]] = field(default_factory=dict)
    bad_line: int | None = None  # a line of the file, up to here, that is not UTF-8

    def spoil(self, name: str, row: int, problem: str, original: bytes | None = None) -> None:
        """Note what is wrong with a cell: the first problem stands."""
        self.problems.setdefault(name, {}).setdefault(row, problem)
        if original is not None:
            self.original.setdefault(name, {})[row] = original

    def reasons(self, used: Collection[str]) -> list[str | None]:
        """For each row null, or what is wrong with one of the columns `used`."""
        reasons: list[str | None] = [None] * self.table.num_rows
        for name, cells in self.problems.items():
            if name in used:
                for row, problem in cells.items():
                    reasons[row] = reasons[row] or f"column {name!r} {problem}"
        return reasons


class Format(Protocol):
    """One file format."""

    suffixes: Suffixes

    def schema(self, filesystem: FileSystem, path: str, used: Collection[str]) -> pa.Schema:
        """The columns of one file, of which `used` decide about rows. Raises Unreadable."""

    def scan(
        self, filesystem: FileSystem, path: str, schema: pa.Schema, wanted: Sequence[str]
    ) -> Iterator[Rows]:
        """The columns `wanted` of one file, decoded, a block at a time. Raises Unreadable."""

    def decode(self, raw: pa.Table, schema: pa.Schema) -> Rows:
        """Typed columns; null where the file lacks one."""

    def dataset(
        self, filesystem: FileSystem, paths: list[str], schema: pa.Schema, **options: Any
    ) -> Dataset:
        """Raw blocks by Ray's reader; `options` are those that all of Ray's readers take."""

    def size(self, filesystem: FileSystem, path: str) -> int:
        """About how many bytes the file takes in memory."""


def plain(schema: Iterable[pa.Field]) -> pa.Schema:
    """The columns without metadata, dictionaries, and the variants of text and bytes."""
    return pa.schema([(field.name, _plain_type(field.type)) for field in schema])


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_large_string(kind) or kind == pa.string_view():
        return pa.string()
    if pa.types.is_large_binary(kind) or kind == pa.binary_view():
        return pa.binary()
    return kind


def as_bytes(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.binary())


def as_text(column: pa.ChunkedArray, name: str, rows: Rows) -> pa.ChunkedArray | pa.Array:
    """Bytes as text; where they are not UTF-8, U+FFFD stands for what is not, noted in `rows`."""
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        values = column.to_pylist()
    texts = [None if value is None else value.decode("utf-8", "replace") for value in values]
    for row, (value, text) in enumerate(zip(values, texts, strict=True)):
        if text is not None and text.encode() != value:
            rows.spoil(name, row, NOT_UTF8, value)
    return pa.array(texts, pa.string())


NOT_UTF8 = "is not valid UTF-8"
