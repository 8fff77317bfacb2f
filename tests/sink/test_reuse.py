"""Rows that an earlier run has written, found again by what made them and by their own cells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from helpers.written import batch, writer

from imagepipe.config import Score
from imagepipe.prompts.seeds import row_seed
from imagepipe.sink.duplicates import leave_out
from imagepipe.sink.filter import Filter
from imagepipe.sink.rejected import WHY
from imagepipe.sink.reuse import GONE, Found, MadeBy, Work, find, merged, parts, take
from imagepipe.stages.stage import LEDGER, Stage, reused
from imagepipe.store import Store

SCORES = (Score("tiny", "scorer"),)
SINKS = pytest.mark.parametrize(
    "sink",
    [{}, {"png": False, "image_bytes": True}, {"png": False, "webdataset": True}],
    ids=["files", "bytes", "shards"],
)


def no_worker() -> Any:
    raise AssertionError


def llm(digest: str = "llm-1", inputs: str = "i") -> Work:
    adds = [("prompt", pa.string()), ("llm_fallback", pa.string()), ("llm_tokens_in", pa.int32())]
    stage = Stage("llm", ("base_prompt", "seed"), pa.schema(adds), no_worker)
    return Work(stage, digest, stage.reads, inputs=inputs)


def model(digest: str = "model-1", each: int = 1) -> Work:
    adds = [
        ("image", pa.fixed_shape_tensor(pa.uint8(), (each, 8, 8, 3))),
        ("drawn_at", pa.float64()),
        ("prompt_cut", pa.bool_()),
        ("unknown_words", pa.string()),
    ]
    stage = Stage("model", ("id", "prompt", "seed"), pa.schema(adds), no_worker)
    return Work(stage, digest, stage.reads, each)


def scorer(name: str = "scorer", each: int = 1) -> Work:
    column = name.replace("scorer", "score", 1)
    adds = [(column, pa.list_(pa.float32(), each)), (f"{name}_error", pa.string())]
    stage = Stage(name, ("image", "prompt"), pa.schema(adds), no_worker)
    return Work(stage, "scorer-1", ("id", "prompt", "seed"), each)


def earlier(folder: Path, rows: pa.Table, *works: Work, **options: Any) -> Store:
    """A run's folder with `rows` in it, which were made by `works`."""
    replace(writer(folder, **options), made_by=MadeBy.of(works))(rows)
    return Store(str(folder))


def found(store: Store, work: Work) -> Found:
    return find(parts(store), work)


def coming(rows: pa.Table, *columns: str) -> pa.Table:
    """`rows` as they come to a stage which reads these columns."""
    return rows.select([*columns, *LEDGER.names])


def good(ids: list[str], each: int = 1) -> pa.Table:
    rows = batch(ids, each=each)
    place = rows.schema.get_field_index("llm_fallback")
    return rows.set_column(place, "llm_fallback", pa.nulls(len(rows), pa.string()))


def test_an_answer_is_taken_over_for_the_same_prompt_and_seed_whatever_the_row_is_called(tmp_path):
    rows = good(["a", "b", "c"])
    known = found(earlier(tmp_path / "run", rows, llm()), llm())
    coming_in = coming(rows, "base_prompt", "seed").take([2, 0])
    made = take(known, coming_in, whole=False)
    assert made["prompt"].to_pylist() == [rows["prompt"][2].as_py(), rows["prompt"][0].as_py()]
    assert made["llm_tokens_in"].to_pylist() == [2, 0]
    assert made[reused("llm")].to_pylist() == [True, True]
    assert made["failed_stage"].null_count == 2


@pytest.mark.parametrize("column", ["base_prompt", "seed"])
def test_a_row_whose_own_cells_differ_is_not_taken_over(tmp_path, column: str):
    rows = good(["a", "b"])
    known = found(earlier(tmp_path / "run", rows, llm()), llm())
    other = {
        "base_prompt": pa.array(["a thing 0", "another"]),
        "seed": pc.add(rows["seed"], [0, 1]),
    }
    changed = coming(rows, "base_prompt", "seed").set_column(
        ["base_prompt", "seed"].index(column), column, other[column]
    )
    made = take(known, changed, whole=False)
    assert made[reused("llm")].to_pylist() == [True, False]
    assert made["prompt"].to_pylist()[1] is None


def test_what_was_made_by_something_else_is_not_found(tmp_path):
    rows = good(["a"])
    store = earlier(tmp_path / "run", rows, llm("llm-1"))
    assert len(found(store, llm("llm-1")).keys) == 1
    assert len(found(store, llm("llm-2")).keys) == 0
    assert len(found(store, model("llm-2")).keys) == 0


def test_a_run_of_before_says_nothing_and_a_torn_part_neither(tmp_path):
    writer(tmp_path / "old")(good(["a"]))
    store = earlier(tmp_path / "run", good(["a"]), llm())
    (tmp_path / "run" / "table" / "part-torn.parquet").write_bytes(b"PAR1")
    assert parts(Store(str(tmp_path / "old"))) == []
    assert len(found(store, llm()).keys) == 1


def test_a_row_that_fell_back_is_asked_again(tmp_path):
    rows = batch(["a", "b", "c"])  # all but the first fell back
    known = found(earlier(tmp_path / "run", rows, llm()), llm())
    made = take(known, coming(rows, "base_prompt", "seed"), whole=False)
    assert made[reused("llm")].to_pylist() == [True, False, False]


def test_a_row_that_failed_before_the_stage_is_not_looked_up(tmp_path):
    rows = good(["a", "b"])
    known = found(earlier(tmp_path / "run", rows, llm()), llm())
    failed = batch(["a", "b"], stages=["read", None])
    made = take(known, coming(failed, "base_prompt", "seed"), whole=True)
    assert made[reused("llm")].to_pylist() == [False, True]
    assert made["failed_stage"].to_pylist() == ["read", None]
    assert made["llm_s"].to_pylist() == [0, 0]


@SINKS
def test_pictures_are_those_that_were_drawn(tmp_path, sink: dict[str, bool]):
    rows = good(["a", "b"], each=2)
    known = found(earlier(tmp_path / "run", rows, model(each=2), **sink), model(each=2))
    made = take(known, coming(rows, "id", "prompt", "seed").take([1, 0]), whole=False)
    images = made["image"].combine_chunks().to_numpy_ndarray()
    assert images.shape == (2, 2, 8, 8, 3)
    assert images[:, 0, 0, 0, 0].tolist() == [15, 5]
    assert made["unknown_words"].to_pylist() == ["zyx, lighthouse", None]
    assert made["drawn_at"].null_count == 0


def test_a_row_without_all_of_its_pictures_is_drawn_again(tmp_path):
    rows = good(["a", "b"], each=2)
    best = Filter(keep="id == 'a' or image_index == 0")
    store = earlier(tmp_path / "run", rows, model(each=2), llm(), filter=best)
    assert len(found(store, model(each=2)).keys) == 1
    assert len(found(store, llm()).keys) == 2  # its prompt is there


@pytest.mark.parametrize("lost", ["gone", "torn", "of another size"])
def test_a_picture_that_is_no_longer_there_is_drawn_again_or_its_row_fails(tmp_path, lost: str):
    rows = good(["a", "b"])
    known = found(earlier(tmp_path / "run", rows, model()), model())
    file = tmp_path / "run" / "images" / "a.png"
    if lost == "gone":
        file.unlink()
    elif lost == "torn":
        file.write_bytes(file.read_bytes()[:60])
    else:
        from PIL import Image

        Image.new("RGB", (4, 4)).save(file)
    asked = coming(rows, "id", "prompt", "seed")
    assert take(known, asked, whole=False)[reused("model")].to_pylist() == [False, True]
    failed = take(known, asked, whole=True)
    assert failed["failed_stage"].to_pylist() == ["model", None]
    assert failed["failed_reason"].to_pylist() == [GONE, None]


@SINKS
@pytest.mark.parametrize("whole", [False, True], ids=["some", "whole"])
def test_rows_are_found_where_they_stand_now(tmp_path, sink: dict[str, bool], whole: bool):
    """A run that is resumed leaves out near-duplicates while another takes over from it."""
    rows, works = good(["a", "b", "c"]), (llm(), model())  # all of one colour: `c` stays
    named = writer(tmp_path / "run", filter=Filter(near_duplicates=0), **sink)
    made, store = replace(named, made_by=MadeBy.of(works)), Store(str(tmp_path / "run"))
    made(rows)
    each = [found(store, work) for work in works]
    assert [len(one.keys) for one in each] == [3, 3]
    dropped = leave_out(store, 0, "id", "id", WHY, made.run_lock)
    assert sorted(dropped["id"].to_pylist()) == ["a", "b"]
    answered, drawn = (take(one, coming(rows, *one.work.by), whole=whole) for one in each)
    assert answered["prompt"].to_pylist() == [None, None, rows["prompt"][2].as_py()]
    assert drawn[reused("model")].to_pylist() == [False, False, True]
    assert drawn["image"].combine_chunks().to_numpy_ndarray()[2, 0, 0, 0, 0] == 25
    assert drawn["failed_reason"].to_pylist() == [*([GONE, GONE] if whole else [None] * 2), None]


def scored(ids: list[str], each: int = 1) -> pa.Table:
    rows = good(ids, each=each)
    scores = [[10.0 * row + k for k in range(each)] for row in range(len(ids))]
    scores[-1][-1] = None
    errors = [*[None] * (len(ids) - 1), "no number"]
    kind = pa.list_(pa.float32(), each)
    rows = rows.append_column("score", pa.array(scores, kind))
    return rows.append_column("scorer_error", pa.array(errors, pa.string()))


@pytest.mark.parametrize("name", ["scorer", "scorer_tiny"])
def test_scores_are_taken_over_by_another_name_but_not_where_one_is_missing(tmp_path, name: str):
    rows = scored(["a", "b", "c"], each=2)
    store = earlier(tmp_path / "run", rows, scorer(each=2), scores=SCORES)
    made = take(
        found(store, scorer(name, each=2)), coming(rows, "id", "prompt", "seed"), whole=False
    )
    column = name.replace("scorer", "score", 1)
    assert made[column].to_pylist() == [[0, 1], [10, 11], None]
    assert made[reused(name)].to_pylist() == [True, True, False]


def test_of_rows_that_are_alike_those_of_the_first_run_are_taken(tmp_path):
    rows = good(["a", "b"])
    first = earlier(tmp_path / "one", rows.slice(0, 1), llm(inputs="others"))
    place = rows.schema.get_field_index("prompt")
    again = rows.set_column(place, "prompt", pa.array(["second", "second"]))
    second = earlier(tmp_path / "two", again, llm())
    each = [found(store, llm()) for store in (first, second)]
    assert [one.alike for one in each] == [0, 2]  # that began with the same rows
    made = take(merged(each), coming(rows, "base_prompt", "seed"), whole=False)
    assert made["prompt"].to_pylist() == [rows["prompt"][0].as_py(), "second"]
    made = take(merged(each[::-1]), coming(rows, "base_prompt", "seed"), whole=False)
    assert made["prompt"].to_pylist() == ["second", "second"]


def test_a_block_without_rows_passes(tmp_path):
    rows = good(["a"])
    for work, columns in ((llm(), ["base_prompt", "seed"]), (model(), ["id", "prompt", "seed"])):
        known = found(earlier(tmp_path / work.stage.name, rows, work), work)
        made = take(known, coming(rows, *columns).slice(0, 0), whole=True)
        assert len(made) == 0
        assert set(work.stage.adds.names) < set(made.column_names)


def test_the_writer_counts_what_was_taken_over_and_leaves_no_column_of_it(tmp_path):
    rows = good(["a", "b"]).append_column(reused("llm"), pa.array([False, True]))
    counts = writer(tmp_path / "run")(rows).to_pylist()[0]
    assert counts["reused"] == [("llm", 1)]
    assert (counts["llm_tokens_in"], counts["llm_tokens_out"]) == (0, 0)  # those of row a
    table = pq.read_table(tmp_path / "run" / "table")
    assert reused("llm") not in table.column_names
    assert table["llm_tokens_in"].to_pylist() == [0, 1]


def test_cells_of_any_type_make_a_key(tmp_path):
    """Also those that Python compares as equal."""
    values = [1, 1.0, True, "1", None, np.nan, b"1"]
    kinds = [pa.int64(), pa.float64(), pa.bool_(), pa.string(), pa.null(), pa.float64(), None]
    from imagepipe.sink.reuse import keys_of

    keys = {
        keys_of(pa.table({"n": pa.array([value], kind)}), ["n"])[0]
        for value, kind in zip(values, kinds, strict=True)
    }
    assert len(keys) == len(values)
    assert row_seed(0, "a") != row_seed(0, "b")
