"""Writes a comparison into a folder: `comparison.html`, `comparison.png` and `comparison.json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from imagepipe.config import Sweep
from imagepipe.reports.comparison import record, votes
from imagepipe.reports.comparison.grid import Grid, sheet
from imagepipe.reports.comparison.jobs import Comparison, collect
from imagepipe.reports.comparison.page import html
from imagepipe.reports.comparison.runs import compared
from imagepipe.store import write_whole

PAGE, SHEET = "comparison.html", "comparison.png"


def write(folder: Path, aim: Sweep) -> Comparison:
    """Compare the jobs of the sweep in `folder`, however they ended, and write what there is to
    look at."""
    return _written(folder, collect(folder, aim), ())


def write_runs(folder: Path, runs: Sequence[Path], aim: Sweep, by: str | None) -> Comparison:
    """Compare the `runs`, and write what there is to look at into `folder`. Raises UserError."""
    return _written(folder, compared(runs, aim, by), runs)


def write_again(folder: Path) -> Comparison:
    """Make the comparison in `folder` again, with the votes that are there now. Raises UserError
    where there is none."""
    found, runs = record.read(folder)
    return _written(folder, found, runs)


def _written(folder: Path, comparison: Comparison, runs: Sequence[Path]) -> Comparison:
    found, left_out = votes.kept(
        folder, comparison.name, comparison.labels, lambda: comparison.keys
    )
    comparison = replace(comparison, votes=found, remarks=[*comparison.remarks, *left_out])
    grid = Grid.of(comparison)
    title = "Runs" if runs else f"Sweep {folder.name}"
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / PAGE, html(comparison, grid, title, folder).encode())
    if grid.lines:
        write_whole(folder / SHEET, sheet(grid))
    record.write(folder, comparison, runs)
    return comparison
