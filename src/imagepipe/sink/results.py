"""Reads the pictures of a run from its store, for the gallery and the samples."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from imagepipe.sink.parts import encoded, written_parts
from imagepipe.store import Store

# The columns that a picture to look at needs, beside its id. Others may hold what Python cannot.
SHOWN = ("base_prompt", "prompt", "seed", "image_path", "image")

Columns = Mapping[str, str]  # of the table, by the names of the scores in them
NONE: Columns = {}


@dataclass(frozen=True)
class Picture:
    """A finished picture: an encoded PNG and its row's data."""

    id: str
    base_prompt: str
    prompt: str
    seed: int | None
    png: bytes
    scores: Mapping[str, float] = field(default_factory=dict)  # those that it has, by name
    part: str = ""  # of the table, in which it is the row at `place`
    place: int = 0


def pictures(store: Store, id_column: str, most: int, scores: Columns = NONE) -> list[Picture]:
    """Up to `most` pictures of the run, in the order of their ids (numbers as numbers)."""
    found: list[Picture] = []
    for part in written_parts(store):
        if len(found) >= most:
            break
        found += _pictures(store, part, id_column, range(most - len(found)), scores)
    return sorted(found, key=_order)


def to_show(
    store: Store, id_column: str, most: int, scores: Columns = NONE, extremes: int = 12
) -> list[Picture]:
    """`pictures`, and for each of `scores` the best and the worst `extremes` of the whole run."""
    found = pictures(store, id_column, most, scores)
    known = {(picture.id, picture.seed) for picture in found}
    for name in scores if most else ():
        for picture in best_and_worst(store, id_column, extremes, scores, name):
            if (picture.id, picture.seed) not in known:
                known.add((picture.id, picture.seed))
                found.append(picture)
    return sorted(found, key=_order)


def best_and_worst(
    store: Store, id_column: str, each: int, scores: Columns, name: str
) -> list[Picture]:
    """The `each` pictures with the highest score by `name`, of `scores`, and with the lowest;
    none without scores.

    Reads the scores of all parts first, then only the parts that hold a chosen picture.
    """
    column = scores[name]
    chosen = heapq.nlargest(each, _scores(store, column))
    chosen += heapq.nsmallest(each, _scores(store, column))
    found: list[Picture] = []
    for part, places in sorted(_by_part(chosen).items()):
        found += _pictures(store, part, id_column, places, scores)
    return found


def _scores(store: Store, column: str) -> Iterator[tuple[float, str, int]]:
    for part in written_parts(store):
        file = pq.ParquetFile(store.open(part))
        if column in file.schema_arrow.names:
            scores = file.read(columns=[column])[column].to_pylist()
            yield from ((score, part, i) for i, score in enumerate(scores) if score is not None)


def table(store: Store) -> pa.Table:
    """All rows of the run's table, without pictures that are stored inside it."""
    parts = [pq.ParquetFile(store.open(part)) for part in written_parts(store)]
    read = [part.read([n for n in part.schema_arrow.names if n != "image"]) for part in parts]
    return pa.concat_tables(read, promote_options="permissive") if read else pa.table({})


def places(store: Store) -> Iterator[tuple[str, int]]:
    """The part and the place in it of each row of `table`."""
    for part in written_parts(store):
        rows = pq.ParquetFile(store.open(part)).metadata.num_rows
        yield from ((part, place) for place in range(rows))


def png_at(store: Store, id_column: str, part: str, place: int) -> bytes:
    """The encoded picture of a row. Raises FileNotFoundError if it was removed."""
    for picture in _pictures(store, part, id_column, [place], {}):
        return picture.png
    raise FileNotFoundError(f"the picture of row {place} of {store.place(part)}")


def _by_part(chosen: list[tuple[float, str, int]]) -> dict[str, list[int]]:
    parts: dict[str, list[int]] = {}
    for _, part, place in sorted(set(chosen)):
        parts.setdefault(part, []).append(place)
    return parts


def of_rows(
    store: Store, id_column: str, ids: Sequence[str], scores: Columns = NONE
) -> list[Picture]:
    """The first picture of each of `ids` that has one, in the order of `ids`.

    Reads the ids of all parts until each is found, and pictures only of the parts that hold one.
    """
    found: dict[str, Picture] = {}
    for part in written_parts(store):
        names = _names(store, part, id_column)
        places = [names.index(name) for name in ids if name in names and name not in found]
        found |= {one.id: one for one in _pictures(store, part, id_column, places, scores)}
        if len(found) == len(ids):
            break
    return [found[name] for name in ids if name in found]


def _names(store: Store, part: str, id_column: str) -> list[str]:
    file = pq.ParquetFile(store.open(part))
    return [str(value) for value in file.read(columns=[id_column])[id_column].to_pylist()]


def _pictures(
    store: Store, part: str, id_column: str, places: Sequence[int], scores: Columns
) -> Iterator[Picture]:
    """The pictures at `places` of a part, without removed ones."""
    if len(places) == 0:
        return
    file = pq.ParquetFile(store.open(part))
    there = [name for name in (*SHOWN, *scores.values()) if name in file.schema_arrow.names]
    rows = file.read(columns=[id_column, *there])
    places = [place for place in places if place < len(rows)]
    rows = rows.take(places)
    for place, row, png in zip(places, rows.to_pylist(), encoded(store, part, rows), strict=True):
        if png is not None:
            yield Picture(
                id=str(row[id_column]),
                base_prompt=row.get("base_prompt") or row["prompt"] or "",
                prompt=row["prompt"] or "",
                seed=row.get("seed"),
                png=png,
                scores={
                    name: row[column]
                    for name, column in scores.items()
                    if row.get(column) is not None
                },
                part=part,
                place=place,
            )


def _order(picture: Picture) -> tuple[bool, int, str]:
    return order(picture.id)


def order(name: str) -> tuple[bool, int, str]:
    """The sort key of ids: numbers as numbers, before all others."""
    number = name.isascii() and name.isdigit() and len(name) < 20
    return (not number, int(name) if number else 0, name)
