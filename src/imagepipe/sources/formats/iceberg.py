"""Iceberg tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
from pyarrow.fs import FileSelector, FileSystem

from imagepipe.sources.formats.base import BadOption
from imagepipe.sources.formats.external import External
from imagepipe.sources.unreadable import Unreadable
from imagepipe.store import open_url

if TYPE_CHECKING:
    from pyiceberg.table import DataScan
    from ray.data import Dataset

NUMBER = re.compile(r"v?(\d+).*\.metadata\.json")
FOLDERS = {
    "name": "folders",
    "py-catalog-impl": "imagepipe.sources.formats.iceberg_folder.FolderCatalog",
}


@dataclass(frozen=True)
class Iceberg(External):
    """A folder or its *.metadata.json; or, with the option `catalog`, a table's name there.

    Catalogs are those that pyiceberg knows by its own file, or by PYICEBERG_CATALOG__NAME__URI and
    the like in the environment.
    """

    catalog: str | None = None
    snapshot_id: int | None = None

    name: ClassVar[str] = "iceberg"

    def place(self, path: str) -> str:
        return super().place(path) if self.catalog is None else path

    def opened(self, place: str) -> tuple[Iceberg, str]:
        from pyiceberg.exceptions import NoSuchTableError

        place = place if self.catalog or place.endswith(".json") else _newest(place)
        try:
            table = self._table(place)
        except (FileNotFoundError, NoSuchTableError) as error:
            raise Unreadable(
                "is not an Iceberg table",
                "Name its folder, its *.metadata.json, or by dataset.read.catalog=NAME a table of "
                "a catalog that pyiceberg knows.",
            ) from error
        snapshot = self.snapshot_id or table.metadata.current_snapshot_id
        if self.snapshot_id and table.snapshot_by_id(self.snapshot_id) is None:
            raise BadOption(
                *("snapshot_id", self.snapshot_id, "is not a snapshot of the table"),
                f"Its newest is {table.metadata.current_snapshot_id}.",
            )
        return replace(self, snapshot_id=snapshot), place

    def columns_of(self, place: str) -> pa.Schema:
        return self._scan(place).projection().as_arrow()

    def batches(
        self, place: str, schema: pa.Schema, wanted: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        from pyiceberg.io.pyarrow import ArrowScan

        table, scan = self._table(place), self._scan(place, tuple(wanted))
        files = ArrowScan(table.metadata, table.io, scan.projection(), scan.row_filter)
        # In the order of Ray Data's reader, so that the first rows here are the first rows there.
        parts = sorted(scan.plan_files(), key=lambda p: p.file.file_size_in_bytes, reverse=True)
        for part in parts:
            yield from files.to_record_batches([part])

    def dataset(
        self, filesystem: FileSystem, paths: list[str], schema: pa.Schema, **options: Any
    ) -> Dataset:
        import ray

        del options["partitioning"]
        read = ray.data.read_iceberg(
            table_identifier=paths[0],
            snapshot_id=self.snapshot_id,
            catalog_kwargs=self._catalog(),
            **options,
        )
        return read.select_columns(schema.names)

    def _catalog(self) -> dict[str, str]:
        return FOLDERS if self.catalog is None else {"name": self.catalog}

    def _table(self, place: str) -> Any:
        from pyiceberg.catalog import load_catalog

        return load_catalog(**self._catalog()).load_table(place)

    def _scan(self, place: str, columns: tuple[str, ...] = ("*",)) -> DataScan:
        return self._table(place).scan(selected_fields=columns, snapshot_id=self.snapshot_id)


def _newest(folder: str) -> str:
    """The table's metadata with the highest number, as a path or an address."""
    filesystem, place = open_url("dataset.path", folder)
    infos = filesystem.get_file_info(FileSelector(f"{place}/metadata", allow_not_found=True))
    numbered = {info.base_name: NUMBER.fullmatch(info.base_name) for info in infos}
    numbers = {name: int(found[1]) for name, found in numbered.items() if found}
    newest = [name for name, number in numbers.items() if number == max(numbers.values())]
    if not newest:
        raise Unreadable("is not an Iceberg table", "Name the folder that holds metadata/.")
    if len(newest) > 1:
        raise Unreadable(
            f"has several newest versions: {', '.join(sorted(newest))}",
            "Name one of these files in its folder metadata/.",
        )
    return f"{folder.rstrip('/')}/metadata/{newest[0]}"
