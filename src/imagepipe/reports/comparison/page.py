"""The page that compares jobs: one file that needs nothing else, and that shows pictures in full
where those lie beside it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from imagepipe.reports.comparison import tables
from imagepipe.reports.comparison.grid import Grid
from imagepipe.reports.comparison.job import Job
from imagepipe.reports.comparison.jobs import Comparison
from imagepipe.reports.comparison.tables import RATES
from imagepipe.reports.gallery import at_once, chunks, encodable, rendered, webp
from imagepipe.sink.rows import Row

TEMPLATE = Path(__file__).with_name("comparison.html.j2")
SCRIPT = Path(__file__).with_name("comparison.js")
PIXELS = 40e6  # of all small pictures together: about 8 MB as WebP
SIDES = (72, 384)  # px of a small picture, least and most
AT_ONCE = 64  # pictures that are held in full while they are made small


def html(comparison: Comparison, grid: Grid, title: str, folder: Path) -> str:
    """Verdict, tables, charts and pictures of all jobs, for a file in `folder`.

    What jobs and prompts say is untrusted: it is escaped, and the page's policy lets only its own
    script run.
    """
    return rendered(
        TEMPLATE,
        title=encodable(title),
        sentence=encodable(comparison.verdict.sentence or "There is nothing to compare."),
        counts=comparison.counts(),
        remarks=[encodable(text) for text in comparison.said_beside],
        besides=[encodable(text) for text in comparison.besides()],
        sure=f"{100 * comparison.aim.level:g} %",
        verdict=tables.verdict(comparison),
        differences=tables.differences(comparison),
        votes=tables.votes(comparison),
        categories=tables.categories(comparison),
        columns=tables.columns(comparison),
        jobs=[tables.job(comparison, job) for job in comparison.jobs],
        stages=list(dict.fromkeys(name for job in comparison.jobs for name in job.utilisation)),
        lines=len(grid.lines),
        left_out=grid.left_out,
        data={**_charts(comparison), **_pictures(comparison, grid, folder)},
        script=SCRIPT.read_text("utf-8"),
    )


def _charts(comparison: Comparison) -> dict[str, Any]:
    """What the charts draw: a point an entry, each figure with its limits, [value, low, high]."""
    measures = [measure for measure, _ in comparison.measures]
    points = []
    for entry in comparison.entries:
        figures = {
            encodable(m.name): m.values[entry.label].as_json
            for m in measures
            if entry.label in m.values
        }
        if rate := comparison.rate(entry.runs[0]):  # too short for one with limits
            figures.setdefault("images_per_s", [rate, None, None])
        points.append(
            {
                "number": entry.numbers[0],
                "label": encodable(entry.label),
                "swept": {encodable(k): encodable(v) for k, v in entry.runs[0].swept.items()},
                "figures": figures,
                "front": {
                    encodable(name): found.get(entry.label, "")
                    for name, found in comparison.fronts.items()
                },
            }
        )
    return {
        "names": {"images_per_s": RATES[comparison.kind]},
        "measures": [encodable(measure.name) for measure in measures],
        "swept": [encodable(key) for key in comparison.swept],
        "points": points,
        "spreads": {encodable(n): each for n, each in tables.spreads(comparison).items()},
    }


def _pictures(comparison: Comparison, grid: Grid, folder: Path) -> dict[str, Any]:
    """The rows, [key, base prompt, category, cells]. A cell is [prompt, seed, small picture, file,
    scores], or 0 where there is no picture; prompts and categories are places among the `texts`.
    """
    texts: dict[str | None, int] = {None: 0}
    beside = [
        _beside(job, [line.cells[place] for line in grid.lines], folder)
        for place, job in enumerate(grid.jobs)
    ]
    small = _small(grid)

    def text(said: str | None) -> int:
        return texts.setdefault(None if said is None else encodable(said), len(texts))

    def cell(place: int, row: Row | None) -> list[Any] | int:
        if row is None:
            return 0
        scores = [row.scores.get(name) for name in comparison.scores]
        file = quote(row.path) if beside[place] is not None else 0
        return [text(row.prompt), str(row.seed), small[place].get(row.key, 0), file, scores]

    return {
        "of": comparison.name,
        "folder": encodable(str(folder.absolute())),
        "jobs": [encodable(job.label) for job in grid.jobs],
        "short": [encodable(", ".join(job.swept.values()) or job.label) for job in grid.jobs],
        "scores": [encodable(name) for name in comparison.scores],
        "beside": beside,
        "rows": [
            [
                encodable(line.key),
                text(line.base_prompt),
                text(line.category),
                [cell(*one) for one in enumerate(line.cells)],
            ]
            for line in grid.lines
        ],
        "groups": sorted({text(line.category) for line in grid.lines if line.category}),
        "texts": list(texts),
    }


def _beside(job: Job, rows: Sequence[Row | None], folder: Path) -> str | None:
    """Where the job's files are as seen from `folder`, as an address; null where there are none."""
    first = next((row.path for row in rows if row), "")
    if "://" in job.store.url or not first or not Path(job.store.url, first).is_file():
        return None
    return quote(Path(os.path.relpath(job.store.url, folder)).as_posix())


def _small(grid: Grid, pixels: float = PIXELS) -> list[dict[str, str]]:
    """Of each job the small pictures by their rows' keys, as many and as large as there is room."""
    pictures = sum(cell is not None for line in grid.lines for cell in line.cells)
    side = int(max(SIDES[0], min(SIDES[1], math.sqrt(pixels / max(1, pictures)))))
    lines = grid.lines[: int(pixels / side**2 / max(1, len(grid.jobs)))]

    def made(found: tuple[Row, bytes]) -> tuple[str, str]:
        return found[0].key, webp(found[1], side)

    every = []
    for place, job in enumerate(grid.jobs):
        rows = [row for line in lines if (row := line.cells[place])]
        each: dict[str, str] = {}
        for part in chunks(rows, AT_ONCE):
            each.update(at_once(made, list(job.pictures(part))))
        every.append(each)
    return every
