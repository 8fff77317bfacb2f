"""Reads what a run has left in its store: pictures, for the gallery and the samples."""

from __future__ import annotations

import heapq
import math
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pyarrow.parquet as pq

from imagepipe.sink.parts import written_parts
from imagepipe.sink.webdataset import shard_key
from imagepipe.store import Store

# The columns that a picture to look at needs, beside its id. Others may hold what Python cannot.
SHOWN = ("base_prompt", "prompt", "seed", "score", "image_path", "image")


@dataclass(frozen=True)
class Picture:
    """A finished picture: an encoded PNG and what it was drawn from."""

    id: str
    base_prompt: str
    prompt: str
    seed: int
    png: bytes
    score: float | None = None


def pictures(store: Store, id_column: str, most: int) -> list[Picture]:
    """Up to `most` pictures of the run, in the order of their ids (numbers as numbers)."""
    found: list[Picture] = []
    for part in written_parts(store):
        if len(found) >= most:
            break
        found += _pictures(store, part, id_column, range(most - len(found)))
    return sorted(found, key=_order)


def to_show(store: Store, id_column: str, most: int, extremes: int = 12) -> list[Picture]:
    """`pictures`, and where they have scores the best and the worst `extremes` of the whole run."""
    found = pictures(store, id_column, most)
    known = {(picture.id, picture.seed) for picture in found}
    more = best_and_worst(store, id_column, extremes) if most else []
    return sorted([*found, *(p for p in more if (p.id, p.seed) not in known)], key=_order)


def best_and_worst(store: Store, id_column: str, each: int) -> list[Picture]:
    """The `each` pictures of the highest score and of the lowest; none where nothing has a score.

    Reads the scores of all parts first, then only the parts that hold a chosen picture.
    """
    chosen = heapq.nlargest(each, _scores(store)) + heapq.nsmallest(each, _scores(store))
    found: list[Picture] = []
    for part, places in sorted(_by_part(chosen).items()):
        found += _pictures(store, part, id_column, places)
    return found


def _scores(store: Store) -> Iterator[tuple[float, str, int]]:
    for part in written_parts(store):
        file = pq.ParquetFile(store.open(part))
        if "score" in file.schema_arrow.names:
            scores = file.read(columns=["score"])["score"].to_pylist()
            yield from ((score, part, i) for i, score in enumerate(scores) if score is not None)


def row_scores(store: Store, id_column: str) -> dict[str, float]:
    """{row's id: its score}, the mean over a row's pictures, of those that have one."""
    found: dict[str, list[float]] = {}
    for part in written_parts(store):
        file = pq.ParquetFile(store.open(part))
        if "score" not in file.schema_arrow.names:
            continue
        rows = file.read(columns=[id_column, "score"])
        pairs = zip(rows[id_column].to_pylist(), rows["score"].to_pylist(), strict=True)
        for name, score in pairs:
            if score is not None and math.isfinite(score):
                found.setdefault(str(name), []).append(score)
    return {name: sum(scores) / len(scores) for name, scores in found.items()}


def _by_part(chosen: list[tuple[float, str, int]]) -> dict[str, list[int]]:
    parts: dict[str, list[int]] = {}
    for _, part, place in sorted(set(chosen)):
        parts.setdefault(part, []).append(place)
    return parts


def of_rows(store: Store, id_column: str, ids: Sequence[str]) -> list[Picture]:
    """The first picture of each of `ids` that has one, in the order of `ids`.

    Reads the ids of all parts until each is found, and pictures only of the parts that hold one.
    """
    found: dict[str, Picture] = {}
    for part in written_parts(store):
        names = _names(store, part, id_column)
        places = [names.index(name) for name in ids if name in names and name not in found]
        found |= {one.id: one for one in _pictures(store, part, id_column, places)}
        if len(found) == len(ids):
            break
    return [found[name] for name in ids if name in found]


def _names(store: Store, part: str, id_column: str) -> list[str]:
    file = pq.ParquetFile(store.open(part))
    return [str(value) for value in file.read(columns=[id_column])[id_column].to_pylist()]


def _pictures(store: Store, part: str, id_column: str, places: Sequence[int]) -> Iterator[Picture]:
    """Those at `places` of a part, as far as it has so many; not those that somebody removed."""
    if len(places) == 0:
        return
    file = pq.ParquetFile(store.open(part))
    shown = [id_column, *(name for name in SHOWN if name in file.schema_arrow.names)]
    rows = file.read(columns=shown)
    for row in rows.take([place for place in places if place < len(rows)]).to_pylist():
        if (png := _png(store, part, row)) is not None:
            yield Picture(
                id=str(row[id_column]),
                base_prompt=row["base_prompt"],
                prompt=row["prompt"],
                seed=row["seed"],
                png=png,
                score=row.get("score"),
            )


def _png(store: Store, part: str, row: dict[str, Any]) -> bytes | None:
    if "image" in row:
        return row["image"]["bytes"]
    with suppress(FileNotFoundError):
        return store.read(row["image_path"])
    with (
        suppress(FileNotFoundError, KeyError),
        tarfile.open(fileobj=store.open(f"shards/{PurePosixPath(part).stem}.tar")) as shard,
    ):
        member = shard.extractfile(f"{shard_key(row['image_path'])}.png")
        return member.read() if member else None
    return None


def _order(picture: Picture) -> tuple[bool, int, str]:
    number = picture.id.isascii() and picture.id.isdigit()
    return (not number, int(picture.id) if number and len(picture.id) < 20 else 0, picture.id)
