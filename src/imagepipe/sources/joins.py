"""Joins with further tables: in memory (broadcast), or by Ray Data's join (shuffle).

In both, a row of the left table meets at most one row of the right one: rows that share a key
become one row whose note says so, and that note fails the left rows that meet it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from imagepipe.prompts.cells import cell_texts, without_numbers
from imagepipe.sources.blocks import decoded, partitions, raw_blocks, scanned, tasks, with_ledger
from imagepipe.sources.formats.base import Rows
from imagepipe.sources.keys import keys_of
from imagepipe.sources.multiply import crossed
from imagepipe.sources.tables import KEY, NOTE, ORIGINAL, ORIGINAL_TYPE, Join, Tables
from imagepipe.stages.stage import FAILED_REASON, FAILED_STAGE, LEDGER

if TYPE_CHECKING:
    import ray
    from ray.data import Dataset


def joined(rows: Dataset, tables: Tables, number: int, num_cpus: float) -> Dataset:
    """`rows` with the columns of join `number`; rows without a match fail, or get nulls."""
    join, renamed = tables.joins[number], tables.renamed
    schema = pa.schema([*tables.schema(number + 1), (ORIGINAL, ORIGINAL_TYPE), *LEDGER])
    if join.how == "cross":
        return crossed(rows, tables, number, schema, num_cpus)
    cells = partial(
        key_cells, join=join, renamed=renamed, id=tables.id, numbers=tables.numbers(number)
    )
    if join.method == "broadcast":
        import ray

        right = ray.put(in_memory(join, renamed))
        pa.default_memory_pool().release_unused()  # pyarrow would keep what the driver took for it
        look_up = partial(looked_up, right=right, join=join, cells=cells, schema=schema)
        return rows.map_batches(look_up, **tasks(num_cpus))
    left = rows.map_batches(partial(keyed, join=join, cells=cells), **tasks(num_cpus))
    both = left.join(
        _distributed(join, renamed, num_cpus),
        "left_outer",
        num_partitions=partitions(),
        on=(KEY,),
        aggregator_ray_remote_args={"num_cpus": num_cpus},
    )
    settle = partial(settled, join=join, cells=cells, schema=schema)
    return both.map_batches(settle, **tasks(num_cpus))


def in_memory(join: Join, renamed: Mapping[str, str]) -> pa.Table:
    """The right table as one in which `matched` looks keys up."""
    table, names = join.table, (*join.on, *join.adds)
    parts = [
        right_rows(part, join, renamed)
        for file in table.files
        for part in scanned(table, file, names)
    ]
    if not parts:
        parts = [right_rows(Rows(table.schema.empty_table()), join, renamed)]
    rows = pa.concat_tables(parts).combine_chunks()  # looked up whole, a block at a time
    return rows if table.unique else one_row_a_key(rows, join)


def _distributed(join: Join, renamed: Mapping[str, str], num_cpus: float) -> Dataset:
    decode = partial(_decoded_right, join=join, renamed=renamed)
    right = raw_blocks(join.table, join.table.files, num_cpus).map_batches(
        decode, **tasks(num_cpus)
    )
    if join.table.unique:
        return right
    together = right.repartition(partitions(), keys=[KEY])
    return together.map_batches(partial(one_row_a_key, join=join), **tasks(num_cpus))


def _decoded_right(raw: pa.Table, join: Join, renamed: Mapping[str, str]) -> pa.Table:
    return right_rows(decoded(raw, join.table), join, renamed)


def right_rows(rows: Rows, join: Join, renamed: Mapping[str, str]) -> pa.Table:
    """The columns to take, the key, and the note, for all rows of a right table with a key."""
    reasons = rows.reasons(join.table.used)
    notes = [f"{reason} in {join.table.name}" if reason else "" for reason in reasons]
    keys = keys_of(rows.table, join.on, join.like)
    right = rows.table.select(join.adds).rename_columns([renamed.get(n, n) for n in join.adds])
    right = right.append_column(KEY, keys).append_column(NOTE, pa.array(notes, pa.string()))
    return right.filter(pc.is_valid(keys))


def one_row_a_key(rows: pa.Table, join: Join) -> pa.Table:
    """The first row of each key; the note of one that is not the only one says so."""
    if rows.num_rows == 0:
        return rows
    rows = rows.combine_chunks()
    counts = rows[KEY].value_counts()
    if len(counts) == rows.num_rows:
        return rows
    first = rows.take(pc.index_in(counts.field("values"), rows[KEY].combine_chunks()))
    notes = first[NOTE].to_pylist()
    for place, count in enumerate(counts.field("counts").to_pylist()):
        if count > 1:
            notes[place] = f"{join.table.name} has {count} rows with this {', '.join(join.on)}"
    return first.drop_columns(NOTE).append_column(NOTE, pa.array(notes, pa.string()))


def key_cells(
    rows: pa.Table, join: Join, renamed: Mapping[str, str], id: str, numbers: int
) -> pa.Table:
    """The columns `join.on` of `rows`, by their original names; ids without their `numbers`."""
    cells = {name: rows[renamed.get(name, name)] for name in join.on}
    for name in join.on:
        if numbers and renamed.get(name, name) == id:
            cells[name] = without_numbers(rows[id].combine_chunks(), numbers)
    return pa.table(cells)


def keyed(rows: pa.Table, join: Join, cells: Callable[[pa.Table], pa.Table]) -> pa.Table:
    """`rows` with the key that they are looked up by."""
    return rows.append_column(KEY, keys_of(cells(rows), join.on, join.types))


def looked_up(
    rows: pa.Table,
    right: ray.ObjectRef[pa.Table],
    join: Join,
    cells: Callable[[pa.Table], pa.Table],
    schema: pa.Schema,
) -> pa.Table:
    """As `matched`, with a table that is broadcast."""
    import ray

    return matched(rows, ray.get(right), join, cells, schema)


def matched(
    rows: pa.Table,
    table: pa.Table,
    join: Join,
    cells: Callable[[pa.Table], pa.Table],
    schema: pa.Schema,
) -> pa.Table:
    """`rows` with what `table` has for them, in their order."""
    rows = keyed(rows, join, cells)
    places = pc.index_in(rows[KEY].combine_chunks(), table[KEY].combine_chunks(), skip_nulls=True)
    found = table.drop_columns(KEY).take(places)
    for name in found.column_names:
        rows = rows.append_column(name, found[name])
    return settled(rows, join, cells, schema)


def settled(
    rows: pa.Table, join: Join, cells: Callable[[pa.Table], pa.Table], schema: pa.Schema
) -> pa.Table:
    """The outcome for each row, from the note of the right row that it met (null: none)."""
    stages, reasons = rows[FAILED_STAGE].to_pylist(), rows[FAILED_REASON].to_pylist()
    keys = {
        name: cell_texts(column) for name, column in zip(join.on, cells(rows).columns, strict=True)
    }
    for row, note in enumerate(rows[NOTE].to_pylist()):
        if stages[row] is None and (note != "" or join.how == "anti"):
            own = {name: column[row].as_py() for name, column in keys.items()}
            stages[row], reasons[row] = _outcome(join, note, own)
    return with_ledger(rows, stages, reasons).select(schema.names).cast(schema)


def _outcome(
    join: Join, note: str | None, cells: Mapping[str, str | None]
) -> tuple[str | None, str | None]:
    key = ", ".join(f"{name} {cell!r}" for name, cell in cells.items())
    empty = next((name for name, cell in cells.items() if not (cell or "").strip()), None)
    if join.how == "anti":
        return (None, None) if note is None else ("join", f"{join.table.name} has {key}")
    if note is not None:
        return "read", note
    if join.how == "inner":
        why = f"{empty} is empty" if empty else f"{join.table.name} has no {key}"
        return "join", why
    return None, None
