"""A stage leaves rows alone that an earlier run has done, and does the others beside them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from helpers.stage_rows import table

from imagepipe.stages.processor import ERROR, PAST, ProcessorStage, fold, unfold
from imagepipe.stages.stage import FAILED_REASON, Stage, Worker, apply, reused

ADDS = pa.schema(
    [
        ("text", pa.string()),
        ("scores", pa.list_(pa.float32(), 2)),
        ("picture", pa.fixed_shape_tensor(pa.uint8(), (1, 2, 2, 3))),
    ]
)
STAGE = Stage("made", reads=("n",), adds=ADDS, recipe=lambda: work)


def work(rows: pa.Table) -> dict:
    numbers = rows["n"].to_pylist()
    return {
        "text": [f"new {n}" for n in numbers],
        "scores": [[n, n + 0.5] for n in numbers],
        "picture": np.stack([np.full((1, 2, 2, 3), n, np.uint8) for n in numbers]),
        FAILED_REASON: ["odd" if n == 13 else None for n in numbers],
    }


def with_known(rows: pa.Table, known: list[bool]) -> pa.Table:
    """`rows` as they come to the stage, where those marked true have its columns."""
    cells = np.stack([np.full((1, 2, 2, 3), 200 * k, np.uint8) for k in known])
    rows = rows.append_column("text", pa.array(["old" if k else None for k in known], pa.string()))
    scores = pa.array([[7, 8] if k else None for k in known], ADDS.field("scores").type)
    rows = rows.append_column("scores", scores)
    rows = rows.append_column("picture", pa.FixedShapeTensorArray.from_numpy_ndarray(cells))
    return rows.append_column(reused("made"), pa.array(known))


@pytest.mark.parametrize(
    ("known", "texts", "pixels"),
    [
        ([True, False, True], ["old", "new 2", "old"], [200, 2, 200]),
        ([True, True, True], ["old", "old", "old"], [200, 200, 200]),
        ([False, False, False], ["new 1", "new 2", "new 3"], [1, 2, 3]),
    ],
    ids=["some", "all", "none"],
)
def test_a_row_keeps_what_was_made_of_it(known, texts: list[str], pixels: list[int]):
    result = apply(STAGE, work, with_known(table(1, 2, 3), known))
    assert result["text"].to_pylist() == texts
    assert result["picture"].combine_chunks().to_numpy_ndarray()[:, 0, 0, 0, 0].tolist() == pixels
    assert result["scores"].to_pylist()[0] == ([7, 8] if known[0] else [1, 1.5])
    assert result.column_names[-4:] == ["text", "scores", "picture", "made_reused"]


def test_a_worker_is_not_called_where_all_is_known():
    def never(rows: pa.Table) -> dict:
        raise AssertionError(rows)

    result = apply(STAGE, never, with_known(table(1, 2), [True, True]))
    assert result["failed_reason"].null_count == 2


def test_a_row_that_failed_before_and_one_that_fails_now_stay_failed():
    result = apply(STAGE, work, with_known(table(1, 13, 3, failed=(0,)), [False, False, True]))
    assert result["text"].to_pylist() == [None, "new 13", "old"]
    assert result["failed_reason"].to_pylist() == ["read", "odd", None]
    assert result["failed_stage"].to_pylist() == ["read", "made", None]


def questions() -> Worker:
    return lambda rows: {"asked": [f"{n}?" for n in rows["n"].to_pylist()]}


def reader() -> Worker:
    return lambda rows: {"text": rows["answer"].to_pylist()}


def test_a_processor_is_asked_nothing_of_a_row_that_is_known():
    """The engine answers whatever has no error beside it."""
    stage = ProcessorStage(
        "made",
        ("n",),
        pa.schema([("text", pa.string())]),
        recipe=reader,
        questions=questions,
        asks=pa.schema([("asked", pa.string())]),
        replies=pa.schema([("answer", pa.string()), ("made_s", pa.float32())]),
        processor=lambda share: lambda data: data,
    )
    rows = with_known(table(1, 2, 3, failed=(2,)), [True, False, False])
    asked = fold(stage, rows.drop_columns(["scores", "picture"]))
    assert [bool(error) for error in asked[ERROR].to_pylist()] == [True, False, True]
    answers = [None if row[ERROR] else f"yes {row['asked']}" for row in asked.to_pylist()]
    replied = pa.table(
        {
            PAST: asked[PAST],
            ERROR: asked[ERROR],
            "answer": pa.array(answers, pa.string()),
            "made_s": pa.array([0.5] * 3, pa.float32()),
        }
    )
    done = unfold(stage, replied)
    assert done["text"].to_pylist() == ["old", "yes 2?", None]
    assert done["failed_stage"].to_pylist() == [None, None, "read"]
