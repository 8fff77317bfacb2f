"""Reads a run's table row by row, for a comparison.

A row is known by its `key`: the column of ids, or another that several runs share. If several rows
share a key, or a row has several pictures, the first one stands for them, and the score is their
mean.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

from imagepipe.sink.parts import encoded, written_parts
from imagepipe.store import Store

SHOWN = ("base_prompt", "prompt", "seed", "image_path")


@dataclass(frozen=True)
class Row:
    """A row with a picture: `path` is that of its first one, `place` its row in the `part`."""

    key: str
    base_prompt: str
    prompt: str
    seed: int
    path: str
    part: str
    place: int
    scores: Mapping[str, float]  # by name, those that it has


def values(store: Store, key: str, column: str) -> dict[str, Any]:
    """{row's key: its value in `column`}, in the table's order; empty without that column."""
    found: dict[str, Any] = {}
    for _, table in _read(store, [key, column]):
        if column in table:
            for name, value in zip(table[key], table[column], strict=True):
                found.setdefault(str(name), value)
    return found


def scores(store: Store, key: str, column: str) -> dict[str, float]:
    """{row's key: its mean in `column`}, over finite numbers."""
    found: dict[str, list[float]] = {}
    for _, table in _read(store, [key, column]):
        for name, score in zip(table[key], table.get(column, []), strict=False):
            if is_score(score):
                found.setdefault(str(name), []).append(score)
    return {name: sum(each) / len(each) for name, each in found.items()}


def is_score(value: Any) -> bool:
    """Whether it can be compared; null and NaN cannot."""
    return isinstance(value, int | float) and math.isfinite(value)


def chosen(
    store: Store, key: str, wanted: Collection[str], columns: Mapping[str, str]
) -> dict[str, Row]:
    """The rows `wanted`, by key, with the scores in `columns`, {name: column}."""
    wanted = set(wanted)
    means = {name: scores(store, key, column) for name, column in columns.items()}
    found: dict[str, Row] = {}
    for part, table in _read(store, [key, *SHOWN]):
        for place, name in enumerate(map(str, table[key])):
            if name in wanted and name not in found:
                prompts = (table["base_prompt"][place], table["prompt"][place])
                path = table.get("image_path", [""] * (place + 1))[place]
                own = {score: each[name] for score, each in means.items() if name in each}
                seed = table["seed"][place]
                found[name] = Row(name, *prompts, seed, path, part, place, own)
    return found


def pictures(store: Store, rows: Sequence[Row]) -> Iterator[tuple[Row, bytes]]:
    """The encoded pictures of `rows`, part by part, without removed ones."""
    by_part: dict[str, list[Row]] = {}
    for row in rows:
        by_part.setdefault(row.part, []).append(row)
    for part, inside in by_part.items():
        file = pq.ParquetFile(store.open(part))
        names = [name for name in ("image", "image_path") if name in file.schema_arrow.names]
        table = file.read(columns=names)
        table = table.take([row.place for row in inside])
        for row, png in zip(inside, encoded(store, part, table), strict=True):
            if png is not None:
                yield row, png


def _read(store: Store, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, list[Any]]]]:
    """Each part that has the first of `columns`, with those of them that it has."""
    for part in written_parts(store):
        file = pq.ParquetFile(store.open(part))
        there = [name for name in dict.fromkeys(columns) if name in file.schema_arrow.names]
        if columns[0] in there:
            yield part, file.read(columns=there).to_pydict()
