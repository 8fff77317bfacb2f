"""Scores by category: added up from the table, with intervals that hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imagepipe.reports.scores import figures, is_share, lines, mean, table
from imagepipe.sink.groups import grouped
from imagepipe.sink.ledger import Scores
from imagepipe.store import Store


def scores(values) -> Scores:
    found = Scores()
    found.add([float(value) for value in values])
    return found


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "table").mkdir()
    parts = [
        {"id": [1, 1, 2, 2], "kind": ["a", "a", "b", "b"], "score": [1.0, 2.0, 5.0, None]},
        {"id": [3, 4, 5, 6], "kind": ["a", None, "b", "c"], "score": [4.5, 7.0, 6.0, None]},
    ]
    for number, part in enumerate(parts):
        columns = {**part, "score": pa.array(part["score"], pa.float32())}
        pq.write_table(pa.table(columns), tmp_path / f"table/part-{number:024x}.parquet")
    return Store(str(tmp_path))


def test_a_row_counts_once_in_its_category_and_in_all(store: Store):
    found = figures(grouped(store, "id", "kind", {"clip": "score"}), 0.95)
    means = {kind: (one["clip"]["rows"], one["clip"]["mean"]) for kind, one in found.items()
             if one}  # fmt: skip
    assert means == {"": (5, 4.8), "a": (2, 3.0), "b": (2, 5.5), "none": (1, 7.0)}


def test_without_categories_there_is_the_whole_alone(store: Store):
    found = grouped(store, "id", None, {"clip": "score", "other": "not there"})
    assert {name: one.count for name, one in found[""].items()} == {"clip": 5}


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [(397, 400, 0.9782, 0.9974), (379, 400, 0.9211, 0.9654), (400, 400, 0.9905, 1.0),
     (0, 10, 0.0, 0.2775)],
)  # fmt: skip
def test_a_share_has_wilsons_interval(right: int, of: int, low: float, high: float):
    """Of the formula: (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), z = 1.96."""
    found = mean(scores([1] * right + [0] * (of - right)), 0.95)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_other_scores_have_students_interval():
    found = mean(scores([1, 2, 3, 4, 6]), 0.95)
    assert (found.value, found.low, found.high) == pytest.approx((3.2, 0.8116, 5.5884), abs=1e-4)
    assert mean(scores([3.5]), 0.95).low == -np.inf
    assert mean(scores([7, 7, 7]), 0.95).low == 7


@pytest.mark.parametrize(
    ("values", "share"),
    [([0, 1, 1], True), ([1, 1], True), ([0], True), ([0, 0.5, 1], False), ([2, 2], False)],
)
def test_a_share_is_told_from_other_scores(values: list[float], share: bool):
    assert is_share(scores(values)) == share


def test_the_interval_holds_for_its_share_of_samples():
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(400):
        found = mean(scores(rng.random(60) < 0.9), 0.95)
        inside += found.low <= 0.9 <= found.high
    assert 0.92 <= inside / 400 <= 0.98


def test_the_table_is_aligned_with_all_rows_last():
    groups = {
        "": {"toy_all": scores([1] * 9 + [0]), "clip": scores([20.0, 30.0])},
        "oil painting": {"toy_all": scores([1] * 9)},
        "none": {"toy_all": scores([0]), "clip": scores([20.0])},
    }
    said = table(figures(groups, 0.95))
    assert [line.split("  ")[0] for line in said[1:]] == [
        "none (1)", "oil painting (9)", "all rows (10)",
    ]  # fmt: skip
    assert len({len(line) for line in (said[0], said[1], said[3])}) == 1
    assert "90.0 % (59.6 to 98.2)" in said[3] and "25.00 (-38.53 to 88.53)" in said[3]


def test_a_long_list_of_categories_is_cut():
    groups = {"": {"s": scores([1, 0])}, **{f"c{i:02}": {"s": scores([1])} for i in range(40)}}
    said = table(figures(groups, 0.95))
    assert len(said) == 24 + 3
    assert said[-2].startswith("... and 16 more") and said[-1].startswith("all rows (2)")


def test_a_terminal_has_a_table_where_there_are_shares_or_categories():
    plain = {"clip": {"mean": 24.312, "std": 1.5, "rows": 9, "low": 23.0, "high": 25.0,
                      "share": False}}  # fmt: skip
    assert lines({"scores": plain}) == ["24.31 ± 1.50 by clip"]
    told = lines({"scores": plain, "categories": {"Colors": plain}})
    assert told[1].split() == "Colors (9) 24.31 (23.00 to 25.00)".split()
    assert told[2].startswith("all rows (9)")
    assert "97.5 %" in lines({"scores": {"toy": plain["clip"] | {"mean": 0.975, "share": True}}})[1]
    before = {"clip": {"mean": 24.0, "std": 1.0}}  # of a run whose table could not be read
    assert lines({"scores": before}) == ["24.00 ± 1.00 by clip"]


def test_names_lose_what_they_all_begin_with():
    groups = {"": {"toy_animal": scores([1]), "toy_all": scores([0])}}
    assert table(figures(groups, 0.95))[0].split() == ["animal", "all"]
    groups = {"": {"toy_animal": scores([1]), "toyish": scores([0])}}
    assert table(figures(groups, 0.95))[0].split() == ["toy_animal", "toyish"]
