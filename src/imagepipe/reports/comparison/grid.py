"""The same rows across all jobs: which pictures belong side by side, and one PNG of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagepipe.reports.comparison.jobs import Comparison
from imagepipe.reports.gallery import (
    GAP,
    INK,
    PAPER,
    encoded,
    fitted,
    font_for,
    line_height,
    wrapped,
)
from imagepipe.sink.results import Picture

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

ROWS = 16  # at most: the first eight of each job are the same ones, unless the table is swept
SIDES = (96, 256)  # px of a picture on the sheet, least and most
SHEET_WIDTH = 1800  # px that are aimed at


@dataclass(frozen=True)
class Row:
    """One row of the table. `cells` holds a picture or null for each job, in their order."""

    id: str
    cells: Sequence[Picture | None]

    @property
    def base_prompt(self) -> str:
        return next(cell.base_prompt for cell in self.cells if cell)


@dataclass(frozen=True)
class Grid:
    """Rows by jobs."""

    rows: Sequence[Row]

    @classmethod
    def of(cls, comparison: Comparison) -> Grid:
        """Of the pictures that the jobs left; rows of which no job has one are left out."""
        columns = [{picture.id: picture for picture in job.pictures()} for job in comparison.jobs]
        ids = list(dict.fromkeys(name for column in columns for name in column))
        return cls([_row(name, columns) for name in ids[:ROWS]])


def _row(name: str, columns: Sequence[Mapping[str, Picture]]) -> Row:
    return Row(name, [column.get(name) for column in columns])


def sheet(comparison: Comparison, grid: Grid) -> bytes:
    """One PNG: a line a row of the table, a column a job, named above."""
    from PIL import Image, ImageDraw

    jobs = comparison.jobs
    side = max(SIDES[0], min(SIDES[1], (SHEET_WIDTH - GAP) // (len(jobs) + 1) - GAP))
    font = font_for(side)
    step, line = side + GAP, line_height(font)
    heads = [wrapped(job.label, font, side) for job in jobs]
    top = GAP + line * max(head.count("\n") + 1 for head in heads) + GAP // 2
    size = (GAP + (len(jobs) + 1) * step, top + len(grid.rows) * step)
    image = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(image)
    for place, head in enumerate(heads):
        _write(draw, head, GAP + (place + 1) * step, GAP, side)
    for number, row in enumerate(grid.rows):
        y = top + number * step
        _write(draw, wrapped(row.base_prompt, font, side), GAP, y, side)
        for place, picture in enumerate(row.cells):
            if picture:
                image.paste(fitted(picture.png, side), (GAP + (place + 1) * step, y))
            else:
                _write(draw, "no picture", GAP + (place + 1) * step, y, side)
    return encoded(image, "PNG", compress_type=3)


def _write(draw: ImageDraw, text: str, x: int, y: int, side: int) -> None:
    font = font_for(side)
    for number, line in enumerate(text.split("\n")):
        draw.text((x, y + number * line_height(font)), line, INK, font)
