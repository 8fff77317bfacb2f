"""What a scorer fails with keeps its picture, has no score, and is counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from helpers.written import batch, writer
from pyarrow import parquet as pq

from imagepipe.config import Dataset, Score, Scorer
from imagepipe.scoring.stage import NO_NUMBER, stage
from imagepipe.sink import resume
from imagepipe.sink.ledger import Ledger
from imagepipe.sources import scan
from imagepipe.stages.stage import BatchSizeBackoff, apply
from imagepipe.store import Store

SCORES = (Score("mine", "scorer"),)
PROMPTS = ["a cat", "a cursed cat", "a blank", "a dog", "twice", "a huge cat"]
CURSED = "ValueError: this prompt is cursed"
TWICE = "ValueError: the scorer gave (2,) for 1 pictures"


def scored(prompts: list[str], each: int = 1) -> pa.Table:
    one = stage(Scorer("mine", "custom", _target_="helpers.failing_engines.Scorer"), each)
    rows = batch([f"r{i}" for i in range(len(prompts))], each=each)
    place = rows.schema.get_field_index("prompt")
    return apply(one, BatchSizeBackoff(one.recipe()), rows.set_column(place, "prompt", [prompts]))


def test_a_row_that_the_scorer_fails_with_is_no_failed_row():
    table = scored(PROMPTS)
    assert table["failed_stage"].null_count == len(PROMPTS)
    assert table["score"].to_pylist() == [[1.0], [None], [None], [1.0], [None], [None]]
    *said, full = table["scorer_error"].to_pylist()
    assert said == [None, CURSED, NO_NUMBER, None, TWICE]
    assert full.startswith("out of memory with this row alone: give it more of a GPU")


@pytest.mark.parametrize("each", [1, 2])
def test_its_picture_is_written_and_counted(each: int, tmp_path: Path):
    ledger = Ledger(rows_read=3)
    ledger.add(writer(tmp_path, SCORES)(scored(PROMPTS[:3], each)))
    assert ledger.adds_up and (ledger.written, ledger.failed) == (3, 0)
    assert ledger.unscored == {CURSED: each, NO_NUMBER: each}
    assert ledger.scores["mine"].count == each
    rows = pq.read_table(tmp_path / "table").to_pylist()
    assert [row["score"] for row in rows] == [*[1.0] * each, *[None] * 2 * each]
    assert [row["scorer_error"] for row in rows] == [
        *[None] * each, *[CURSED] * each, *[NO_NUMBER] * each,
    ]  # fmt: skip
    assert all((tmp_path / row["image_path"]).is_file() for row in rows)


def test_of_a_rows_pictures_only_the_one_without_a_score_says_why(tmp_path: Path):
    ledger = Ledger(rows_read=1)
    ledger.add(writer(tmp_path, SCORES)(scored(["half a cat"], each=2)))
    rows = pq.read_table(tmp_path / "table").to_pylist()
    assert [(row["score"], row["scorer_error"]) for row in rows] == [(1.0, None), (None, NO_NUMBER)]
    assert ledger.unscored == {NO_NUMBER: 1}


def test_a_stage_of_a_persons_own_is_counted_by_its_name(tmp_path: Path):
    rows = scored(PROMPTS[:3]).append_column("sharp_error", pa.array([None, "no", None]))
    errors = {"scorer_error": "scorer", "sharp_error": "sharp"}
    ledger = Ledger(rows_read=3)
    ledger.add(replace(writer(tmp_path, SCORES), errors=errors)(rows))
    assert ledger.adds_up and ledger.written == 3
    assert ledger.unscored == {CURSED: 1, NO_NUMBER: 1, "sharp: no": 1}
    assert pq.read_table(tmp_path / "table")["sharp_error"].to_pylist() == [None, "no", None]
    (tmp_path / "t.csv").write_text("id,what\nr0,a\nr1,b\nr2,c\n")
    data = Dataset(path=str(tmp_path / "t.csv"), format="csv", id="id", prompt="{what}")
    given = (Store(str(tmp_path)), scan(data, None), "id")
    done = resume.take_in(*given, retry_failed=False, scores=SCORES, errors=errors)
    assert done.unscored == ledger.unscored


def test_a_resumed_run_counts_those_of_before(tmp_path: Path):
    (tmp_path / "t.csv").write_text("id,what\nr0,a\nr1,b\nr2,c\n")
    data = Dataset(path=str(tmp_path / "t.csv"), format="csv", id="id", prompt="{what}")
    writer(tmp_path / "out", SCORES)(scored(PROMPTS[:3]))
    store, tables = Store(str(tmp_path / "out")), scan(data, None)
    done = resume.take_in(store, tables, "id", retry_failed=False, scores=SCORES)
    ledger = done.ledger(3, 1)
    assert ledger.adds_up and ledger.unscored == {CURSED: 1, NO_NUMBER: 1}
