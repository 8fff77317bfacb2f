"""Leaves the comparison in the sweep's folder: `comparison.html` and `comparison.png`."""

from __future__ import annotations

from pathlib import Path

from imagepipe.config import Sweep
from imagepipe.reports.comparison.grid import Grid, sheet
from imagepipe.reports.comparison.jobs import Comparison, collect
from imagepipe.reports.comparison.page import html
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
