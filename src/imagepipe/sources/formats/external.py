"""Tables that are more than their files: each is read by its own library."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
from pyarrow.fs import FileSystem, LocalFileSystem

from imagepipe.config import secrets
from imagepipe.errors import UserError, one_line
from imagepipe.prompts.cells import cell_texts
from imagepipe.sources.files import Found
from imagepipe.sources.formats.arrow import ArrowFormat, kept
from imagepipe.sources.formats.base import BadOption, Rows
from imagepipe.sources.unreadable import Unreadable

if TYPE_CHECKING:
    from ray.data import Dataset

ROWS = 1000  # that are read at once
DIGEST_BYTES = 16


@dataclass(frozen=True)
class External(ArrowFormat):
    """One table, named by a folder or an address. It counts as one file, whose path that is."""

    look: ClassVar[str] = "Check that the table is whole and that you may read it."

    @abstractmethod
    def opened(self, place: str) -> tuple[External, str]:
        """The format that reads `place` as it is now, whoever writes to it meanwhile; the place.

        Raises Unreadable or BadOption where there is no such table.
        """

    @abstractmethod
    def columns_of(self, place: str) -> pa.Schema:
        """All columns of the table."""

    @abstractmethod
    def batches(
        self, place: str, schema: pa.Schema, wanted: Sequence[str]
    ) -> Iterator[pa.Table | pa.RecordBatch]:
        """The columns `wanted`, in the order of the table's rows."""

    def find(self, field: str, path: Any) -> tuple[External, Found]:
        if not isinstance(path, str) or not path:
            raise Unreadable("names no table", f"Give one address or folder of {self.name}.")
        secrets.check_table(field, path)
        place = self.place(path)
        with self.reading():
            form, place = self.opened(place)
        here = LocalFileSystem() if os.path.exists(place) else None
        return form, Found(here, (place,), base=os.path.dirname(place))

    def place(self, path: str) -> str:
        """The whole of `path`, which may be an address."""
        return path if "://" in path else os.path.abspath(os.path.expanduser(path))

    def schema(self, filesystem: FileSystem, path: str, used: Collection[str]) -> pa.Schema:
        with self.reading():
            return kept(self.columns_of(path), used)

    def scan(
        self, filesystem: FileSystem, path: str, schema: pa.Schema, wanted: Sequence[str]
    ) -> Iterator[Rows]:
        part = pa.schema([schema.field(name) for name in wanted])
        for raw in self.tables(path, schema, wanted):
            yield self.decode(raw, part)

    def tables(self, place: str, schema: pa.Schema, wanted: Sequence[str]) -> Iterator[pa.Table]:
        with self.reading():
            for batch in self.batches(place, schema, wanted):
                table = isinstance(batch, pa.Table)
                yield batch if table else pa.Table.from_batches([batch])

    def dataset(
        self, filesystem: FileSystem, paths: list[str], schema: pa.Schema, **options: Any
    ) -> Dataset:
        """Where Ray Data has no reader that keeps memory flat: one task, which gives blocks."""
        import ray

        (place,) = paths
        stream = partial(_stream, form=self, place=place, schema=schema)
        how = {"batch_format": "pyarrow", "batch_size": None, "num_cpus": options["num_cpus"]}
        return ray.data.range(1, override_num_blocks=1).map_batches(stream, **how)

    def size(self, filesystem: FileSystem, path: str) -> int:
        """Not known before it is read."""
        return 0

    def content(
        self, filesystem: FileSystem, path: str, schema: pa.Schema, used: Collection[str]
    ) -> Iterator[bytes]:
        """A digest of the columns `used`, whatever order the rows come in or files hold them."""
        names, total = sorted({*used} & {*schema.names}), 0
        for rows in self.scan(filesystem, path, schema, names):
            columns = [cell_texts(rows.table[name]).to_pylist() for name in names]
            for row in zip(*columns, strict=True):
                digest = blake2b(repr(row).encode(), digest_size=DIGEST_BYTES).digest()
                total += int.from_bytes(digest, "big")
        yield (total % 256**DIGEST_BYTES).to_bytes(DIGEST_BYTES, "big")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Unreadable for whatever the library raises."""
        try:
            yield
        except (Unreadable, BadOption, UserError, GeneratorExit):
            raise
        except Exception as error:
            raise Unreadable(
                f"cannot be read as {self.name}: {one_line(error)}",
                self.look,
            ) from error


def _stream(_: pa.Table, form: External, place: str, schema: pa.Schema) -> Iterator[pa.Table]:
    yield from form.tables(place, schema, schema.names)
