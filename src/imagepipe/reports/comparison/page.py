"""The page that compares jobs: one self-contained file, which shows full-size pictures if they are
beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imagepipe.reports.comparison import tables
from imagepipe.reports.comparison.grid import Grid
from imagepipe.reports.comparison.job import Job
from imagepipe.reports.comparison.jobs import Comparison
from imagepipe.reports.comparison.pictures import pictures
from imagepipe.reports.comparison.tables import RATES
from imagepipe.reports.page import encodable, rendered
from imagepipe.sink.rows import Row

TEMPLATE = Path(__file__).with_name("comparison.html.j2")


def html(comparison: Comparison, grid: Grid, title: str, folder: Path) -> str:
    """Verdict, tables, charts and pictures of all jobs, for a file in `folder`.

    What jobs and prompts say is untrusted: it is escaped, and the page's policy lets only its own
    script run.
    """
    return rendered(
        TEMPLATE,
        {**_charts(comparison), **_pictures(comparison, grid, folder)},
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
    )


def _short(job: Job) -> str:
    """The swept values of a job, with the last words of their keys: steps=6."""
    return ", ".join(f"{key.rpartition('.')[2]}={value}" for key, value in job.swept.items()) or (
        job.label
    )


def _charts(comparison: Comparison) -> dict[str, Any]:
    """The data of the charts: one point per entry, each figure with its limits, [value, low,
    high].
    """
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
                    # Of jobs that cannot be held against others in both nobody can say it.
                    encodable(name): found.get(entry.label, "perhaps")
                    if len(found) > 1
                    else "perhaps"
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
    made = pictures(grid, folder)

    def text(said: str | None) -> int:
        return texts.setdefault(None if said is None else encodable(said), len(texts))

    def cell(place: int, row: Row | None) -> list[Any] | int:
        if row is None:
            return 0
        scores = [row.scores.get(name) for name in comparison.scores]
        small, file = (each.get(row.key, 0) for each in (made[place].small, made[place].files))
        return [text(row.prompt), str(row.seed), small, file, scores]

    return {
        "of": comparison.name,
        "folder": encodable(str(folder.absolute())),
        "jobs": [encodable(job.label) for job in grid.jobs],
        "short": [encodable(_short(job)) for job in grid.jobs],
        "scores": [encodable(name) for name in comparison.scores],
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
