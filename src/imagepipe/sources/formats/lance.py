"""Lance tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
from pyarrow.fs import FileSystem

from imagepipe.sources.formats.base import BadOption
from imagepipe.sources.formats.external import ROWS, External
from imagepipe.sources.unreadable import Unreadable

if TYPE_CHECKING:
    from ray.data import Dataset


@dataclass(frozen=True)
class Lance(External):
    """A folder or an address; of its versions the newest, or the one that the options name."""

    version: int | None = None

    name: ClassVar[str] = "lance"

    def opened(self, place: str) -> tuple[Lance, str]:
        import lance

        try:
            newest = lance.dataset(place)
        except ValueError as error:
            raise Unreadable(
                "is not a Lance table", "Name the folder that holds _versions/."
            ) from error
        try:
            return replace(self, version=self._table(place).version), place
        except ValueError as error:
            raise BadOption(
                *("version", self.version, "is not a version of the table"),
                f"Its newest is {newest.version}.",
            ) from error

    def columns_of(self, place: str) -> pa.Schema:
        return self._table(place).schema

    def batches(
        self, place: str, schema: pa.Schema, wanted: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        yield from self._table(place).to_batches(columns=list(wanted), batch_size=ROWS)

    def dataset(
        self, filesystem: FileSystem, paths: list[str], schema: pa.Schema, **options: Any
    ) -> Dataset:
        import ray

        del options["partitioning"]
        columns = schema.names
        return ray.data.read_lance(paths[0], version=self.version, columns=columns, **options)

    def _table(self, place: str) -> Any:
        import lance

        return lance.dataset(place, version=self.version)
