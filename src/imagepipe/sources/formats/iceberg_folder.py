"""A catalog for Iceberg tables that are named only by their metadata file."""

from __future__ import annotations

from pyiceberg.catalog.noop import NoopCatalog
from pyiceberg.table import StaticTable, Table
from pyiceberg.typedef import Identifier


class FolderCatalog(NoopCatalog):
    """What pyiceberg and Ray Data load by a catalog's name and a table's."""

    def load_table(self, identifier: str | Identifier) -> Table:
        """The table whose *.metadata.json `identifier` is."""
        return StaticTable.from_metadata(str(identifier))
