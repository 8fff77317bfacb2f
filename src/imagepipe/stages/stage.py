"""What a stage is: the columns it reads and adds, its worker, and how failed rows pass through it.

A row that failed is data: it keeps its columns, carries `failed_stage` and `failed_reason`, and
passes through every later stage untouched until the sink writes it out.
"""

from __future__ import annotations

import logging
import os
import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from imagepipe.errors import with_class
from imagepipe.stages import FAILED_REASON as FAILED_REASON  # noqa: PLC0414 (other rooms too)

log = logging.getLogger(__name__)

FAILED_STAGE = "failed_stage"
LEDGER = pa.schema([(FAILED_STAGE, pa.string()), (FAILED_REASON, pa.string())])
REASON_CHARS = 500  # of an error, which may repeat a prompt of any length
# How torch says that a GPU is full where its allocator is not asked: accelerate knows neither.
FULL = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
# "To continue using CUDA, the process must be terminated and relaunched": cudaError's in CUDA's
# runtime API, such as an illegal address (700), an assertion (710) and a failed launch (719).
LOST = (700, 702, 710, *range(714, 720))

Columns = Mapping[str, Any]
Worker = Callable[[pa.Table], Columns]


@dataclass(frozen=True)
class Stage:
    """A recipe: small, serialisable, built on the driver; its worker is made where it runs.

    `recipe()` loads what is heavy and returns a worker. A worker takes a table of good rows, with
    the columns that `reads` names, and returns the columns of `adds`, one value a row: Arrow
    arrays, lists, or for tensors a uint8 array (rows, ...). It may add `failed_reason`, null
    where the row is good. An exception fails single rows, not the batch: its halves are tried
    again, down to one row. `out_of_memory_hint` says what to change where that one is too large
    for the memory. The columns of `changes` it returns too: they take the place of those there.
    Those that `drops` names go no further.

    A row fails, but where `error` names a column of `adds`: that says why the row has none of the
    others, and what it has by then, such as a picture, is kept.
    """

    name: str
    reads: tuple[str, ...]
    adds: pa.Schema
    recipe: Callable[[], Worker]
    changes: pa.Schema = field(default=pa.schema([]), kw_only=True)
    out_of_memory_hint: str = field(default="give the stage more memory", kw_only=True)
    drops: tuple[str, ...] = field(default=(), kw_only=True)
    error: str | None = field(default=None, kw_only=True)

    @property
    def gives(self) -> list[pa.Field]:
        """The columns that its worker returns."""
        return [*self.adds, *self.changes]


class BatchTooLarge(Exception):
    """A batch of this size has run out of memory before."""


class BatchSizeBackoff:
    """A worker that learns how many rows at once fit into its process's memory.

    A size that did not fit is not tried again: it raises BatchTooLarge at once, and `apply` halves
    the batch. A single row is always tried, because other things in memory may be gone. If this
    process can no longer use its GPU, it ends.
    """

    def __init__(self, work: Worker) -> None:
        self.work = work
        self.too_many = sys.maxsize

    def __call__(self, rows: pa.Table) -> Columns:
        if rows.num_rows >= self.too_many:
            raise BatchTooLarge(f"{self.too_many} rows at once")
        try:
            return self.work(rows)
        except Exception as error:
            if lost_gpu(error):  # what is dead is started again, and its batch done again
                log.critical("this process has to end", exc_info=True)
                os._exit(1)
            if rows.num_rows > 1 and out_of_memory(error):
                self.too_many = rows.num_rows
            raise


def lost_gpu(error: Exception) -> bool:
    """Whether after `error` every use of the GPU fails in this process."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(error, torch.AcceleratorError):
        return False
    return getattr(error, "error_code", None) in LOST


def out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out, of a GPU or of the machine."""
    torch = sys.modules.get("torch")
    if torch is None:  # then none of its errors can have been raised
        return isinstance(error, MemoryError)
    from accelerate.utils.memory import should_reduce_batch_size

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if not isinstance(error, RuntimeError):
        return False
    return should_reduce_batch_size(error) or any(text in str(error) for text in FULL)


def worker(recipe: Callable[[], Worker]) -> Worker:
    """The worker that `recipe` makes, cached for the next task of this process: each task gets a
    copy of the recipe. `recipe` is a module's function, or a partial of one, so that it always
    pickles to the same bytes.
    """
    return _worker(pickle.dumps(recipe))


@lru_cache(maxsize=16)
def _worker(recipe: bytes) -> Worker:
    return pickle.loads(recipe)()


def reused(stage: str) -> str:
    """The boolean column: an earlier run has made the columns of `stage` for this row."""
    return f"{stage}_reused"


def apply(stage: Stage, work: Worker, table: pa.Table) -> pa.Table:
    """Let `work` add its columns to the good rows of `table`; failed rows get nulls (or zeros).

    Returns the table with `stage.adds` appended, the columns of `stage.changes` replaced, without
    the columns that the stage drops, and with updated ledger columns. If it has columns of `adds`
    already, rows that are `reused` keep theirs.
    """
    good = pc.is_null(table[FAILED_STAGE]).to_numpy(zero_copy_only=False)
    if reused(stage.name) in table.column_names:
        good = good & ~table[reused(stage.name)].to_numpy()
    added, reasons = _work(stage, work, table.filter(pa.array(good)))
    for new in stage.adds:
        values = spread(added[new.name], good, new.type)
        if new.name in table.column_names:
            place = table.schema.get_field_index(new.name)
            table = table.set_column(place, new, _either(table[new.name], values, good))
        else:
            table = table.append_column(new, values)
    for new in stage.changes:
        place = table.schema.get_field_index(new.name)
        table = table.set_column(place, new, spread(added[new.name], good, new.type))
    table = table.drop_columns(list(stage.drops))
    return mark(table, stage.name, np.flatnonzero(good), reasons)


def _either(kept: pa.ChunkedArray, values: pa.Array, good: np.ndarray) -> pa.ChunkedArray:
    """`values` where `good` is true, else the `kept` ones; by index, which works for tensor
    columns, too.
    """
    if not good.any():
        return kept
    both = pa.chunked_array([*kept.chunks, values], values.type)
    return both.take(pa.array(np.arange(len(good)) + len(good) * good))


def _work(stage: Stage, work: Worker, rows: pa.Table) -> tuple[Columns, list[str | None]]:
    """The added columns for `rows`, and a reason for each row that failed (null: good)."""
    if rows.num_rows == 0:
        return {field.name: [] for field in stage.gives}, []
    try:
        return _checked(stage, work(rows), rows.num_rows)
    except Exception as error:
        if rows.num_rows == 1:
            log.debug("stage %s failed a row", stage.name, exc_info=True)
            return _failed(stage, reason(error, stage.out_of_memory_hint))
        full = out_of_memory(error)
    if full:  # here and not above: the error's stack held what the batch had in memory
        _free()
    half = rows.num_rows // 2
    parts = [_work(stage, work, part) for part in (rows.slice(0, half), rows.slice(half))]
    columns = {
        field.name: _concat([part[0][field.name] for part in parts], field.type)
        for field in stage.gives
    }
    return columns, [reason for part in parts for reason in part[1]]


def _failed(stage: Stage, why: str) -> tuple[Columns, list[str | None]]:
    """Like `_work`, for a single row that made the stage fail."""
    nothing = {f.name: _empty(1, f.type) for f in stage.gives}
    if stage.error is None:
        return nothing, [why]
    return nothing | {stage.error: [why]}, [None]


def reason(error: Exception, out_of_memory_hint: str) -> str:
    """Why a single row failed."""
    said = with_class(error, REASON_CHARS)
    if out_of_memory(error):
        return f"out of memory with this row alone: {out_of_memory_hint} ({said})"
    return said


def _free() -> None:
    """Release the GPU memory that torch caches."""
    if "torch" in sys.modules:
        from accelerate.utils.memory import clear_device_cache

        clear_device_cache(garbage_collection=True)


def _checked(stage: Stage, columns: Columns, rows: int) -> tuple[Columns, list[str | None]]:
    reasons = columns.get(FAILED_REASON)
    reasons = [None] * rows if reasons is None else _pylist(reasons)
    for name in (*(f.name for f in stage.gives), FAILED_REASON):
        got = len(reasons) if name == FAILED_REASON else len(columns[name])
        if got != rows:
            raise ValueError(f"stage {stage.name} gave {got} values of {name!r} for {rows} rows")
    # What is no value of its column, such as half a surrogate pair, must fail here: row by row.
    return {f.name: _typed(columns[f.name], f.type) for f in stage.gives}, reasons


def _typed(values: Any, kind: pa.DataType) -> Any:
    if isinstance(kind, pa.FixedShapeTensorType):
        return values
    values = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, kind)
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    return values.cast(kind)


def _empty(rows: int, kind: pa.DataType) -> Any:
    """A tensor column has no nulls in Arrow's zero-copy layout, so a failed row holds zeros."""
    if isinstance(kind, pa.FixedShapeTensorType):
        return np.zeros((rows, *kind.shape), kind.value_type.to_pandas_dtype())
    if pa.types.is_fixed_size_list(kind):  # a value for each picture of a row
        return [[None] * kind.list_size] * rows
    return [None] * rows


def _concat(parts: list[Any], kind: pa.DataType) -> Any:
    if isinstance(kind, pa.FixedShapeTensorType):
        return np.concatenate(parts)
    return [value for part in parts for value in _pylist(part)]


def spread(values: Any, good: np.ndarray, kind: pa.DataType) -> pa.Array:
    """`values`, one for each true of `good`, as a column of `len(good)` rows."""
    if isinstance(kind, pa.FixedShapeTensorType):
        if len(good) == 0:
            return pa.ExtensionArray.from_storage(kind, pa.array([], kind.storage_type))
        if not good.all():
            full = _empty(len(good), kind)
            if good.any():
                full[good] = values
            values = full
        return pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(values))
    values = _typed(values, kind)
    if good.all():
        return values
    places = np.where(good, np.cumsum(good) - 1, 0)
    return values.take(pa.array(places, mask=~good))


def mark(table: pa.Table, name: str, places: np.ndarray, reasons: list[str | None]) -> pa.Table:
    """`table` with the rows at `places` failed in the stage `name`, if they have a reason."""
    failed = {int(place): reason for place, reason in zip(places, reasons, strict=True) if reason}
    if not failed:
        return table
    stages, texts = table[FAILED_STAGE].to_pylist(), table[FAILED_REASON].to_pylist()
    for place, reason in failed.items():
        stages[place], texts[place] = name, reason.encode("utf-8", "replace").decode()
    for column, values in ((FAILED_STAGE, stages), (FAILED_REASON, texts)):
        index = table.schema.get_field_index(column)
        table = table.set_column(index, column, pa.array(values, pa.string()))
    return table


def _pylist(values: Any) -> list[Any]:
    return values.to_pylist() if isinstance(values, pa.Array | pa.ChunkedArray) else list(values)
