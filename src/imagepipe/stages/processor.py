"""Stages whose work is done by a processor of `ray.data.llm`.

A processor maps a Dataset to a Dataset, row by row, through Python values: it would not keep the
types of columns that it does not know. So each row is packed into one cell of bytes, passes the
processor beside its request, and is unpacked behind it. Rows that failed before, or that an earlier
run has done, pass as rows with an error, which a processor leaves alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from imagepipe.stages.stage import FAILED_STAGE, Stage, Worker, apply, reused, worker

if TYPE_CHECKING:
    from ray.data import Dataset

    from imagepipe.config import Share

PAST = "imagepipe_row"  # the row, as bytes
# As `build_processor` documents it: why a row has no answer; "" where it has one.
ERROR = "__inference_error__"
# A task that only touches texts; small, so that tasks find room beside the actors.
LIGHT_CPUS = 0.25


@dataclass(frozen=True)
class ProcessorStage(Stage):
    """A stage whose work a processor of `ray.data.llm` does.

    `questions` makes a worker as `recipe` does, from good rows to the columns of `asks`.
    `processor(share)` maps rows of `asks` to rows of `replies`, in a Ray session. Then the worker
    of `recipe` reads the columns of `replies` and ERROR besides those of `reads`. One of `replies`
    is `<name>_s`: the seconds that the row took.
    """

    questions: Callable[[], Worker]
    asks: pa.Schema
    replies: pa.Schema
    processor: Callable[[Share], Callable[[Dataset], Dataset]]


def fold(stage: ProcessorStage, table: pa.Table) -> pa.Table:
    """The columns for the processor: those of `asks`, PAST and ERROR."""
    asked = apply(replace(stage, adds=stage.asks), worker(stage.questions), table)
    rows = asked.drop_columns(stage.asks.names)
    past = [_to_bytes(rows.slice(i, 1)) for i in range(rows.num_rows)]
    folded = asked.select(stage.asks.names).append_column(PAST, pa.array(past, pa.binary()))
    return folded.append_column(ERROR, pc.if_else(_done(stage, rows), "no question", ""))


def _done(stage: ProcessorStage, rows: pa.Table) -> pa.ChunkedArray:
    """For each row, whether it needs no answer."""
    failed = pc.is_valid(rows[FAILED_STAGE])
    known = reused(stage.name)
    return pc.or_(failed, rows[known]) if known in rows.column_names else failed


def unfold(stage: ProcessorStage, table: pa.Table) -> pa.Table:
    """The original rows, with `adds` as `apply` would have added them, and `<stage>_s`."""
    rows = pa.concat_tables(map(_from_bytes, table[PAST].to_pylist()))
    replies = [*stage.replies, pa.field(ERROR, pa.string())]
    for field in replies:
        known = field.name in table.column_names  # not where no row of the block was answered
        column = table[field.name].cast(field.type) if known else pa.nulls(len(rows), field.type)
        rows = rows.append_column(field, column)
    done = apply(stage, worker(stage.recipe), rows)
    seconds = done[f"{stage.name}_s"]
    done = done.drop_columns([field.name for field in replies])
    return done.append_column(f"{stage.name}_s", seconds)


def _to_bytes(row: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, row.schema) as stream:
        stream.write_table(row)
    return sink.getvalue().to_pybytes()


def _from_bytes(cell: bytes) -> pa.Table:
    with pa.ipc.open_stream(cell) as stream:
        return stream.read_all()
