"""Removes near-duplicates among a run's pictures, after all are written.

Pictures are visited in the order of their ids' digests; one is removed if a kept one before it is
near. So the order of drawing does not matter, and what a killed command had removed is removed
again. Pictures of an earlier end of the run stay, and come first.

Until then each part of the table has beside it, in FOLDER, its rows as they would be rejected.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import suppress
from hashlib import blake2b
from importlib.util import find_spec
from itertools import pairwise
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from imagepipe.errors import UserError, shown
from imagepipe.sink import thumbnails
from imagepipe.sink.filter import MOST_SAID, STAGE
from imagepipe.sink.lock import RunLock
from imagepipe.sink.parts import written_parts
from imagepipe.sink.webdataset import without
from imagepipe.sources import keys_of
from imagepipe.store import Store

FOLDER = "near"  # with a dot, as those of rejected rows
COLUMN, BITS = "image_hash", 64  # imagehash's phash as hexadecimal digits: of light and dark
DROPPED = pa.schema([("id", pa.string()), ("reason", pa.string())])
# By the first four in this order pictures are gone through: `waits` is false of an earlier end.
PLACES = pa.schema(
    [
        ("waits", pa.bool_()),
        ("digest", pa.uint64()),
        ("part", pa.int32()),
        ("place", pa.int32()),
        ("id", pa.string()),
        ("hash", pa.uint64()),
    ]
)


def check(most: int | None) -> None:
    """Raise UserError if the package that hashes pictures is not installed."""
    if most is not None and find_spec("imagehash") is None:
        raise UserError(
            field="filter.near_duplicates",
            value=most,
            problem="compares pictures by the package imagehash, which is not installed here",
            remedy="Install it: pip install 'imagepipe[imagehash]'.",
        )


def hashes(images: Sequence[np.ndarray]) -> pa.Array:
    """The column COLUMN of pictures, uint8 (height, width, 3)."""
    import imagehash
    from PIL import Image

    return pa.array([str(imagehash.phash(Image.fromarray(one))) for one in images], pa.string())


def leave_out(
    store: Store, most: int, id: str, id_column: str, why: tuple[str, str], run_lock: RunLock
) -> pa.Table:
    """Remove near-duplicates from the table, with their files: pictures whose hashes differ in
    at most `most` bits. Rows without any picture left are rejected.

    `id` is the id's column in the table, `id_column` in the dataset, `why` as in `sink.Writer`.
    Returns the removed pictures, as DROPPED: the id as `sources.keys_of` makes it, and no reason if
    the row has other pictures left. Needs memory for the hashes and ids of all. Can be killed at
    any moment and repeated. Nobody else may write there meanwhile.
    """
    waiting = {PurePosixPath(part).stem for part in store.parts(f".{FOLDER}")}
    if not waiting:
        return DROPPED.empty_table()
    parts = written_parts(store)
    found = _found(store, parts, id, most, waiting).sort_by("part")
    ends = np.searchsorted(found["part"].to_numpy(), np.arange(len(parts) + 1))
    dropped = [DROPPED.empty_table()]
    for part, (first, end) in zip(parts, pairwise(ends.tolist()), strict=True):
        if first < end:
            own = _Part(store, part, found.slice(first, end - first))
            run_lock.check()
            dropped.append(own.drop(id, id_column, why))
    store.remove_folder(f".{FOLDER}")
    return pa.concat_tables(dropped)


def nearest(hashed: Sequence[int], most: int) -> list[int | None]:
    """For each hash null if it is kept; else the place of an earlier kept one from which it
    differs in at most `most` bits.

    Split into `most` + 1 bands, two such hashes have a band in common, so only those are compared
    (the pigeonhole principle, as in Manku et al., WWW 2007).
    """
    bands = list(pairwise(BITS * k // (most + 1) for k in range(most + 2)))
    kept: dict[tuple[int, int], list[int]] = defaultdict(list)
    found: list[int | None] = []
    for place, own in enumerate(hashed):
        keys = [(low, own >> low & (1 << high - low) - 1) for low, high in bands]
        others = (other for key in keys for other in kept[key])
        near = next((one for one in others if (hashed[one] ^ own).bit_count() <= most), None)
        found.append(near)
        if near is None:
            for key in keys:
                kept[key].append(place)
    return found


def _found(
    store: Store, parts: Sequence[str], id: str, most: int, waiting: Collection[str]
) -> pa.Table:
    """The near-duplicates: `id`, the number of their `part`, their `place` in it, and `reason`."""
    every = [PLACES.empty_table()]
    for number, part in enumerate(parts):
        rows = pq.read_table(store.open(part), columns=[id, COLUMN])
        ids = keys_of(rows, [id])
        columns = [
            [PurePosixPath(part).stem in waiting] * len(rows),
            list(map(_digest, ids.to_pylist())),
            [number] * len(rows),
            list(range(len(rows))),
            ids,
            [int(text, 16) for text in rows[COLUMN].to_pylist()],
        ]
        every.append(pa.table(columns, schema=PLACES))
    whole = pa.concat_tables(every).sort_by([(name, "ascending") for name in PLACES.names[:4]])
    hashed = whole["hash"].to_pylist()
    near = nearest(hashed, most)
    places = [place for place, other in enumerate(near) if other is not None]
    others = [other for other in near if other is not None]
    names = whole["id"].take(pa.array(others, pa.int64())).to_pylist()
    bits = [
        (hashed[one] ^ hashed[two]).bit_count() for one, two in zip(places, others, strict=True)
    ]
    reasons = [
        f"near-duplicate of {shown(name, MOST_SAID)}: {number} of {BITS} bits differ"
        for name, number in zip(names, bits, strict=True)
    ]
    found = whole.take(pa.array(places, pa.int64())).select(["id", "part", "place"])
    return found.append_column("reason", pa.array(reasons, pa.string()))


def _digest(id: str) -> int:
    digest = blake2b(id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


class _Part:
    """A part of the table, and the rows to remove from it: `found`, at least one."""

    def __init__(self, store: Store, name: str, found: pa.Table) -> None:
        self.store, self.name, self.found = store, name, found
        self.stem = PurePosixPath(name).stem
        self.table = pq.read_table(store.open(name))

    def drop(self, id: str, id_column: str, why: tuple[str, str]) -> pa.Table:
        """Files first, so that no file stays that no row names. Returns DROPPED."""
        stays = np.ones(len(self.table), bool)
        stays[self.found["place"].to_numpy()] = False
        kept, gone = self.table.filter(pa.array(stays)), self.table.filter(pa.array(~stays))
        has_others = pc.is_in(self.found["id"], value_set=keys_of(kept, [id]))
        reasons = pc.if_else(has_others, pa.scalar(None, pa.string()), self.found["reason"])
        dropped = pa.table([self.found["id"], reasons], schema=DROPPED)
        self._reject(dropped, id_column, why)
        if "image_path" in gone.column_names:
            self._remove_files(gone["image_path"].to_pylist())
        if len(kept):
            self.store.write(self.name, _bytes(kept))
        else:
            self.store.remove(self.name)
        return dropped

    def _reject(self, dropped: pa.Table, id_column: str, why: tuple[str, str]) -> None:
        """Write the rows without any picture left to the rejected rows, with the reason."""
        rows = pq.read_table(self.store.open(f".{FOLDER}/{self.stem}.parquet"))
        told = dict(zip(*(dropped[name].to_pylist() for name in DROPPED.names), strict=True))
        reasons = [told.get(key) for key in keys_of(rows, [id_column]).to_pylist()]
        for name, values in zip(why, ([r and STAGE for r in reasons], reasons), strict=True):
            place = rows.schema.get_field_index(name)
            rows = rows.set_column(place, rows.schema.field(place), pa.array(values, pa.string()))
        rows = rows.filter(pc.is_valid(rows[why[0]]))
        if len(rows):
            self.store.write(f".filtered/{self.stem}.parquet", _bytes(rows))

    def _remove_files(self, paths: Sequence[str]) -> None:
        for name in (name for path in paths for name in (path, thumbnails.thumbnail(path))):
            with suppress(FileNotFoundError):
                self.store.remove(name)
        shard = f"shards/{self.stem}.tar"
        if self.store.exists(shard):
            self.store.write(shard, without(self.store.read(shard), paths))


def _bytes(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()
