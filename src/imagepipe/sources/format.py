"""What a table format is, and what the formats have in common: types and text.

A raw block is what the file holds (CSV: cells as bytes; JSON Lines: lines as bytes; Parquet:
its columns). Decoding turns it into typed columns and finds rows whose text is not UTF-8.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
from pyarrow.fs import FileSystem

if TYPE_CHECKING:
    from ray.data import Dataset

Reasons = list[str | None]


class Unreadable(Exception):
    """A file that is not what its format says: the problem, and a remedy."""

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem, self.remedy = problem, remedy
        super().__init__(problem)


class Format(Protocol):
    """One file format."""

    suffixes: tuple[str, ...]

    def schema(self, filesystem: FileSystem, path: str) -> pa.Schema:
        """The columns of one file. Raises Unreadable."""

    def scan(
        self, filesystem: FileSystem, path: str, schema: pa.Schema, wanted: Sequence[str]
    ) -> Iterator[tuple[pa.Table, Reasons]]:
        """The columns `wanted` of one file, decoded, a block at a time. Raises Unreadable."""

    def decode(self, raw: pa.Table, schema: pa.Schema) -> tuple[pa.Table, Reasons]:
        """Typed columns, and for each row null or why its text is unusable."""

    def dataset(
        self, filesystem: FileSystem, paths: list[str], schema: pa.Schema, **options: Any
    ) -> Dataset:
        """Raw blocks by Ray's reader; `options` are those that all of Ray's readers take."""

    def size(self, filesystem: FileSystem, path: str) -> int:
        """About how many bytes the file takes in memory."""


def unify(schemas: Sequence[pa.Schema], place: str) -> pa.Schema:
    """One schema for all of `schemas` (of whole numbers and floats: floats, and so on).

    That single values can be cast to it is not said: a whole number beyond 2**53 is no float.
    """
    try:
        return pa.unify_schemas(schemas, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise Unreadable(
            f"holds different kinds of values in one column ({place}): {error}",
            "Give the column one type, for example text everywhere.",
        ) from error


def plain(schema: pa.Schema) -> pa.Schema:
    """`schema` without metadata, dictionaries, and the variants of text and bytes."""
    return pa.schema([(field.name, _plain_type(field.type)) for field in schema])


def with_types(schema: pa.Schema) -> pa.Schema:
    """`schema` with text for the columns that hold nothing but nulls in all files."""
    text = pa.string()
    return pa.schema([(f.name, text if pa.types.is_null(f.type) else f.type) for f in schema])


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


def as_text(column: pa.ChunkedArray, name: str, reasons: Reasons) -> pa.ChunkedArray | pa.Array:
    """Bytes as text; where they are not UTF-8, U+FFFD stands for what is not, with a reason."""
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        values = column.to_pylist()
    texts = [None if value is None else value.decode("utf-8", "replace") for value in values]
    for row, (value, text) in enumerate(zip(values, texts, strict=True)):
        if text is not None and text.encode() != value:
            reasons[row] = reasons[row] or f"column {name!r} is not valid UTF-8"
    return pa.array(texts, pa.string())
