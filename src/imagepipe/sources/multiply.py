"""More rows from one: each several times, or with every row of another table.

The new id is the old one with a number added, `<id>-r<k>` or `<id>-j<k>`, so that ids stay unique.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from imagepipe.errors import UserError
from imagepipe.sources.blocks import scanned, tasks, with_ledger
from imagepipe.sources.keys import keys_of
from imagepipe.sources.tables import Join, Tables
from imagepipe.stages.stage import FAILED_REASON, FAILED_STAGE

if TYPE_CHECKING:
    import ray
    from ray.data import Dataset

REPEAT, CROSS = "r", "j"  # what stands before the number in an id
ROWS_AT_ONCE, BYTES_AT_ONCE = (
    10_000,
    64 * 2**20,
)  # of a block that comes out: rows may hold pictures


def numbered(ids: pa.Array, kind: str, number: pa.Array) -> pa.Array:
    """The ids of rows by their number; null stays null."""
    return pc.binary_join_element_wise(ids, f"-{kind}", number.cast(pa.string()), "")


def first(ids: list[str], kind: str, times: int, most: int) -> list[str]:
    """As `numbered`, of the first ids before the run."""
    return [f"{one}-{kind}{number}" for one in ids for number in range(times)][:most]


def repeated(rows: Dataset, tables: Tables, num_cpus: float) -> Dataset:
    """Each row as often as `tables.repeat` says."""
    if tables.repeat == 1:
        return rows
    return rows.map_batches(partial(several, times=tables.repeat, id=tables.id), **tasks(num_cpus))


def several(rows: pa.Table, times: int, id: str) -> Iterator[pa.Table]:
    """`rows` in their order, each `times` times."""
    for places, number in _products(rows, times):
        yield with_ids(rows.take(places), id, REPEAT, number)


def crossed(
    rows: Dataset, tables: Tables, number: int, schema: pa.Schema, num_cpus: float
) -> Dataset:
    """Each row with every row of join `number`."""
    import ray

    join = tables.joins[number]
    right = ray.put(_all_rows(join, tables.renamed))
    every = partial(products, right=right, join=join, id=tables.id, schema=schema)
    return rows.map_batches(every, **tasks(num_cpus))


def products(
    rows: pa.Table, right: ray.ObjectRef[pa.Table], join: Join, id: str, schema: pa.Schema
) -> Iterator[pa.Table]:
    """`rows` in their order, each with all of `right`; a row of that which cannot be read fails."""
    import ray

    other = ray.get(right)
    for places, number in _products(rows, other.num_rows, _bytes_a_row(other)):
        made = with_ids(rows.take(places), id, CROSS, number)
        for name in schema.names:
            if name not in made.column_names:
                made = made.append_column(name, other[name].take(number))
        notes = other[FAILED_REASON].take(number).to_pylist()
        stages, reasons = made[FAILED_STAGE].to_pylist(), made[FAILED_REASON].to_pylist()
        for row, note in enumerate(notes):
            if note and stages[row] is None:
                stages[row], reasons[row] = "read", f"{note} in {join.table.name}"
        yield with_ledger(made, stages, reasons).select(schema.names).cast(schema)


def with_ids(rows: pa.Table, id: str, kind: str, number: pa.Array) -> pa.Table:
    place = rows.column_names.index(id)
    return rows.set_column(place, id, numbered(keys_of(rows, [id]), kind, number))


def _products(rows: pa.Table, times: int, more: float = 0.0) -> Iterator[tuple[pa.Array, pa.Array]]:
    """For each new row its place in `rows`, and its number from 0, as many at a time as fit a
    block. Each has `more` bytes than its old one.
    """
    every, times = rows.num_rows * times, max(1, times)
    fitting = int(BYTES_AT_ONCE / max(1.0, _bytes_a_row(rows) + more))
    size = max(1, min(ROWS_AT_ONCE, fitting))
    for start in range(0, max(1, every), size):
        new = np.arange(start, min(start + size, every), dtype=np.int64)
        yield pa.array(new // times), pa.array(new % times)


def _bytes_a_row(rows: pa.Table) -> float:
    return rows.nbytes / max(1, rows.num_rows)


def _all_rows(join: Join, renamed: Mapping[str, str]) -> pa.Table:
    """The columns to take, and why a row cannot be read, or null."""
    table = join.table
    parts = []
    for file in table.files:
        for rows in scanned(table, file, join.adds):
            part = rows.table.select(join.adds)
            part = part.rename_columns([renamed.get(name, name) for name in join.adds])
            reasons = pa.array(rows.reasons(table.used), pa.string())
            parts.append(part.append_column(FAILED_REASON, reasons))
    return pa.concat_tables(parts).combine_chunks()


def check(tables: Tables, most: int, columns: Mapping[str, str]) -> None:
    """Raise UserError if more rows would be made than are wanted, or if a new id would be
    taken for what `columns` (`model.columns`) says that the column holds.
    """
    rows, repeat = tables.rows, tables.repeat
    if not tables.numbers():  # a table's own rows may be any number
        return
    for key, name in columns.items():
        if tables.renamed.get(name, name) == tables.id:
            raise UserError(
                field=f"model.columns.{key}",
                value=name,
                problem="is the column of the ids, which get a number each where rows are repeated "
                "or crossed",
                remedy="Name another column here, or as dataset.id.",
            )
    if rows <= most:
        return
    raise UserError(
        field="dataset.repeat" if repeat > 1 else "dataset.join.how",
        value=repeat if repeat > 1 else "cross",
        problem=f"would make {rows:,} rows, and dataset.most_rows is {most:,}",
        remedy=f"Take fewer rows (limit=...), or allow them: dataset.most_rows={rows}.",
    )


def alike(repeat: int, column: str) -> UserError:
    """The error where all that a row is repeated for would be one picture."""
    return UserError(
        field="dataset.repeat",
        value=repeat,
        problem=f"column {column!r} gives each row one seed, and the prompt has no choices: the "
        "pictures of a row would be the same",
        remedy="Leave one of the two out: dataset.repeat, or seed in model.columns.",
    )
