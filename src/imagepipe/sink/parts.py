"""The parts of a run's tables that writers leave, the files made of them, and their pictures."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import lru_cache
from itertools import count
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from imagepipe.sink.webdataset import shard_member
from imagepipe.store import Store

# Where rows without a picture are: their parts in a folder whose name begins with a dot.
REJECTED = ("failed", "unmatched", "filtered")


def written_parts(store: Store) -> list[str]:
    """The finished parts of the table."""
    return store.parts("table")


def collect_rejected(store: Store) -> None:
    """Make `failed.parquet` and the like from the parts that the writers left."""
    for name in REJECTED:
        parts = store.parts(f".{name}")
        if parts:
            merge(store, parts, f"{name}.parquet")
            store.remove_folder(f".{name}")


def merge(
    store: Store, parts: Sequence[str], name: str, masks: Sequence[np.ndarray] | None = None
) -> None:
    """Write the rows of all `parts` as one file, or those that each part's mask marks true."""
    schema = pa.unify_schemas(
        [pq.read_schema(store.open(part)) for part in parts], promote_options="permissive"
    )
    with (
        store.whole(name) as stream,
        pq.ParquetWriter(stream, schema, compression="zstd") as writer,
    ):
        for number, part in enumerate(parts):
            rows = _as(pq.read_table(store.open(part)), schema)
            writer.write_table(rows.filter(pa.array(masks[number])) if masks else rows)


def _as(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [
        table[f.name].cast(f.type) if f.name in table.column_names else pa.nulls(len(table), f.type)
        for f in schema
    ]
    return pa.table(columns, schema=schema)


def encoded(store: Store, part: str | None, rows: pa.Table) -> Iterator[bytes | None]:
    """The picture files of rows of a part; null for removed ones. `part` null: the rows have no
    shard.
    """
    with ExitStack() as stack:
        shard: tarfile.TarFile | None = None
        if part and "image" not in rows.column_names:
            with suppress(FileNotFoundError):
                stream = store.open(f"shards/{PurePosixPath(part).stem}.tar")
                shard = stack.enter_context(tarfile.open(fileobj=stream))
        names = [name for name in ("image", "image_path") if name in rows.column_names]
        for row in rows.select(names).to_pylist():
            if row.get("image") is not None:
                yield row["image"]["bytes"]
            else:
                yield row.get("image_path") and _file(store, row["image_path"], shard)


def _file(store: Store, path: str, shard: tarfile.TarFile | None) -> bytes | None:
    with suppress(FileNotFoundError, IsADirectoryError):
        if "://" in path or os.path.isabs(path):
            folder, _, name = path.rpartition("/")
            return Store(folder or "/").read(name)
        return store.read(path)
    with suppress(KeyError):
        member = shard and shard.extractfile(shard_member(path))
        return member.read() if member else None
    return None


def place_of_task() -> tuple[str, int]:
    """The id of the current Ray task, which is the same when it is retried, and a number within
    it.
    """
    import ray

    task = ray.get_runtime_context().get_task_id() if ray.is_initialized() else None
    return str(task), next(_numbers(task))


@lru_cache(maxsize=1)
def _numbers(task: str | None) -> Iterator[int]:
    return count()
