"""The scores of a run, over all rows and for each category: means with their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from imagepipe.reports import means
from imagepipe.reports.figures import TOO_FEW
from imagepipe.reports.means import UNLIMITED, Limits
from imagepipe.reports.statistics import Interval
from imagepipe.sink.groups import WHOLE, Groups, grouped
from imagepipe.sink.ledger import Scores
from imagepipe.store import Store

MOST_LINES = 24  # of categories on a terminal; the summary has all
ALL_ROWS = "all rows"


def mean(scores: Scores, level: float, limits: Limits = UNLIMITED) -> Interval:
    """Of the mean of rows, by `means.of_mean`, of scores that lie between `limits`."""
    value = scores.total / scores.count
    spread = math.sqrt(max(0.0, scores.squares / scores.count - value**2))
    return means.of_mean(value, spread, scores.count, level, limits, is_share=is_share(scores))


def is_share(scores: Scores) -> bool:
    """Whether every score is 0 or 1: only of those the sum of squares is the sum."""
    inside = scores.least >= 0 and scores.most <= 1
    return inside and math.isclose(scores.squares, scores.total, rel_tol=1e-9)


def limits(summary: Mapping[str, Any]) -> dict[str, Limits]:
    """Of a run's summary: between what each score lies, by its name, where its scorer says it."""
    found: dict[str, list[float | None]] = summary.get("score_limits") or {}
    return {
        name: (
            -math.inf if low is None else low,
            math.inf if high is None else high,
        )
        for name, (low, high) in found.items()
    }


def add(
    summary: dict[str, Any],
    store: Store,
    id: str,
    category: str | None,
    columns: Mapping[str, str],
    level: float,
) -> None:
    """Add to a summary what the table says of its scores: intervals, and the same by category.

    `scores` gets, beside the running figures of all pictures, `rows`, `low`, `high` and `share` of
    all rows; `categories` is {category: {score: rows, mean, low, high, share}}. `columns` are the
    scores' by their names.
    """
    groups = grouped(store, id, category, columns) if columns else {}
    found = figures(groups, level, limits(summary))
    for name, figure in found.pop(WHOLE, {}).items():
        summary["scores"][name] = figure | summary["scores"].get(name, {})
    summary["categories"] = found if category else {}


def lines(summary: Mapping[str, Any]) -> list[str]:
    """The scores of a run for a terminal: a table where there are categories or shares."""
    scores, categories = summary["scores"], summary.get("categories") or {}
    whole = {name: one for name, one in scores.items() if "rows" in one}
    if whole and (categories or any(one["share"] for one in whole.values())):
        return table({WHOLE: whole, **categories})
    return [f"{one['mean']:z.2f} ± {one['std']:.2f} by {name}" for name, one in scores.items()]


def figures(
    groups: Groups, level: float, limits: Mapping[str, Limits] | None = None
) -> dict[str, dict[str, Any]]:
    """{category: {score: rows, mean, low, high, share}}, as `summary.json` has them.

    `low` and `high` are null if there is no interval, and else within the score's `limits`;
    `share`: every score is 0 or 1.
    """
    known = limits or {}
    return {
        category: {
            name: _figure(one, level, known.get(name, UNLIMITED))
            for name, one in scores.items()
            if one.count
        }
        for category, scores in sorted(groups.items())
    }


def _figure(scores: Scores, level: float, limits: Limits) -> dict[str, Any]:
    found = mean(scores, level, limits)
    known = math.isfinite(found.low)
    return {
        "rows": scores.count,
        "mean": found.value,
        "low": found.low if known else None,
        "high": found.high if known else None,
        "share": is_share(scores),
    }


def table(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """A line a category below the scores' names, all rows last: shares in percent.

    `found` as `figures` gives it. Of a long list of categories the first are shown.
    """
    names = list(found[WHOLE])
    categories = [category for category in found if category != WHOLE]
    scorer = f"{names[0].rpartition('_')[0]}_"
    of_one = len(names) > 1 and all(name.startswith(scorer) for name in names)
    lines = [["", *(name.removeprefix(scorer) if of_one else name for name in names)]]
    lines += [_line(category, found[category], names) for category in categories[:MOST_LINES]]
    lines.append(_line(ALL_ROWS, found[WHOLE], names))
    if len(categories) > MOST_LINES:
        lines.insert(-1, [f"... and {len(categories) - MOST_LINES} more", *[""] * len(names)])
    return _aligned(lines)


def _line(label: str, scores: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    rows = max((one["rows"] for one in scores.values()), default=0)
    return [f"{label} ({rows})", *(said(scores[name]) if name in scores else "" for name in names)]


def said(figure: Mapping[str, Any]) -> str:
    """A mean with its interval: 97.5 % (95.4 to 98.6), or 24.31 (23.90 to 24.72)."""
    scale, digits, unit = (100, 1, " %") if figure["share"] else (1, 2, "")
    value = f"{scale * figure['mean']:z.{digits}f}{unit}"
    if figure["low"] is None:
        return f"{value} ({TOO_FEW})"
    low, high = (f"{scale * figure[end]:z.{digits}f}" for end in ("low", "high"))
    return f"{value} ({low} to {high})"


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
