"""The tables of the page: results, categories, votes, and the jobs themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from imagepipe.reports import figures, means, statistics
from imagepipe.reports.comparison.job import Job
from imagepipe.reports.comparison.jobs import Comparison
from imagepipe.reports.comparison.measures import Entry, in_words, limits_of
from imagepipe.reports.comparison.verdict import Verdict
from imagepipe.reports.comparison.votes import NAME, percent, won
from imagepipe.reports.page import encodable
from imagepipe.reports.statistics import Interval
from imagepipe.scoring.sets import METRICS

RATES = {"steady": "pictures/s, steady", "end_to_end": "pictures/s, end to end"}
ON_FRONT = {"surely": "yes", "perhaps": "perhaps", "not": "no"}
BINS = 24
MOST_CATEGORIES = 60
Scores = Mapping[str, Mapping[str, float]]  # {label: {row: score}}


def verdict(comparison: Comparison) -> dict[str, Any]:
    """One entry per line, the best first, with each measure's figure and its difference from the
    baseline.
    """
    verdicts = [one for one in comparison.verdicts if one.standings]
    order = [s.entry for one in verdicts for s in one.standings]
    base = next((s.entry.label for one in verdicts for s in one.standings if not s.against), "")
    return {
        "measures": [
            encodable(RATES[comparison.kind] if one.measure == "images_per_s" else one.measure)
            for one in verdicts
        ],
        "baseline": encodable(base),
        "fronts": [encodable(name) for name, found in comparison.fronts.items() if len(found) > 1],
        "rows": [
            _line(comparison, entry, verdicts)
            for entry in {one.label: one for one in order}.values()
        ],
    }


def _line(comparison: Comparison, entry: Entry, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    found = [{s.entry.label: s for s in one.standings}.get(entry.label) for one in verdicts]
    return {
        "label": encodable(entry.label),
        "best": bool(verdicts) and entry in comparison.verdict.best,
        "figures": [
            {"value": s.said, "against": s.apart, "told": s.told} if s else None for s in found
        ],
        "fronts": [
            ON_FRONT.get(each.get(entry.label, ""), "")
            for each in comparison.fronts.values()
            if len(each) > 1
        ],
    }


def differences(comparison: Comparison) -> dict[str, Any] | None:
    """What differs between runs that are no sweep's."""
    if not comparison.differences:
        return None
    return {
        "labels": [encodable(job.label) for job in comparison.jobs],
        "rows": [
            {"key": encodable(one["key"]), "values": [encodable(str(v)) for v in one["values"]]}
            for one in comparison.differences
        ],
    }


def votes(comparison: Comparison) -> dict[str, Any] | None:
    """How many blind votes each job won, and how far each score agrees with them."""
    if not comparison.votes:
        return None
    level, each = comparison.aim.level, comparison.votes
    expected = {measure.name: measure.values for measure, _ in comparison.measures}[NAME]
    rows = []
    for label in sorted(expected, key=lambda label: -expected[label].value):
        share, decided = won(each, label, level)
        rows.append(
            {
                "label": encodable(label),
                "decided": decided,
                "won": percent(share) if decided else "–",
                "expected": percent(expected[label]),
            }
        )
    return {
        "count": len(each),
        "rows": rows,
        "agreement": [
            {"name": encodable(name), "share": percent(found[0]), "rows": found[1]}
            for name, found in comparison.agreement.items()
        ],
    }


def categories(comparison: Comparison) -> list[dict[str, Any]]:
    """A table for each score: one category per line, one entry per column, over the rows that
    all have. `told`: the difference from the baseline is clear, corrected for all cells (Holm).
    """
    of_row: dict[str, str] = {}
    for entry in comparison.entries:
        of_row = {**entry.runs[0].categories, **of_row}
    found = [_categories(comparison, name, of_row) for name in comparison.scores] if of_row else []
    return [table for table in found if table["rows"]]


def _categories(comparison: Comparison, name: str, of_row: Mapping[str, str]) -> dict[str, Any]:
    scores = {label: each for label, each in comparison.row_scores(name).items() if each}
    common = sorted(set.intersection(*map(set, scores.values()))) if scores else []
    rows: dict[str, list[str]] = {}
    for row in common:
        rows.setdefault(of_row.get(row, "none"), []).append(row)
    level, base = comparison.aim.level, _baseline(comparison, name, list(scores))
    low, high = limits_of([entry for entry in comparison.entries if entry.label in scores], name)
    values = {
        (category, label): np.array([each[row] for row in rows[category]])
        for category in sorted(rows)[:MOST_CATEGORIES]
        for label, each in scores.items()
    }
    apart = {
        (category, label): statistics.paired(each, values[category, base], level, most=high - low)
        for (category, label), each in values.items()
        if label != base
    }
    told = statistics.holm({place: one.p for place, one in apart.items()}, level)

    def cell(category: str, label: str) -> dict[str, Any]:
        place = (category, label)
        up = told.get(place) and math.copysign(1, apart[place].interval.value)
        return {"value": in_words(means.average(values[place], level, (low, high))), "up": up or 0}

    return {
        "name": encodable(name),
        "labels": [encodable(label) for label in scores],
        "baseline": encodable(base),
        "rows": [
            {
                "name": encodable(category),
                "count": len(rows[category]),
                "cells": [cell(category, label) for label in scores],
            }
            for category in dict.fromkeys(category for category, _ in values)
        ],
    }


def _baseline(comparison: Comparison, name: str, labels: Sequence[str]) -> str:
    found = next((one for one in comparison.verdicts if one.measure == name), None)
    own = [s.entry.label for s in (found.standings if found else []) if s.against is None]
    return next((label for label in own if label in labels), labels[0] if labels else "")


def spreads(comparison: Comparison) -> dict[str, Any]:
    """{score: the number of rows of each entry in each of BINS between `low` and `high`}."""
    found: dict[str, Any] = {}
    for name in comparison.scores:
        values = {
            encodable(label): np.array(list(scores.values()))
            for label, scores in comparison.row_scores(name).items()
            if scores
        }
        every = np.concatenate(list(values.values())) if values else np.array([])
        if len(every) and every.min() < every.max():
            limits = float(every.min()), float(every.max())
            counts = {n: np.histogram(v, BINS, limits)[0].tolist() for n, v in values.items()}
            found[name] = {"low": limits[0], "high": limits[1], "counts": counts}
    return found


def columns(comparison: Comparison) -> list[dict[str, str]]:
    """The columns of the table of jobs: their keys in a job's `cells`, and their titles."""
    swept = [{"key": f"swept {key}", "name": encodable(key)} for key in comparison.swept]
    scores = [{"key": f"score {name}", "name": encodable(name)} for name in comparison.scores]
    priced = any(_price(job) is not None for job in comparison.jobs)
    reused = any(job.reused for job in comparison.jobs)
    far = {name for job in comparison.jobs for name in _distances(job)}
    return [
        {"key": "job", "name": "job"},
        *swept,
        {"key": "status", "name": "status"},
        {"key": "rate", "name": RATES[comparison.kind]},
        *scores,
        *({"key": f"distance {name}", "name": name} for name in METRICS if name in far),
        {"key": "first", "name": "first picture, s"},
        {"key": "pictures", "name": "pictures"},
        {"key": "failed", "name": "rows failed"},
        *([{"key": "price", "name": "price of 1,000"}] if priced else []),
        *([{"key": "reused", "name": "rows reused"}] if reused else []),
        {"key": "others", "name": "CPUs used by others"},
        {"key": "trouble", "name": "reason"},
    ]


def _distances(one: Job) -> dict[str, dict[str, float]]:
    """{metric: its figure} of the job's distance to a reference."""
    found = one.summary.get("distance") or {}
    return {name: found[name] for name in METRICS if isinstance(found.get(name), dict)}


def _mean(one: Job, name: str, level: float) -> Interval | None:
    """From a job's figures of a score; null if the number of pictures is unknown."""
    score = one.scores[name]
    if not (count := int(score.get("count") or 0)):
        return None
    share, limits = bool(score.get("share")), one.limits(name)
    return means.of_mean(score["mean"], score["std"], count, level, limits, is_share=share)


def _price(one: Job) -> float | None:
    """Of 1,000 pictures."""
    return ((one.summary.get("cost") or {}).get("per_1000_pictures") or {}).get("price")


def job(comparison: Comparison, one: Job) -> dict[str, Any]:
    """A line of that table; figures with their `limits`, if they have any."""
    rates = one.summary.get("images_per_s") or {}
    steady = comparison.kind == "steady" and "steady_low" in rates
    limits = {"rate": (rates["steady_low"], rates["steady_high"])} if steady else {}
    for name in one.scores:
        if found := _mean(one, name, comparison.aim.level):
            limits[f"score {name}"] = found.low, found.high
    far = _distances(one)
    limits |= {f"distance {name}": (each["low"], each["high"]) for name, each in far.items()}
    others = (one.summary.get("machine") or {}).get("others") or {}
    return {
        "number": one.number,
        "label": encodable(one.label),
        "status": one.status,
        "best": any(one.number in entry.numbers for entry in comparison.verdict.best),
        "busy": encodable(one.busy),
        "utilisation": one.utilisation,
        "limits": {name: figures.limits(*each, digits=4) for name, each in limits.items()},
        "cells": {
            "job": one.number,
            **{f"swept {key}": encodable(value) for key, value in one.swept.items()},
            "status": one.status,
            "rate": comparison.rate(one),
            **{f"score {name}": score["mean"] for name, score in one.scores.items()},
            **{f"distance {name}": each["value"] for name, each in far.items()},
            "first": one.summary.get("time_to_first_image_s"),
            "pictures": one.summary.get("pictures"),
            "failed": one.summary.get("failed"),
            "price": _price(one),
            "reused": ", ".join(f"{stage} {rows}" for stage, rows in one.reused.items()) or None,
            "others": others.get("cpus"),
            "trouble": encodable(one.trouble),
        },
    }
