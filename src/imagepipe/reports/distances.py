"""The distance to a reference, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imagepipe.errors import figure
from imagepipe.reports.figures import between
from imagepipe.scoring.sets import METRICS

ALIKE = "compare only runs with the same number of pictures, features and reference"
OF_INCEPTION = "FID in papers uses Inception's features (distance=inception)"
# Of what `summary.json` has: what has to be equal where distances are compared.
CONDITIONS = ("pictures", "features", "reference", "reference_pictures")


def lines(found: Mapping[str, Any]) -> dict[str, str]:
    """What is told, by its title: both sets, whose features, and a line a figure."""
    sizes = {
        "pictures": ("pictures", "of", "left_out"),
        "reference": ("reference_pictures", "reference", "reference_left_out"),
    }
    said = {title: _set(*map(found.get, names)) for title, names in sizes.items()}
    said["features"] = f"{found['features']}, resized by its own processor"
    return {**said, **figures(found), "note": f"{ALIKE}; {OF_INCEPTION}"}


def figures(found: Mapping[str, Any]) -> dict[str, str]:
    """A line a metric."""
    each = {name: found[name] for name in METRICS if name in found}
    return {name: one if isinstance(one, str) else _figure(one) for name, one in each.items()}


def in_summary(found: Mapping[str, Any]) -> list[str]:
    """The lines of a run's own terminal."""
    if trouble := found.get("trouble"):
        return [f"to {found['reference']} cannot be measured: {trouble}"]
    left = "; ".join(filter(None, (found["left_out"], found["reference_left_out"])))
    head = (
        f"of {found['pictures']} pictures to {found['reference_pictures']} in "
        f"{found['reference']}, by {found['features']}{left and f'; {left}'}"
    )
    return [head, *(f"{name:<9} {said}" for name, said in figures(found).items())]


def uneven(found: Sequence[Mapping[str, Any]]) -> str | None:
    """Why distances must not be compared; null if they may."""
    told = [one for one in found if "trouble" not in one]
    for name in CONDITIONS:
        values = list(dict.fromkeys(one[name] for one in told))
        if len(values) > 1:
            what = name.replace("_", " ")
            return f"distances are not comparable: {what} differ ({values[0]} and {values[1]})"
    return None


def _set(count: Any, place: Any, left_out: Any) -> str:
    return f"{count} in {place}{left_out and f', and {left_out}'}"


def _figure(one: Mapping[str, float]) -> str:
    value = between(one["value"], one["low"], one["high"], digits=4)
    return f"{value}, {figure(one['bias'], 2, '+')} of it because there are few pictures"
