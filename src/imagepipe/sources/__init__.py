"""Input tables: scanned before the run, then read and joined with Ray Data."""

from __future__ import annotations

from imagepipe.sources.blocks import broken_file, first_cells
from imagepipe.sources.fingerprint import fingerprint
from imagepipe.sources.keys import keys_of
from imagepipe.sources.read import read
from imagepipe.sources.scan import scan
from imagepipe.sources.tables import Join, Table, Tables

__all__ = [
    "Join",
    "Table",
    "Tables",
    "broken_file",
    "fingerprint",
    "first_cells",
    "keys_of",
    "read",
    "scan",
]
