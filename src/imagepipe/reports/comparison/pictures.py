"""The pictures of a page: small ones inside it, and beside it those in full."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from imagepipe.reports.comparison.grid import Grid
from imagepipe.reports.comparison.job import Job
from imagepipe.reports.gallery import at_once, chunks, webp
from imagepipe.sink.rows import Row
from imagepipe.store import write_whole

PIXELS = 40e6  # of all small pictures together: about 8 MB as WebP
SIDES = (72, 384)  # px of a small picture, least and most
AT_ONCE = 64  # pictures that are held in full while they are made small
COPIES = "comparison_pictures"  # of those that are in tables, shards or buckets
MOST_COPIED = 1e9  # bytes


@dataclass(frozen=True)
class Pictures:
    """Of one job by its rows' keys: `small` in base64, and `files`, addresses as the page sees
    them."""

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
        copies, room = not files, most_copied / len(grid.jobs)
        first = [row for line in grid.lines[:few] if (row := line.cells[place])]
        for part in chunks(first, AT_ONCE):
            if room < 0 and "://" in job.store.url:
                break
            found = list(job.pictures(part))
            small.update(at_once(made, found))
            for row, content in found if copies else ():
                room -= len(content)
                if room >= 0:
                    files[row.key] = _copied(folder, f"{job.number}/{len(files)}", row, content)
        every.append(Pictures(small, files))
    return every


def _files(job: Job, rows: Sequence[Row], folder: Path) -> dict[str, str]:
    """Where the job's own files are as seen from `folder`; nothing where there are none."""
    if "://" in job.store.url or not (rows and Path(job.store.url, rows[0].path).is_file()):
        return {}
    base = quote(Path(os.path.relpath(job.store.url, folder)).as_posix())
    return {row.key: f"{base}/{quote(row.path)}" for row in rows}


def _copied(folder: Path, name: str, row: Row, content: bytes) -> str:
    name = f"{COPIES}/{name}{PurePosixPath(row.path).suffix}"
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    write_whole(folder / name, content)
    return name
