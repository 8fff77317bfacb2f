"""A stage adds its columns to good rows, and a bad row fails alone."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
import torch
from helpers.stage_rows import table

from imagepipe.stages.stage import (
    FAILED_REASON,
    FAILED_STAGE,
    BatchSizeBackoff,
    Stage,
    apply,
)

ADDS = pa.schema(
    [("double", pa.int64()), ("picture", pa.fixed_shape_tensor(pa.uint8(), (1, 2, 2, 3)))]
)
STAGE = Stage("doubling", reads=("n",), adds=ADDS, recipe=lambda: work)


def work(rows: pa.Table) -> dict:
    numbers = rows["n"].to_pylist()
    if 13 in numbers:
        raise ValueError("13 is unlucky")
    return {
        "double": [2 * n for n in numbers],
        "picture": np.stack([np.full((1, 2, 2, 3), n, np.uint8) for n in numbers]),
        FAILED_REASON: ["too big" if n > 100 else None for n in numbers],
    }


def pictures(result: pa.Table) -> list[int]:
    return result["picture"].combine_chunks().to_numpy_ndarray()[:, 0, 0, 0, 0].tolist()


def test_columns_are_added_and_the_ones_that_came_stay():
    result = apply(STAGE, work, table(1, 2, 3))
    assert result["n"].to_pylist() == [1, 2, 3]
    assert result["double"].to_pylist() == [2, 4, 6]
    assert pictures(result) == [1, 2, 3]
    assert result[FAILED_STAGE].null_count == 3


def test_a_row_that_failed_before_is_left_alone():
    result = apply(STAGE, work, table(1, 13, 3, failed=(1,)))
    assert result["double"].to_pylist() == [2, None, 6]
    assert pictures(result) == [1, 0, 3]
    assert result[FAILED_STAGE].to_pylist() == [None, "read", None]


def test_an_exception_fails_its_row_and_not_the_batch():
    result = apply(STAGE, work, table(1, 13, 3))
    assert result["double"].to_pylist() == [2, None, 6]
    assert pictures(result) == [1, 0, 3]
    assert result[FAILED_STAGE].to_pylist() == [None, "doubling", None]
    assert result[FAILED_REASON].to_pylist() == [None, "ValueError: 13 is unlucky", None]


def test_a_reason_fails_its_row():
    result = apply(STAGE, work, table(1, 101))
    assert result[FAILED_STAGE].to_pylist() == [None, "doubling"]
    assert result[FAILED_REASON].to_pylist() == [None, "too big"]


def test_a_batch_without_a_good_row_keeps_the_columns_and_their_types():
    result = apply(STAGE, work, table(1, 2, failed=(0, 1)))
    assert result.schema.field("double").type == pa.int64()
    assert result["double"].null_count == 2
    assert pictures(result) == [0, 0]


def test_a_worker_that_loses_a_row_is_caught():
    def short(rows: pa.Table) -> dict:
        return {name: values[:-1] for name, values in work(rows).items()}

    result = apply(STAGE, short, table(1, 2))
    assert result[FAILED_STAGE].to_pylist() == ["doubling", "doubling"]
    assert "gave 0 values of 'double' for 1 rows" in result[FAILED_REASON][0].as_py()


class Narrow:
    """Works on up to `room` rows at once, and remembers how many it was given."""

    def __init__(self, room: int, error: Exception) -> None:
        self.room, self.error, self.given = room, error, []

    def __call__(self, rows: pa.Table) -> dict:
        self.given.append(rows.num_rows)
        if rows.num_rows > self.room:
            raise self.error
        return work(rows)


FULL = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
    torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be reported later"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]


@pytest.mark.parametrize("error", FULL)
def test_a_batch_that_memory_does_not_hold_is_halved_and_the_next_is_halved_at_once(error):
    narrow = Narrow(2, error)
    fitting = BatchSizeBackoff(narrow)
    for _ in range(2):
        result = apply(STAGE, fitting, table(1, 2, 3, 4, 5, 6, 7, 8))
        assert result["double"].to_pylist() == [2, 4, 6, 8, 10, 12, 14, 16]
        assert pictures(result) == [1, 2, 3, 4, 5, 6, 7, 8]
        assert result[FAILED_STAGE].null_count == 8
    assert narrow.given == [8, 4, 2, 2, 2, 2, 2, 2, 2, 2]  # after a 4, no 4 is tried again


def test_a_row_that_memory_does_not_hold_alone_fails_with_what_to_do_and_others_go_on():
    stage = Stage("doubling", ("n",), ADDS, lambda: work, out_of_memory_hint="take two")
    fitting = BatchSizeBackoff(Narrow(0, FULL[0]))
    (reason, _) = apply(stage, fitting, table(1, 2))[FAILED_REASON].to_pylist()
    assert reason.startswith("out of memory with this row alone: take two (OutOfMemoryError: CUDA")
    fitting.work.room = 1
    assert apply(stage, fitting, table(1, 2))[FAILED_STAGE].null_count == 2


LOSES_ITS_GPU = """
import os, sys, torch, pyarrow as pa
from imagepipe.stages.stage import BatchSizeBackoff

def work(rows):
    error = torch.AcceleratorError("CUDA error")
    error.error_code = code  # as torch sets it, where CUDA is at work
    raise error

for code in map(int, sys.argv[1:]):
    if child := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        continue
    try:
        BatchSizeBackoff(work)(pa.table({"n": [1]}))
    except torch.AcceleratorError:
        os._exit(3)
"""


def test_a_process_that_lost_its_gpu_ends_instead_of_failing_whatever_comes():
    """After an illegal address (700), not where a kernel is missing (209), nothing works there."""
    command = [sys.executable, "-c", LOSES_ITS_GPU, "700", "719", "209"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.split() == ["1", "1", "3"]
    assert done.stderr.count("this process has to end") == 2


def test_a_bad_row_makes_no_later_batch_smaller():
    given = Narrow(9, ValueError())
    fitting = BatchSizeBackoff(given)
    apply(STAGE, fitting, table(1, 13, 3, 4))
    apply(STAGE, fitting, table(1, 2, 3, 4))
    assert given.given == [4, 2, 1, 1, 2, 4]


def test_a_text_that_no_column_can_hold_fails_its_row_alone():
    def answer(rows: pa.Table) -> dict:
        said = ["no \ud800 text" if n == 13 else "a text" for n in ns(rows)]
        return {"said": said, FAILED_REASON: ["half \ud83d" if n == 7 else None for n in ns(rows)]}

    def ns(rows: pa.Table) -> list[int]:
        return rows["n"].to_pylist()

    stage = Stage("saying", ("n",), pa.schema([("said", pa.string())]), lambda: answer)
    result = apply(stage, answer, table(1, 13, 7, 4))
    assert result["said"].to_pylist() == ["a text", None, "a text", "a text"]
    good, bad, half, last = result[FAILED_REASON].to_pylist()
    assert (good, half, last) == (None, "half ?", None)
    assert bad.startswith("UnicodeEncodeError: ") and "surrogates not allowed" in bad


def test_a_reason_is_short_whatever_the_error_repeats():
    def shout(rows: pa.Table) -> dict:
        raise ValueError("x" * 100_000)

    (reason,) = apply(STAGE, shout, table(1))[FAILED_REASON].to_pylist()
    assert reason.startswith("ValueError: xxx") and len(reason) == 500


@pytest.mark.parametrize("rows", [0, 1])
def test_small_batches(rows: int):
    assert apply(STAGE, work, table(*range(rows))).num_rows == rows
