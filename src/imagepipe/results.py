"""Reads what a run has left in its store: pictures, for the gallery and the samples."""

from __future__ import annotations

import heapq
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

import pyarrow.parquet as pq

from imagepipe.gallery import Picture
from imagepipe.sink import shard_key, written_parts
from imagepipe.store import Store


def pictures(store: Store, id_column: str, most: int) -> list[Picture]:
    """Up to `most` pictures of the run, in the order of their ids (numbers as numbers)."""
    found: list[Picture] = []
    for part in written_parts(store):
        found += (
            _picture(store, part, row, id_column) for row in _rows(store, part, most - len(found))
        )
        if len(found) >= most:
            break
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
        rows = pq.read_table(store.open(part)).take(places).to_pylist()
        found += [_picture(store, part, row, id_column) for row in rows]
    return found


def _scores(store: Store) -> Iterator[tuple[float, str, int]]:
    for part in written_parts(store):
        file = pq.ParquetFile(store.open(part))
        if "score" in file.schema_arrow.names:
            scores = file.read(columns=["score"])["score"].to_pylist()
            yield from ((score, part, i) for i, score in enumerate(scores) if score is not None)


def _by_part(chosen: list[tuple[float, str, int]]) -> dict[str, list[int]]:
    parts: dict[str, list[int]] = {}
    for _, part, place in sorted(set(chosen)):
        parts.setdefault(part, []).append(place)
    return parts


def of_rows(store: Store, id_column: str, ids: Sequence[str]) -> list[Picture]:
    """The first picture of each of `ids` that has one, in the order of `ids`."""
    found: dict[str, Picture] = {}
    for part in written_parts(store):
        for row in _rows(store, part, None):
            name = str(row[id_column])
            if name in ids and name not in found:
                found[name] = _picture(store, part, row, id_column)
        if len(found) == len(ids):
            break
    return [found[name] for name in ids if name in found]


def _rows(store: Store, part: str, most: int | None) -> Iterator[dict[str, Any]]:
    file = pq.ParquetFile(store.open(part))
    for batch in file.iter_batches(batch_size=64):
        rows = batch.to_pylist()
        yield from rows if most is None else rows[:most]
        if most is not None:
            most -= len(rows)
            if most <= 0:
                return


def _picture(store: Store, part: str, row: dict[str, Any], id_column: str) -> Picture:
    return Picture(
        id=str(row[id_column]),
        base_prompt=row["base_prompt"],
        prompt=row["prompt"],
        seed=row["seed"],
        png=_png(store, part, row),
        score=row.get("score"),
    )


def _png(store: Store, part: str, row: dict[str, Any]) -> bytes:
    if "image" in row:
        return row["image"]["bytes"]
    with suppress(FileNotFoundError):
        return store.read(row["image_path"])
    with tarfile.open(fileobj=store.open(f"shards/{PurePosixPath(part).stem}.tar")) as shard:
        member = shard.extractfile(f"{shard_key(row['image_path'])}.png")
        assert member is not None
        return member.read()


def _order(picture: Picture) -> tuple[bool, int, str]:
    number = picture.id.isascii() and picture.id.isdigit()
    return (not number, int(picture.id) if number and len(picture.id) < 20 else 0, picture.id)
