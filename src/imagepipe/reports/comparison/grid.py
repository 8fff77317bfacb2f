"""The same rows across all jobs: which pictures belong side by side, and a PNG of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagepipe.reports.comparison.job import Job
from imagepipe.reports.comparison.jobs import Comparison
from imagepipe.reports.contact_sheet import GAP, INK, font_for, line_height, wrapped
from imagepipe.reports.page import PAPER, encoded, fitted
from imagepipe.sink.results import order
from imagepipe.sink.rows import Row

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

MOST_PICTURES = 20_000  # of the page; of larger runs it has the first rows
SHEET_ROWS = 16
SIDES = (96, 256)  # px of a picture on the sheet, least and most
SHEET_WIDTH = 1800  # px that are aimed at


@dataclass(frozen=True)
class Line:
    """One row of the table. `cells` holds each job's result, or null, in the order of jobs."""

    key: str
    cells: Sequence[Row | None]
    category: str | None = None

    @property
    def base_prompt(self) -> str:
        return next(cell.base_prompt for cell in self.cells if cell)


@dataclass(frozen=True)
class Grid:
    """Rows by jobs; of repeats, which draw the same pictures, the first that finished.
    `left_out` rows are too many for it.
    """

    jobs: Sequence[Job]
    lines: Sequence[Line]
    left_out: int = 0

    @classmethod
    def of(cls, comparison: Comparison, most: int = MOST_PICTURES) -> Grid:
        """The rows for which any job has a picture."""
        every = [job for job in comparison.jobs if job.status != "PENDING"]
        by_label: dict[str, Job] = {}
        for job in sorted(every, key=lambda job: job.status != "FINISHED"):
            by_label.setdefault(job.label, job)
        jobs = sorted(by_label.values(), key=lambda job: job.number)
        keys = sorted(comparison.keys, key=order)
        kept = keys[: most // max(1, len(jobs))]
        columns = [job.shown(kept) for job in jobs]
        categories: dict[str, str] = {}
        for job in jobs:
            categories = {**job.categories, **categories}
        lines = [
            Line(key, [column.get(key) for column in columns], categories.get(key)) for key in kept
        ]
        return cls(jobs, lines, len(keys) - len(kept))


def sheet(grid: Grid) -> bytes:
    """One PNG: a line a row of the table, the first SHEET_ROWS; a column a job, named above."""
    from PIL import Image, ImageDraw

    jobs, lines = grid.jobs, grid.lines[:SHEET_ROWS]
    side = max(SIDES[0], min(SIDES[1], (SHEET_WIDTH - GAP) // (len(jobs) + 1) - GAP))
    font = font_for(side)
    step, line_px = side + GAP, line_height(font)
    heads = [wrapped(job.label, font, side) for job in jobs]
    top = GAP + line_px * max(head.count("\n") + 1 for head in heads) + GAP // 2
    size = (GAP + (len(jobs) + 1) * step, top + len(lines) * step)
    image = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        _write(draw, wrapped(line.base_prompt, font, side), GAP, top + number * step, side)
    for place, (job, head) in enumerate(zip(jobs, heads, strict=True)):
        x = GAP + (place + 1) * step
        _write(draw, head, x, GAP, side)
        wanted = [row for line in lines if (row := line.cells[place])]
        pictures = {row.key: fitted(png, side) for row, png in job.pictures(wanted)}
        for number, line in enumerate(lines):
            y = top + number * step
            if picture := pictures.get(line.key):
                image.paste(picture, (x, y))
            else:
                _write(draw, "no picture", x, y, side)
    return encoded(image, "PNG", compress_type=3)


def _write(draw: ImageDraw, text: str, x: int, y: int, side: int) -> None:
    font = font_for(side)
    for number, line in enumerate(text.split("\n")):
        draw.text((x, y + number * line_height(font)), line, INK, font)
