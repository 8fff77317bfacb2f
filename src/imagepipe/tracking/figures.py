"""Which figures of a summary are metrics, and under which names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

NESTED = {
    "images_per_s": "images_per_s",
    "cost": "price",  # behind the rates: MLflow draws the first ones by name
    "stages": "stage",
    "scores": "score",
    "categories": "category",
    "distance": "distance",
    "llm": "llm",
    "reused": "reused",
    "machine": "machine",
}  # of a summary, and their prefix
KEY_LIMIT = 250  # characters; mlflow.utils.validation


def figures(summary: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The figures of a summary; its texts, and its counts by somebody's words, are no metrics."""
    for key, value in summary.items():
        if key in NESTED:
            yield from ((f"{NESTED[key]}/{name}", number) for name, number in _flat(value))
    yield from ((key, float(value)) for key, value in summary.items() if _is_number(value))


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}/{name}", number) for name, number in _flat(value))
        elif _is_number(value):
            yield key, float(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def metric_name(name: str) -> str:
    """`name` with what MLflow takes in a metric's name: letters of any script, digits, and parts
    that a path keeps as they are. One name that it refuses would cost all metrics beside it.
    """
    plain = re.sub(r"[^\w.\-: /]", "_", name)
    parts = (part if part.strip(".") else "_" for part in plain.split("/"))
    return "/".join(parts)[:KEY_LIMIT].rstrip("/.")
