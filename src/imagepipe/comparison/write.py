"""Leaves the comparison in the sweep's folder: `comparison.html` and `comparison.png`."""

from __future__ import annotations

from pathlib import Path

from imagepipe.comparison.grid import Grid, sheet
from imagepipe.comparison.jobs import Comparison, collect
from imagepipe.comparison.page import html
from imagepipe.config import Sweep
from imagepipe.store import write_whole

PAGE, SHEET = "comparison.html", "comparison.png"


def write(folder: Path, aim: Sweep) -> Comparison:
    """Compare the jobs in `folder`, however they ended, and write what there is to look at."""
    comparison = collect(folder, aim)
    grid = Grid.of(comparison)
    write_whole(folder / PAGE, html(comparison, grid, f"Sweep {folder.name}").encode())
    if grid.rows:
        write_whole(folder / SHEET, sheet(comparison, grid))
    return comparison
