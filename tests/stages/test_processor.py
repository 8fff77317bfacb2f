"""A row comes out of a processor of Ray Data's as it went in, with its answer beside it."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pytest
from helpers.stage_rows import table as numbers

from imagepipe.stages.processor import ERROR, PAST, ProcessorStage, fold, unfold
from imagepipe.stages.stage import FAILED_REASON, FAILED_STAGE


def questions():
    def work(rows: pa.Table) -> dict:
        if 13 in rows["n"].to_pylist():
            raise ValueError("13 is unlucky")
        return {"asked": [[n] * n for n in rows["n"].to_pylist()]}

    return work


def answers():
    def work(rows: pa.Table) -> dict:
        return {
            "answer": [text or "" for text in rows["text"].to_pylist()],
            FAILED_REASON: [error or None for error in rows[ERROR].to_pylist()],
        }

    return work


STAGE = ProcessorStage(
    "echo",
    reads=("n",),
    adds=pa.schema([("answer", pa.string())]),
    recipe=answers,
    questions=questions,
    asks=pa.schema([("asked", pa.list_(pa.int32()))]),
    replies=pa.schema([("text", pa.string()), ("echo_s", pa.float32())]),
    processor=lambda share: lambda data: data,
)


def processed(folded: pa.Table, broken: int | None = None) -> pa.Table:
    """What a processor does: through Python values, rows with an error left alone."""
    out = []
    for row in folded.to_pylist():
        if row[ERROR]:
            out.append(row)
        elif row["asked"] == [broken] * (broken or 0):
            out.append({PAST: row[PAST], ERROR: "RuntimeError: engine", "text": ""})
        else:
            out.append({PAST: row[PAST], ERROR: "", "text": f"{row['asked']}", "echo_s": 0.5})
    columns = {name for row in out for name in row}
    return pa.table({name: [row.get(name) for row in out] for name in columns})


def through(rows: pa.Table, broken: int | None = None) -> pa.Table:
    return unfold(STAGE, processed(fold(STAGE, rows), broken))


def test_every_column_keeps_its_type_and_the_answer_is_added() -> None:
    rows = numbers(1, 2).append_column("big", pa.array([2**64 - 1, 0], pa.uint64()))
    when = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    rows = rows.append_column("when", pa.array([when, None], pa.timestamp("ns", "UTC")))
    rows = rows.append_column("nothing", pa.nulls(2)).append_column("b", pa.array([b"\0", b""]))
    done = through(rows)
    assert done.select(rows.column_names).equals(rows)
    assert done.schema.names == [*rows.column_names, "answer", "echo_s"]
    assert done["answer"].to_pylist() == ["[1]", "[2, 2]"]
    assert done["echo_s"].type == pa.float32()


def test_a_row_that_failed_before_is_left_alone() -> None:
    done = through(numbers(1, 2, 3, failed=(1,)))
    assert done["answer"].to_pylist() == ["[1]", None, "[3, 3, 3]"]
    assert done[FAILED_STAGE].to_pylist() == [None, "read", None]


def test_a_question_that_cannot_be_asked_fails_its_row() -> None:
    done = through(numbers(1, 13, 3))
    assert done["answer"].to_pylist() == ["[1]", None, "[3, 3, 3]"]
    assert done[FAILED_STAGE].to_pylist() == [None, "echo", None]
    assert done[FAILED_REASON].to_pylist() == [None, "ValueError: 13 is unlucky", None]


def test_an_answer_that_failed_fails_its_row() -> None:
    done = through(numbers(1, 2), broken=2)
    assert done[FAILED_STAGE].to_pylist() == [None, "echo"]
    assert done[FAILED_REASON].to_pylist() == [None, "RuntimeError: engine"]


@pytest.mark.parametrize("rows", [1, 2])
def test_a_block_without_an_answer_keeps_the_columns(rows: int) -> None:
    done = through(numbers(*range(rows), failed=tuple(range(rows))))
    assert done.schema.field("answer").type == pa.string()
    assert done["echo_s"].null_count == rows
