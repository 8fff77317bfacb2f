"""Notes on a table for the user, before it is read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imagepipe.sources import files, folders
from imagepipe.sources.columns import Together

if TYPE_CHECKING:
    from imagepipe.sources.scan_table import Scanned


def notes(scanned: Scanned, columns: Together) -> Iterator[str]:
    """What the user should know of the table before it is read."""
    base = scanned.found.base
    if scanned.left_out:
        number = f"{len(scanned.left_out)} of {len(scanned.left_out) + len(scanned.files)} files"
        yield f"{number} are not read: {files.shown(scanned.left_out, base)}"
    for name, path in folders.missed(scanned.found.paths, base).items():
        yield (
            f"folders {name}=... are no column, because not all files are in one, such as "
            f"{path.removeprefix(base).strip('/')}"
        )
    for name in scanned.folders:
        if any(name in schema.names for schema in scanned.schemas.values()):
            yield f"column {name!r} is what the folders {name}=... say, not what the files hold"
    for name, why in list(columns.left_out.items())[: files.SHOWN]:
        yield f"column {name!r} is left out: it {why}"
    if len(columns.left_out) > files.SHOWN:
        yield f"{len(columns.left_out) - files.SHOWN} more columns are left out"
    for name, cells in (+scanned.no_value).items():
        yield (
            f"{cells:,} of the cells of {name!r} say that a value is missing (NA, NULL, ...), "
            "and are drawn as they stand"
        )
    if scanned.not_utf8:
        first, more = scanned.not_utf8[0], len(scanned.not_utf8) - 1
        others = f" and {more} more files hold" if more else " holds"
        yield (
            f"{os.path.basename(first)}{others} bytes that are not UTF-8: they are kept as U+FFFD, "
            "and fail a row whose id, key or prompt they stand in. Save the file as UTF-8, "
            "or name its encoding, such as dataset.read={encoding: cp1252} for a CSV"
        )
