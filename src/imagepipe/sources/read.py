"""The tables as one lazy Ray Data plan; every left row comes out as often as requested, good or
failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from imagepipe.sources.blocks import (
    decoded,
    original,
    partitions,
    raw_blocks,
    tasks,
    with_ledger,
)
from imagepipe.sources.formats.base import Rows
from imagepipe.sources.joins import joined
from imagepipe.sources.keys import keys_of
from imagepipe.sources.multiply import repeated
from imagepipe.sources.tables import KEY, ORIGINAL, Table, Tables
from imagepipe.stages.stage import FAILED_REASON, FAILED_STAGE

if TYPE_CHECKING:
    import ray
    from ray.data import Dataset


def read(
    tables: Tables,
    num_cpus: float = 1.0,
    done: pa.Array | None = None,
    *,
    by_one_task: bool = False,
) -> Dataset:
    """The joined rows without those of the ids `done`, lazily where nothing is shuffled.

    Each task takes `num_cpus`. A shuffle runs before this returns: each of its tasks asks for a
    whole CPU, whatever `num_cpus` says, and would wait for ever beside the processes of later
    stages. `by_one_task`: for what looks at the rows of a block together, since Ray Data cuts what
    few tasks read into many small blocks, and what one does into blocks of up to 128 MiB.

    Columns: those of `tables.columns`, by the names that `tables.renamed` gives some of them, then
    ORIGINAL, `failed_stage` and `failed_reason`, null for good rows. Rows fail in the stage "read"
    (no id, text that is not UTF-8, a second row of an id) or "join" (no match; with `how=anti`
    a match). Ray must be running: `done`, texts as `keys_of` makes them, and tables to broadcast
    are put into its object store.
    """
    rows = _rows(tables, num_cpus, {"override_num_blocks": 1} if by_one_task else {})
    if not tables.scanned:
        rows = _one_row_an_id(rows, tables.id, num_cpus)
    rows = repeated(rows, tables, num_cpus)
    for number in range(tables.before_ids):
        rows = joined(rows, tables, number, num_cpus)
    if done is not None and len(done):
        import ray

        left = partial(left_to_do, done=ray.put(done), id=tables.id)
        rows = rows.map_batches(left, **tasks(num_cpus))
    for number in range(tables.before_ids, len(tables.joins)):
        rows = joined(rows, tables, number, num_cpus)
    return rows.materialize() if tables.shuffled else rows


def _rows(tables: Tables, num_cpus: float, how: Mapping[str, Any]) -> Dataset:
    """The first `tables.rows` rows: whole files, and of the last as many as are still wanted."""
    left = tables.left
    check = partial(checked, table=left, renamed=tables.renamed, id=tables.id)
    *before, last = left.files
    wanted = left.rows - sum(file.rows for file in before)
    if wanted == last.rows:
        return raw_blocks(left, left.files, num_cpus, **how).map_batches(check, **tasks(num_cpus))
    part = raw_blocks(left, [last], num_cpus, override_num_blocks=1)  # one task keeps the order
    rows = part.map_batches(check, **tasks(num_cpus)).limit(wanted)
    if before:
        whole = raw_blocks(left, before, num_cpus, **how)
        rows = whole.map_batches(check, **tasks(num_cpus)).union(rows)
    return rows


def checked(raw: pa.Table, table: Table, renamed: Mapping[str, str], id: str) -> pa.Table:
    """Typed columns under their new names, and the ledger columns, null for good rows."""
    return judged(decoded(raw, table), table, renamed, id)


def judged(block: Rows, table: Table, renamed: Mapping[str, str], id: str) -> pa.Table:
    """As `checked`, of a block that is decoded."""
    reasons = block.reasons(table.used)
    rows = block.table.select(table.schema.names)
    rows = rows.rename_columns([renamed.get(name, name) for name in table.schema.names])
    for row, key in enumerate(keys_of(rows, [id]).to_pylist()):
        if key is None:
            reasons[row] = reasons[row] or f"column {id!r} is empty"
    rows = rows.append_column(ORIGINAL, original(block))
    return with_ledger(rows, ["read" if reason else None for reason in reasons], reasons)


def left_to_do(rows: pa.Table, done: ray.ObjectRef[pa.Array], id: str) -> pa.Table:
    """`rows` without the good ones whose id is among `done`; a failed row has no id to go by."""
    import ray

    known = pc.is_in(keys_of(rows, [id]), value_set=ray.get(done))
    return rows.filter(pc.invert(pc.and_(known, pc.is_null(rows[FAILED_STAGE]))))


def _one_row_an_id(rows: Dataset, id: str, num_cpus: float) -> Dataset:
    """Fail all rows of an id but one; a hash shuffle brings them together in one block."""
    keyed = rows.map_batches(partial(_keyed, id=id), **tasks(num_cpus))
    together = keyed.repartition(partitions(), keys=[KEY])
    return together.map_batches(fail_second_rows, **tasks(num_cpus))


def _keyed(rows: pa.Table, id: str) -> pa.Table:
    good = pc.is_null(rows[FAILED_STAGE]).combine_chunks()
    return rows.append_column(KEY, pc.if_else(good, keys_of(rows, [id]), None))


def fail_second_rows(rows: pa.Table) -> pa.Table:
    """Of several good rows of one id the first by content stays, whatever order they came in."""
    counts = rows[KEY].drop_null().value_counts()
    repeated = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    places = pc.indices_nonzero(pc.is_in(rows[KEY], repeated))
    repeats = rows.take(places).to_struct_array()
    first: dict[str, tuple[str, int]] = {}
    for number, place in enumerate(places.to_pylist()):
        key, content = rows[KEY][place].as_py(), _content(repeats.slice(number, 1))
        first[key] = min(first.get(key, (content, place)), (content, place))
    stages, reasons = rows[FAILED_STAGE].to_pylist(), rows[FAILED_REASON].to_pylist()
    for place in set(places.to_pylist()) - {place for _, place in first.values()}:
        stages[place] = "read"
        reasons[place] = f"another row has the id {rows[KEY][place].as_py()!r}"
    return with_ledger(rows.drop_columns(KEY), stages, reasons)


def _content(row: pa.ChunkedArray) -> str:
    """All of a row as text, by Arrow: Python has not every value, such as the year 10000."""
    most = 2**31 - 1
    return row.to_string(window=most, container_window=most, element_size_limit=most)
