"""Delta Lake tables."""

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
class Delta(External):
    """A folder or an address; of its versions the newest, or the one that the options name."""

    version: int | None = None

    name: ClassVar[str] = "delta"

    def opened(self, place: str) -> tuple[Delta, str]:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        if not DeltaTable.is_deltatable(place):
            raise Unreadable("is not a Delta table", "Name the folder that holds _delta_log/.")
        try:
            return replace(self, version=self._table(place).version()), place
        except DeltaError as error:
            if self.version is None:
                raise
            newest = DeltaTable(place).version()
            raise BadOption(
                *("version", self.version, "is not a version of the table"),
                f"Its newest is {newest}.",
            ) from error

    def columns_of(self, place: str) -> pa.Schema:
        return self._table(place).to_pyarrow_dataset().schema

    def batches(
        self, place: str, schema: pa.Schema, wanted: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        table = self._table(place).to_pyarrow_dataset()
        yield from table.to_batches(columns=list(wanted), batch_size=ROWS)

    def dataset(
        self, filesystem: FileSystem, paths: list[str], schema: pa.Schema, **options: Any
    ) -> Dataset:
        import ray

        del options["partitioning"]
        columns = schema.names
        return ray.data.read_delta(paths[0], version=self.version, columns=columns, **options)

    def _table(self, place: str) -> Any:
        from deltalake import DeltaTable

        return DeltaTable(place, version=self.version)
