"""The parts that writers leave of a run's tables, and one file made of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from imagepipe.store import Store

# Where rows without a picture are: their parts in a folder whose name begins with a dot.
REJECTED = ("failed", "unmatched", "filtered")


def written_parts(store: Store) -> list[str]:
    """The finished parts of the table."""
    return store.parts("table")


def collect_rejected(store: Store) -> None:
    """Make `failed.parquet` and its like of the parts that the writers left."""
    for name in REJECTED:
        parts = store.parts(f".{name}")
        if parts:
            merge(store, parts, f"{name}.parquet")
            store.remove_folder(f".{name}")


def merge(
    store: Store, parts: Sequence[str], name: str, masks: Sequence[np.ndarray] | None = None
) -> None:
    """Write the rows of all `parts`, or those that each one's mask marks true, as one file."""
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
