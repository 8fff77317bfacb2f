"""Which pictures are kept: what an expression may say, what it decides, and where the rest goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import one_session
from helpers.command import summary
from helpers.configs import composed
from helpers.written import batch, writer

from imagepipe import sources
from imagepipe.config import Score
from imagepipe.errors import UserError
from imagepipe.execution import chain
from imagepipe.execution.messages import all_failed
from imagepipe.sink.filter import Filter
from imagepipe.sink.ledger import ENDS, Ledger
from imagepipe.sink.parts import collect_rejected

TABLE = pa.table(
    {
        "score": pa.array([1.5, 30.0, None, 5.0, float("nan"), 40.0], pa.float32()),
        "animal": ["cat", "dog", None, "cat", "fox", "a 'b'"],
        "weight": ["1", "2.5", "heavy", "-4", "", "1e3"],
        "my count": [1, 2, 3, 4, 5, None],
        "good": [True, False, True, None, True, True],
    }
)


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        ("score > 4", [1, 3, 5]),
        ("score >= 5 and animal != 'dog'", [3, 5]),
        ("animal in ['fox', 'dog'] or score < 2", [0, 1, 4]),
        ("animal not in ['cat']", [1, 2, 4, 5]),
        ("not score > 4", [0, 4]),
        ("4 < score < 40", [1, 3]),
        ("score is None", [2]),
        ("score is not None and animal is not None", [0, 1, 3, 4, 5]),
        ("float(weight) > 1", [1, 5]),
        ("float(weight) < -3.5", [3]),
        ("col('my count') * 2 - 1 == 5", [2]),
        ("score / col('my count') > 2", [1]),
        ("good", [0, 2, 4, 5]),
        ("not good", [1]),
        ("1 == 2", []),
        ("col('my count') / 2 > 1", [2, 3, 4]),
        ("3 / 2 > 1 and col('my count') in (1, -2)", [0]),
        ("score - -1 > 2.6", [1, 3, 5]),
        ("animal == \"a 'b'\"", [5]),
        ("((score > 4)) and ((animal == 'dog' or animal == 'cat'))", [1, 3]),
    ],
)
def test_an_expression_decides_by_the_cells(keep: str, expected: list[int]):
    Filter(keep).check(TABLE.schema, each=1)
    kept, _ = Filter(keep).kept(TABLE, 1)
    assert np.flatnonzero(kept).tolist() == expected


@pytest.mark.parametrize(
    ("keep", "said"),
    [
        ("score >", "is not an expression"),
        ("not " * 5000 + "good", "is too long or too deeply nested"),
        ("scor > 4", "names 'scor', which is not a column. Did you mean \"score\"?"),
        ("weight > 4", "Cells of a CSV are text: float(column) takes one as a number."),
        ("score + 4", "it is double, not true or false"),
        ("score == None", "may not hold score == None. It may hold columns, numbers"),
        ("score is 4", "may not hold score is 4"),
        ("score.x > 1", "may not hold score.x"),
        ("score[0] > 1", "may not hold score[0]"),
        ("__import__('os').getcwd() == 'x'", "may not hold __import__('os').getcwd()"),
        ("(lambda: 1)() > score", "may not hold (lambda: 1)()"),
        ("float(score + 1) > 1", "may not hold float(score + 1)"),
        ("score > 1 if good else good", "may not hold score > 1 if good else good"),
        ("f'{score}' == '1'", "may not hold f'{score}'"),
        ("animal > 1", "cannot be decided"),
        ("score == 99999999999999999999999", "is not an expression"),
        ("float(float(weight)) > 1", "may not hold float(float(weight))"),
        ("[1] in [1]", "is not an expression"),
        ("not [1]", "is not an expression"),
        (" and ".join(["good"] * 3000), "is too long or too deeply nested"),
        ("float(good) > 0", "bool holds no numbers"),
    ],
    ids=range(21),
)
def test_what_is_no_expression_of_columns_is_refused(keep: str, said: str):
    with pytest.raises(UserError) as caught:
        Filter(keep).check(TABLE.schema, each=1)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_the_best_of_a_row_are_kept_in_whatever_order_they_come():
    scores = [[3.0, 9.0, 9.0, 1.0], [None, 2.0, 5.0, 4.0], [None, None, None, None]]
    for order in ([0, 1, 2], [2, 0, 1]):
        flat = [score for row in order for score in scores[row]]
        kept, reasons = Filter(best=2, by="s").kept(
            pa.table({"s": pa.array(flat, pa.float32())}), 4
        )
        found = dict(zip(order, kept.reshape(-1, 4).tolist(), strict=True))
        assert found[0] == [False, True, True, False]
        assert found[1] == [False, False, True, True]
        assert sum(found[2]) == 2
        assert reasons == [None] * 3


def test_the_best_is_of_those_for_which_the_rule_holds():
    table = pa.table({"s": [9.0, 5.0, 7.0, 1.0, 2.0, 3.0]})
    kept, reasons = Filter("s < 8 and s > 3", 1, "s").kept(table, 3)
    assert kept.tolist() == [False, False, True, False, False, False]
    assert reasons == [None, "s < 8 and s > 3 does not hold: s is 1.0"]


def test_names_are_those_that_people_know():
    renamed = {"prompt": "input_prompt"}
    table = pa.table({"prompt": ["a long one"], "input_prompt": ["x"]})
    kept, _ = Filter("prompt == 'x'", renamed=renamed).kept(table, 1)
    assert kept.tolist() == [True]


def test_rows_of_which_no_picture_is_kept_are_told_apart_and_can_be_fed_in_again(tmp_path: Path):
    rows = batch(["a", "b", "c"], each=2)
    scores = pa.FixedSizeListArray.from_arrays(pa.array([1.0, 9, 2, 3, 8, 7], pa.float32()), 2)
    rows = rows.append_column("score", scores)
    rows = rows.append_column("scorer_error", pa.nulls(3, pa.string()))
    made = writer(tmp_path, (Score("clip", "scorer"),), filter=Filter("score > 5"))
    counts = made(rows)
    ledger = Ledger(3)
    ledger.add(counts)
    assert {end: getattr(ledger, end) for end in ENDS} == {
        **dict.fromkeys(ENDS, 0),
        "written": 2,
        "filtered": 1,
    }
    assert ledger.adds_up
    assert (ledger.pictures, ledger.pictures_filtered) == (3, 3)
    assert ledger.scores["clip"].figures()["min"] == 7
    names = sorted(path.name for path in (tmp_path / "images").iterdir())
    assert names == ["a-1.png", "c-0.png", "c-1.png"]
    table = pq.read_table(tmp_path / "table").sort_by("image_path")
    assert table["image_path"].to_pylist() == [f"images/{name}" for name in names]
    assert table["image_index"].to_pylist() == [1, 0, 1]
    collect_rejected(made.store)
    assert pq.read_table(tmp_path / "filtered.parquet").to_pylist() == [
        {
            "id": "b",
            "what": "thing 1",
            "stage": "filter",
            "reason": "score > 5 does not hold: score is 2.0",
        }
    ]


def test_a_row_that_a_scorer_failed_has_failed_and_is_no_choice_of_the_filters(tmp_path: Path):
    rows = batch(["a", "b", "c"])
    scores = pa.FixedSizeListArray.from_arrays(pa.array([None, 1.0, 9.0], pa.float32()), 1)
    rows = rows.append_column("score", scores)
    rows = rows.append_column("scorer_error", pa.array(["server down", None, None]))
    made = writer(tmp_path, (Score("clip", "scorer"),), filter=Filter("score > 5"))
    ledger = Ledger(3)
    ledger.add(made(rows))
    assert (ledger.written, ledger.filtered, ledger.failed) == (1, 1, 1)
    assert ledger.reasons == {"scorer: server down": 1}


def test_the_scorers_score_is_meant_where_the_table_has_one_too(tmp_path: Path):
    (tmp_path / "rows.csv").write_text("id,score\n1,x\n")
    data = ["dataset=csv", f"dataset.path={tmp_path / 'rows.csv'}", "dataset.id=id"]
    config = composed(*data, "dataset.prompt='{score}'", "filter.keep='score > 1'")
    tables = sources.scan(config.dataset, None)
    chain.check_filter(config, tables, chain.stages(config, tables))
    table = pa.table({"score": [0.5, 2.0], "input_score": ["x", "x"]})
    assert chain.kept(config, tables).kept(table, 1)[0].tolist() == [False, True]


def test_large_numbers_and_far_dates_are_judged_and_said():
    table = pa.table({"s": [2**62 + 1, 2**62 + 5], "far": pa.array([253402300800] * 2)})
    table = table.set_column(1, "far", table["far"].cast(pa.timestamp("s")))
    assert Filter(best=1, by="s").kept(table, 2)[0].sum() == 1
    _, [why, _] = Filter("s < 0 and far is not None").kept(table, 1)
    assert "far is 10000-01-01" in str(why)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["filter.keep='drawn_at > 1'"], "names 'drawn_at', which is not a column"),
        (["filter.keep='score > 2'", "scorer=none"], "names 'score', which is not a column"),
        (["filter.keep='outfitt == 1'"], 'Did you mean "outfit"?'),
        (["filter.best=1"], "filter.best=1: would keep all of a row's 1. Draw more a row"),
        (["filter.best=2", "model.images_per_prompt=2"], "would keep all of a row's 2"),
        (
            ["filter.best=1", "model.images_per_prompt=2", "scorer=none"],
            "filter.best=1: needs a score",
        ),
        (
            ["filter.best=1", "filter.by=animal", "model.images_per_prompt=2"],
            "filter.by=animal: holds string, no numbers",
        ),
        (["filter.best=0"], "filter.best=0: is too small"),
    ],
    ids=["not-kept", "no-score", "typo", "one", "all", "by-nothing", "by-text", "zero"],
)
def test_a_filter_that_cannot_decide_is_refused(overrides: list[str], said: str):
    with pytest.raises(UserError) as caught:  # noqa: PT012  some are refused before others
        config = composed(*overrides)
        tables = sources.scan(config.dataset, 4)
        chain.check_filter(config, tables, chain.stages(config, tables))
    assert said in str(caught.value)


def test_a_filter_that_can_decide_passes():
    config = composed(
        *(
            "filter.keep=\"score > 2 and animal != 'cat' and float(seed) > 1 and image_index < 2\"",
            "filter.best=1",
        ),
        "model.images_per_prompt=2",
    )
    tables = sources.scan(config.dataset, 4)
    chain.check_filter(config, tables, chain.stages(config, tables))
    assert chain.kept(config, tables).by == "score"


def test_a_run_that_keeps_nothing_has_failed_and_says_why():
    ledger = Ledger(2, filtered=2)
    ledger.filtered_reasons.add(["score > 99 does not hold: score is 3"] * 2)
    said = (
        "the filter keeps no picture: 2 rows are filtered, as score > 99 does not hold: score is 3"
    )
    assert all_failed(ledger) == said


def test_a_run_ends_each_row_once_and_a_resume_leaves_filtered_rows_alone(tmp_path: Path):
    rows = "".join(f"{number},thing {number},{number}\n" for number in range(12))
    (tmp_path / "rows.csv").write_text(f"id,what,size\n{rows}")
    job = ["dataset=csv", f"dataset.path={tmp_path}/rows.csv", "dataset.id=id"]
    job += ["dataset.prompt='{what}'", "llm=none", "model=noop", "model.width=8", "model.height=8"]
    job += ["scorer=none", "filter.keep='float(size) < 5'", "tracking=none"]
    job += ["filter.near_duplicates=0"]  # pictures of one colour are alike
    out = one_session.run(tmp_path, "out", *job)
    said = summary(out)
    assert (said["written"], said["filtered"], said["pictures"]) == (1, 11, 1)
    [kept] = [path.stem for path in (out / "images").iterdir()]
    assert pq.read_table(out / "table")["id"].to_pylist() == [kept]
    filtered = pq.read_table(out / "filtered.parquet").to_pylist()
    assert {row["id"] for row in filtered} == {str(n) for n in range(12)} - {kept}
    alike = f"near-duplicate of {kept}: 0 of 64 bits differ"
    assert {row["id"] for row in filtered if row["reason"] == alike} == {*"01234"} - {kept}
