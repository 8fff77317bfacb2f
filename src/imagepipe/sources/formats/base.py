"""What a format is, and what the formats have in common: types and text.

A raw block is what a file holds (CSV: cells as bytes; JSON Lines: lines as bytes; Parquet:
its columns). Decoding turns it into typed columns and finds rows whose text is not UTF-8.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
from pyarrow.fs import FileSystem

from imagepipe.errors import UserError
from imagepipe.sources import contents, files
from imagepipe.sources.files import Found
from imagepipe.sources.folders import Suffixes

if TYPE_CHECKING:
    from ray.data import Dataset

# How the cells of a column of several kinds are kept, in its field's metadata: as the text of one
# that is used, or as JSON text.
KEPT = b"imagepipe.kept"
AS_TEXT, AS_JSON = {KEPT: b"text"}, {KEPT: b"json"}
OUT_OF_BYTES = {KEPT: b"out of bytes"}  # text that stands as bytes in some file
OUT_OF_UUID = {KEPT: b"out of uuid"}  # text of what the files hold as Arrow's type of UUIDs
# Of the columns that say why rows are rejected: read again, the table is without them.
ADDED = {b"imagepipe.added": b"why the row is rejected"}
LEFT_OUT = b"imagepipe.left_out"
NOT_UTF8 = "is not valid UTF-8"


class BadOption(Exception):
    """A value of `dataset.read` that cannot be right, or not for this table."""

    def __init__(self, option: str, value: object, problem: str, remedy: str) -> None:
        self.option, self.value, self.problem, self.remedy = option, value, problem, remedy
        super().__init__(problem)

    def of(self, prefix: str) -> UserError:
        """The same, of the section `prefix` of the configuration."""
        return UserError(
            field=f"{prefix}.read.{self.option}",
            value=self.value,
            problem=self.problem,
            remedy=self.remedy,
        )


@dataclass
class Rows:
    """Typed columns, and of the cells that are not usable why, and their bytes where it is text.

    Both by column and row; U+FFFD stands in the table for what is not UTF-8, null for other cells.
    The bytes of a list or an object are `packed`.
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


@dataclass(frozen=True)
class Format:
    """One format. Its fields are the options that `dataset.read` may hold, with their defaults."""

    columns: list[Any] | None = None  # those that are read; null: all

    name: ClassVar[str]
    is_text: ClassVar[bool] = False  # a word such as NA in a cell may be meant as no value
    # A column that some files lack is null there; one of several kinds is kept as text.
    loose: ClassVar[bool] = False

    def find(self, field: str, path: Any) -> tuple[Format, Found]:
        """What `path`, the value of the key `field`, names, and the format that reads just that.

        Raises UserError, Unreadable, or BadOption.
        """
        raise NotImplementedError

    def title(self, path: str) -> str:
        """What messages call the table of which `path` is the only file."""
        return os.path.basename(path)

    def check(self, filesystem: FileSystem, path: str, prefix: str) -> None:
        """Raise Unreadable for what is plainly of another format; `prefix` is of its section."""

    def no_table(self, filesystem: FileSystem, path: str) -> str | None:
        """Why a file that was found in a folder is no part of the table there, or null."""
        return None

    def schema(self, filesystem: FileSystem, path: str, used: Collection[str]) -> pa.Schema:
        """The columns of one file, of which `used` decide about rows; `without` some. Raises
        Unreadable.
        """
        raise NotImplementedError

    def scan(
        self, filesystem: FileSystem, path: str, schema: pa.Schema, wanted: Sequence[str]
    ) -> Iterator[Rows]:
        """The columns `wanted` of one file, decoded, a block at a time. Raises Unreadable."""
        raise NotImplementedError

    def decode(self, raw: pa.Table, schema: pa.Schema) -> Rows:
        """Typed columns; null if the file lacks one."""
        raise NotImplementedError

    def dataset(
        self, filesystem: FileSystem, paths: list[str], schema: pa.Schema, **options: Any
    ) -> Dataset:
        """Raw blocks by Ray's reader; `options` are those that all of Ray's readers take."""
        raise NotImplementedError

    def size(self, filesystem: FileSystem, path: str) -> int:
        """About how many bytes the file takes in memory."""
        raise NotImplementedError

    def content(
        self, filesystem: FileSystem, path: str, schema: pa.Schema, used: Collection[str]
    ) -> Iterator[bytes]:
        """What tells the file from another, for a digest."""
        raise NotImplementedError

    def features(self, filesystem: FileSystem, path: str) -> dict[str, Any]:
        """What a file says of its columns to Hugging Face's `datasets`, such as pictures."""
        return {}


@dataclass(frozen=True)
class FileFormat(Format):
    """A format of files, of which a table may have several."""

    suffixes: ClassVar[Suffixes]

    def find(self, field: str, path: Any) -> tuple[Format, Found]:
        return self, files.find(field, path, self.suffixes)

    def open(self, filesystem: FileSystem, path: str) -> pa.NativeFile:
        """The file from its beginning, unpacked; of text as UTF-8."""
        return filesystem.open_input_stream(path)

    def head(self, filesystem: FileSystem, path: str) -> bytes:
        with self.open(filesystem, path) as stream:
            try:
                return stream.read(contents.HEAD)
            except OSError as error:
                with filesystem.open_input_stream(path, compression=None) as packed:
                    contents.check_packed(packed.read(contents.HEAD), path, error)
                raise

    def check(self, filesystem: FileSystem, path: str, prefix: str) -> None:
        contents.check(self.head(filesystem, path), self.name, prefix)

    def no_table(self, filesystem: FileSystem, path: str) -> str | None:
        """Writers leave parts without a byte."""
        return None if self.head(filesystem, path) else "is empty"

    def size(self, filesystem: FileSystem, path: str) -> int:
        return filesystem.get_file_info(path).size

    def content(
        self, filesystem: FileSystem, path: str, schema: pa.Schema, used: Collection[str]
    ) -> Iterator[bytes]:
        with filesystem.open_input_stream(path) as stream:
            left = contents.MOST_BYTES
            while left > 0 and (chunk := stream.read(min(left, contents.CHUNK_BYTES))):
                yield chunk
                left -= len(chunk)


def plain(schema: Iterable[pa.Field]) -> pa.Schema:
    """The columns without metadata, dictionaries, and the variants of text and bytes."""
    return pa.schema([(field.name, _plain_type(field.type)) for field in schema])


def without(columns: Iterable[pa.Field], left_out: Mapping[str, str]) -> pa.Schema:
    """The columns of a file, which say too what others of it are left out, and why."""
    said = {LEFT_OUT: json.dumps(left_out)} if left_out else None
    return pa.schema(list(columns), metadata=said)  # of a schema it would cut names at a NUL


def left_out(schema: pa.Schema) -> dict[str, str]:
    """What columns of its file `schema` goes without, and why."""
    return json.loads((schema.metadata or {}).get(LEFT_OUT, "{}"))


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


def as_bytes_type(kind: pa.DataType) -> pa.DataType:
    """`kind` with bytes for text, also inside of lists and objects."""
    if pa.types.is_struct(kind):
        return pa.struct([(f.name, as_bytes_type(f.type)) for f in kind])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.large_list(as_bytes_type(kind.value_type))
    return pa.binary() if pa.types.is_string(kind) else kind


def packed(value: Any) -> bytes | None:
    """A list or object with bytes for text as JSON, which holds them as they are; null if it
    holds what JSON has not.
    """
    try:
        return json.dumps(_with(value, _escaped), ensure_ascii=False).encode(
            "utf-8", "surrogateescape"
        )
    except (TypeError, ValueError):
        return None


def unpacked(cell: bytes) -> Any:
    """What `packed` made `cell` of."""
    return _with(json.loads(cell.decode("utf-8", "surrogateescape")), _encoded)


def _with(value: Any, change: Callable[[Any], Any]) -> Any:
    """`value` with all that is no list and no object changed."""
    if isinstance(value, dict):
        return {name: _with(cell, change) for name, cell in value.items()}
    if isinstance(value, list):
        return [_with(cell, change) for cell in value]
    return change(value)


def _escaped(value: Any) -> Any:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def _encoded(value: Any) -> Any:
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
