"""Reuses the results of earlier runs for rows that are the same.

The metadata of a table's part holds a digest for each stage: it stands for everything that decides
the stage's result, except the row's own cells. A row is found by these.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from imagepipe.sink.parts import encoded, written_parts
from imagepipe.sink.rescored import decoded
from imagepipe.stages.pictures import PIXELS, pixels
from imagepipe.stages.stage import FAILED_STAGE, Stage, mark, reused, spread
from imagepipe.store import Store

MADE_BY = b"imagepipe.made_by"  # in a part's metadata: the JSON of a MadeBy
KEY = "S16"  # numpy's type of a row's key
WRONG = ("_fallback", "_error")  # columns of a stage that say what is wrong with a row, else null
GONE = (
    "what an earlier run made of the row was there when this one began, and is gone; resume with "
    "sweep.reuse=false"
)
READERS = 8  # threads: the parts are many small files


@dataclass(frozen=True)
class MadeBy:
    """How the rows of a part were made: for each stage, by its digest, its columns, and a digest
    that is equal for runs in which the same rows come to the stage.
    """

    stages: Mapping[str, tuple[Sequence[str], str]]

    @classmethod
    def of(cls, works: Iterable[Work]) -> MadeBy:
        return cls({work.digest: (work.stage.adds.names, work.inputs) for work in works})

    @property
    def metadata(self) -> dict[bytes, bytes]:
        return {MADE_BY: json.dumps(self.stages).encode()}


@dataclass(frozen=True)
class Work:
    """Work that may be reused: the columns that `stage` adds, made by `digest` and by the cells
    of a row in the columns `by`; for each of its `each` pictures, if they belong to a picture.
    `inputs` is as in MadeBy.
    """

    stage: Stage
    digest: str
    by: tuple[str, ...]
    each: int = 1
    inputs: str = ""


@dataclass(frozen=True)
class Part:
    """A part of an earlier run's table."""

    store: Store
    name: str
    made_by: MadeBy


def parts(store: Store) -> list[Part]:
    """The parts in `store` that say how they were made."""
    every = [(store, name) for name in written_parts(store)]
    with ThreadPoolExecutor(READERS) as readers:
        found = list(readers.map(_part, every))
    return [part for part in found if part is not None]


def _part(place: tuple[Store, str]) -> Part | None:
    store, name = place
    try:
        said = (pq.read_schema(store.open(name)).metadata or {}).get(MADE_BY)
        return Part(store, name, MadeBy(json.loads(said))) if said else None
    except (pa.ArrowInvalid, OSError, ValueError, TypeError):  # torn, or of another version
        return None


@dataclass(frozen=True)
class Found:
    """Rows of earlier runs that can be reused for `work`, by their sorted `keys`, with the
    number of the part that holds each.

    The place in the part is looked up when it is read, because a run that is resumed meanwhile may
    remove rows before it (`sink.duplicates`).
    """

    work: Work
    parts: Sequence[Part]
    keys: np.ndarray
    part: np.ndarray

    @property
    def alike(self) -> int:
        """How many are from a run in which the same rows came to the stage."""
        said = [part.made_by.stages[self.work.digest][1] for part in self.parts]
        same = np.array([one == self.work.inputs for one in said], bool)
        return int(same[self.part].sum()) if len(self.keys) else 0


@dataclass(frozen=True)
class Taken:
    """What a run reuses of a stage: `found` in earlier runs, and whether that is everything."""

    found: Found
    whole: bool


@dataclass(frozen=True)
class Reuse:
    """The reuse metadata of a run's parts, and what it reuses, by stage, from the runs in the
    folders `of`.
    """

    made_by: MadeBy
    taken: Mapping[str, Taken] = field(default_factory=dict)
    of: Sequence[Path] = ()


def find(every: Sequence[Part], work: Work) -> Found:
    """The rows in `every` part in which nothing went wrong; of equal ones the first."""
    those = [part for part in every if work.digest in part.made_by.stages]
    with ThreadPoolExecutor(READERS) as readers:
        found = [keys for _, keys, _ in readers.map(partial(_rows, work=work), those)]
    numbers = np.repeat(np.arange(len(those), dtype=np.int32), [len(keys) for keys in found])
    keys = np.concatenate([np.array([], KEY), *found])
    return _firsts_of(Found(work, those, keys, numbers))


def merged(found: Sequence[Found]) -> Found:
    """All of them, for the same work; of equal rows the first."""
    before = np.cumsum([0, *(len(one.parts) for one in found)])
    return _firsts_of(
        Found(
            work=found[0].work,
            parts=[part for one in found for part in one.parts],
            keys=np.concatenate([one.keys for one in found]),
            part=np.concatenate([one.part + n for one, n in zip(found, before, strict=False)]),
        )
    )


def _firsts_of(found: Found) -> Found:
    keys, first = np.unique(found.keys, return_index=True)
    return Found(found.work, found.parts, keys, found.part[first])


def _rows(
    part: Part, work: Work, more: Sequence[str] = ()
) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    """The rows of a part as it is now, with the columns `more` that it has; the keys of those that
    can be taken over, and where the first picture of each stands. All of one file.
    """
    columns = _named(part, work)
    wrong = [there for name, there in columns.items() if name.endswith(WRONG)]
    try:
        file = pq.ParquetFile(part.store.open(part.name))
        there = [name for name in ("image_index", *more) if name in file.schema_arrow.names]
        rows = file.read([*dict.fromkeys((*work.by, *wrong, *there))])
        firsts = _firsts(rows, wrong, work.each)
        return rows, keys_of(rows.take(firsts), work.by), firsts
    except (pa.ArrowInvalid, OSError, KeyError):  # torn, gone, or without such a column
        return pa.table({}), np.array([], KEY), np.array([], np.int64)


def _firsts(rows: pa.Table, wrong: Sequence[str], each: int) -> np.ndarray:
    """The places of first pictures whose row has all its pictures, all of them good."""
    good = np.ones(len(rows), bool)
    for name in wrong:
        good &= rows[name].is_null().to_numpy()
    index = np.zeros(len(rows), np.int64)
    if "image_index" in rows.column_names:
        index = rows["image_index"].to_numpy()
    firsts = np.flatnonzero(index == 0)
    firsts = firsts[firsts + each <= len(rows)]
    behind = firsts[:, None] + np.arange(each)
    whole = (index[behind] == np.arange(each)).all(axis=1) | (each == 1)
    return firsts[whole & good[behind].all(axis=1)]


def keys_of(rows: pa.Table, columns: Iterable[str]) -> np.ndarray:
    """A digest of 16 bytes of each row's cells in `columns`."""
    cells = zip(*(rows[name].to_pylist() for name in columns), strict=True)
    texts = (repr(row).encode("utf-8", "surrogatepass") for row in cells)
    return np.array([blake2b(text, digest_size=16).digest() for text in texts], KEY)


def _named(part: Part, work: Work) -> dict[str, str]:
    """The columns of `work` in `part`, with their names here."""
    return dict(zip(work.stage.adds.names, part.made_by.stages[work.digest][0], strict=True))


def taking(known: Taken) -> Callable[[pa.Table], pa.Table]:
    """`take` for Ray tasks, with its data put into the object store now."""
    import ray

    found, whole = ray.put(known.found), known.whole
    return lambda table: take(ray.get(found), table, whole=whole)


def take(found: Found, table: pa.Table, *, whole: bool) -> pa.Table:
    """Add to the good rows that are `found` the columns of the stage, and the column `reused`.

    If all rows are there (`whole`), the stage has no work and no processes: a row that has
    disappeared since then fails.
    """
    stage = found.work.stage
    good = np.flatnonzero(pc.is_null(table[FAILED_STAGE]).to_numpy())
    made: dict[int, dict[str, Any]] = {}
    keys = keys_of(table.take(good), found.work.by)
    for part, rows, wanted in _looked_up(found, keys, good):
        for place, one in _made(part, found.work, wanted):
            made[rows[place]] = one
    known = np.zeros(len(table), bool)
    known[list(made)] = True
    cells = [made[row] for row in sorted(made)]
    for added in stage.adds:
        values = spread([one.get(added.name) for one in cells], known, added.type)
        table = table.append_column(added, values)
    table = table.append_column(reused(stage.name), pa.array(known))
    if not whole:
        return table
    table = table.drop_columns(list(stage.drops))
    seconds = pa.array(np.zeros(len(table)), pa.float32())  # as a process would add them
    table, lost = table.append_column(f"{stage.name}_s", seconds), good[~known[good]]
    return mark(table, stage.name, lost, [GONE] * len(lost))


def _looked_up(
    found: Found, keys: np.ndarray, rows: np.ndarray
) -> Iterator[tuple[Part, np.ndarray, np.ndarray]]:
    """For each part with some of the `keys`, the `rows` that have them, and these keys."""
    if not len(found.keys):
        return
    at = np.minimum(np.searchsorted(found.keys, keys), len(found.keys) - 1)
    there = found.keys[at] == keys
    at, rows = at[there], rows[there]
    for number in np.unique(found.part[at]):
        here = found.part[at] == number
        yield found.parts[number], rows[here], found.keys[at[here]]


def _made(part: Part, work: Work, keys: np.ndarray) -> Iterator[tuple[int, dict[str, Any]]]:
    """The stage's results for the rows with these `keys` that still exist, each with its place."""
    adds, columns = work.stage.adds, _named(part, work)
    draws = columns.pop("image", None) is not None
    more = [*columns.values(), *(("image", "image_path") if draws else ())]
    rows, known, firsts = _rows(part, work, more)
    columns = {name: there for name, there in columns.items() if there in rows.column_names}
    at = dict(zip(known[::-1].tolist(), firsts[::-1].tolist(), strict=True))
    places = [(place, at[key]) for place, key in enumerate(keys.tolist()) if key in at]
    behind = [first + k for _, first in places for k in range(work.each)]
    rows = rows.take(pa.array(behind, pa.int64()))
    drawn = encoded(part.store, part.name, rows) if draws else iter(())
    for number, (place, _) in enumerate(places):
        own = rows.slice(number * work.each, work.each)
        made = {name: _cell(own[there], adds.field(name).type) for name, there in columns.items()}
        if not draws:
            yield place, made
            continue
        images = [decoded(next(drawn)) for _ in range(work.each)]
        image = _fitting(images, adds.field("image").type)
        if image is not None:
            yield place, {**made, "image": image, "drawn_at": time.time()}


def _cell(own: pa.ChunkedArray, kind: pa.DataType) -> Any:
    """The value of a row's first picture, or, if `kind` is a list, that of each picture."""
    values = own.to_pylist()
    return values if pa.types.is_fixed_size_list(kind) else values[0]


def _fitting(images: Sequence[np.ndarray | str], kind: pa.DataType) -> Any:
    """A row's pictures as a value of the column `image`; null if one of them is missing."""
    whole = [image for image in images if not isinstance(image, str)]
    if len(whole) < len(images) or len({image.shape for image in whole}) > 1:
        return None
    stacked = np.stack(whole)
    if kind == PIXELS:
        return pixels(stacked)
    return stacked if stacked.shape == tuple(kind.shape) else None
