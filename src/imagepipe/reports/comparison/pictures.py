"""The pictures of a page: small ones inside it, full-size ones beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from imagepipe.reports.beside import MOST_COPIED, Copies, files_of
from imagepipe.reports.comparison.grid import Grid
from imagepipe.reports.comparison.job import Job
from imagepipe.reports.page import at_once, chunks, webp
from imagepipe.sink.rows import Row

PIXELS = 40e6  # of all small pictures together: about 8 MB as WebP
SIDES = (72, 384)  # px of a small picture, least and most
AT_ONCE = 64  # pictures that are held in full while they are made small
COPIES = "comparison_pictures"  # of those that are in tables, shards or buckets


@dataclass(frozen=True)
class Pictures:
    """The pictures of one job, by their rows' keys: `small` in base64, and `files`, their
    addresses for the page.
    """

    small: Mapping[str, str]
    files: Mapping[str, str]


def pictures(
    grid: Grid, folder: Path, pixels: float = PIXELS, most_copied: float = MOST_COPIED
) -> list[Pictures]:
    """Of each job, for a page in `folder`: small ones, as many and as large as there is room.

    Where a job's pictures are no files here, those that are made small are copied beside the page,
    and from a bucket no more are fetched than `most_copied` bytes, which are shared out by job.
    """
    count = sum(cell is not None for line in grid.lines for cell in line.cells)
    side = int(max(SIDES[0], min(SIDES[1], math.sqrt(pixels / max(1, count)))))
    few = int(pixels / side**2 / max(1, len(grid.jobs)))

    def made(found: tuple[Row, bytes]) -> tuple[str, str]:
        return found[0].key, webp(found[1], side)

    every = []
    for place, job in enumerate(grid.jobs):
        small: dict[str, str] = {}
        files = _files(job, [row for line in grid.lines if (row := line.cells[place])], folder)
        is_file, copies = bool(files), Copies(folder, COPIES, most_copied / len(grid.jobs))
        first = [row for line in grid.lines[:few] if (row := line.cells[place])]
        for part in chunks(first, AT_ONCE):
            if copies.room < 0 and "://" in job.store.url:
                break
            found = list(job.pictures(part))
            small.update(at_once(made, found))
            for row, content in found if not is_file else ():
                name = f"{job.number}/{len(files)}{PurePosixPath(row.path).suffix}"
                if copy := copies.add(name, content):
                    files[row.key] = copy
        every.append(Pictures(small, files))
    return every


def _files(job: Job, rows: Sequence[Row], folder: Path) -> dict[str, str]:
    """The address of the job's own files, relative to `folder`; empty without files."""
    base = files_of(job.store, folder)
    if base is None or not (rows and Path(job.store.url, rows[0].path).is_file()):
        return {}
    return {row.key: f"{base}/{quote(row.path)}" for row in rows}
