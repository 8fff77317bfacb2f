"""The page that compares the jobs of a sweep: one file that needs nothing else."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from imagepipe.reports.comparison.grid import Grid, Row
from imagepipe.reports.comparison.job import Job
from imagepipe.reports.comparison.jobs import Comparison, front
from imagepipe.reports.gallery import at_once, data_uri, encodable, rendered

TEMPLATE = Path(__file__).with_name("comparison.html.j2")
PIXELS = 15e6  # of all pictures together: about 3 MB as WebP
SIDES = (128, 512)  # px of a picture in the page, least and most
RATES = {"steady": "pictures/s, steady", "end_to_end": "pictures/s, end to end"}


def html(comparison: Comparison, grid: Grid, title: str) -> str:
    """Table, charts and pictures of all jobs, with a script of its own and nothing from outside.

    What jobs and prompts say is untrusted: it is escaped, and the page's policy lets only its own
    script run.
    """
    pictures = sum(cell is not None for row in grid.rows for cell in row.cells)
    side = int(max(SIDES[0], min(SIDES[1], math.sqrt(PIXELS / max(1, pictures)))))
    return rendered(
        TEMPLATE,
        title=encodable(title),
        headline=encodable(comparison.headline()),
        rate=RATES[comparison.kind],
        verdict=_verdict(comparison),
        columns=_columns(comparison),
        jobs=[_job(comparison, job) for job in comparison.jobs],
        stages=list(dict.fromkeys(name for job in comparison.jobs for name in job.utilisation)),
        rows=at_once(lambda row: _row(row, side), grid.rows),
        data=_data(comparison),
    )


def _verdict(comparison: Comparison) -> dict[str, Any]:
    """The entries, the best first, each with its interval and against the baseline."""
    verdict = comparison.verdict
    base = next((s.entry.label for s in verdict.standings if s.against is None), "")
    return {
        "sure": f"{100 * verdict.level:g} %",
        "measure": encodable(verdict.measure),
        "baseline": encodable(base),
        "rows": [
            {
                "label": encodable(standing.entry.label),
                "best": standing.entry in verdict.best,
                "value": standing.said,
                "against": standing.apart,
                "told": standing.told,
            }
            for standing in verdict.standings
        ],
    }


def _columns(comparison: Comparison) -> list[dict[str, str]]:
    """Of the table: their keys in a job's `cells`, and what they are called."""
    swept = [{"key": f"swept {key}", "name": encodable(key)} for key in comparison.swept]
    scores = [{"key": f"score {name}", "name": encodable(name)} for name in comparison.scores]
    return [
        {"key": "job", "name": "job"},
        *swept,
        {"key": "status", "name": "state"},
        {"key": "rate", "name": RATES[comparison.kind]},
        *scores,
        {"key": "first", "name": "s to the first"},
        {"key": "pictures", "name": "pictures"},
        {"key": "failed", "name": "rows failed"},
        {"key": "trouble", "name": "reason"},
    ]


def _job(comparison: Comparison, job: Job) -> dict[str, Any]:
    return {
        "number": job.number,
        "label": encodable(job.label),
        "status": job.status,
        "best": any(job.number in entry.numbers for entry in comparison.verdict.best),
        "utilisation": job.utilisation,
        "cells": {
            "job": job.number,
            **{f"swept {key}": encodable(value) for key, value in job.swept.items()},
            "status": job.status,
            "rate": comparison.rate(job),
            **{f"score {name}": value for name, value in job.scores.items()},
            "first": job.summary.get("time_to_first_image_s"),
            "pictures": job.summary.get("pictures"),
            "failed": job.summary.get("failed"),
            "trouble": encodable(job.trouble),
        },
    }


def _data(comparison: Comparison) -> dict[str, Any]:
    """What the charts draw: the finished jobs, and the Pareto front of each score."""
    points = [
        {
            "number": job.number,
            "label": encodable(job.label),
            "swept": {encodable(key): encodable(value) for key, value in job.swept.items()},
            "rate": comparison.rate(job),
            "scores": {encodable(name): value for name, value in job.scores.items()},
        }
        for job in comparison.finished
        if comparison.rate(job) is not None
    ]
    return {
        "rate": RATES[comparison.kind],
        "swept": [encodable(key) for key in comparison.swept],
        "scores": [encodable(name) for name in comparison.scores],
        "points": points,
        "fronts": {encodable(name): _front(points, name) for name in comparison.scores},
    }


def _front(points: list[dict[str, Any]], score: str) -> list[int]:
    """The numbers of the jobs on the front, by their rate."""
    scored = [point for point in points if encodable(score) in point["scores"]]
    places = front([(point["rate"], point["scores"][encodable(score)]) for point in scored])
    return [scored[place]["number"] for place in places]


def _row(row: Row, side: int) -> dict[str, Any]:
    return {
        "id": encodable(row.id),
        "base_prompt": encodable(row.base_prompt),
        "cells": [
            cell
            and {
                "prompt": encodable(cell.prompt),
                "seed": cell.seed,
                "image": data_uri(cell.png, side),
            }
            for cell in row.cells
        ],
    }
