"""What of a join is told before the run."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from helpers.asked import dataset, refused, written

from imagepipe.config import Join
from imagepipe.sources import scan


def asked(tmp_path: Path, left: list[str], right: list[str], **join: str):
    rows = "".join(f'{number},"{key}"\n' for number, key in enumerate(left))
    path = written(tmp_path / "l.csv", f"id,what\n{rows}")
    other = written(tmp_path / "r.csv", "what,wears\n" + "".join(f'"{key}",hat\n' for key in right))
    return dataset(path, join=Join(path=str(other), on="what", **join))


@pytest.mark.parametrize(
    ("left", "right", "words"),
    [
        ("7.0", "7", "l.csv has '7.0', r.csv has '7': they differ in how the number is written"),
        ("007", "7", "they differ in leading zeros"),
        ("cat ", "cat", "they differ in spaces"),
        ("Cat", "cAT", "they differ in upper and lower case"),
        ("a\u200bb", "ab", "they differ in signs that cannot be seen"),
        ("ａ", "a", "they differ in wide and narrow signs"),
        (unicodedata.normalize("NFD", "é"), "é", "they differ in Unicode form (NFC or NFD)"),
        ("1e3", "1,000", "they differ in how the number is written"),
        ("cat.png", "cat", "they differ in the ending of a file's name"),
        ("pets/cat", "cat", "they differ in the folder before a name"),
        ("café", "cafe", "they differ in accents"),
        ("red_cat", "red-cat", "they differ in signs such as hyphens, commas and quotes"),
        ("2024-01-31 00:00:00Z", "2024-01-31", "they differ in the time zone"),
        (" Cat", "cat", "they differ in spaces and upper and lower case"),
        ("cat", "dog", "l.csv has 'cat', r.csv has 'dog', for example"),
    ],
    ids=(
        "point zeros space case unseen wide form number ending folder accents signs zone two all"
    ).split(),
)
def test_a_join_that_matches_nothing_is_refused_with_what_differs(
    tmp_path: Path, left: str, right: str, words: str
) -> None:
    error = refused(asked(tmp_path, [left, "x"], ["y", right] if words[-1] != "e" else [right]))
    assert error.field == "dataset.join.on"
    assert f"matches no row: {words}" in error.problem or words in error.problem


def test_how_many_rows_match_is_told(tmp_path: Path) -> None:
    tables = scan(asked(tmp_path, ["a", "b", "c"], ["a", "c", "d"]), None)
    assert tables.joins[0].reason.endswith(", 2 of 3 rows match")
    some = scan(asked(tmp_path, ["a", "Ab", "c "], ["a", "ab", "c", "z"]), None)
    assert some.joins[0].reason.endswith(
        "1 of 3 rows match; l.csv has 'c ', r.csv has 'c': they differ in spaces"
    )
    assert scan(asked(tmp_path, ["a", "b"], ["a"]), 1).joins[0].reason.endswith("1 of 1 rows match")
    outer = scan(asked(tmp_path, ["A"], ["a"], how="left"), None).joins[0].reason
    assert "0 of 1 rows match: l.csv has 'A', r.csv has 'a': they differ in upper and" in outer


@pytest.mark.parametrize("how", ["left", "anti"])
def test_a_table_without_rows_can_be_looked_up(tmp_path: Path, how: str) -> None:
    tables = scan(asked(tmp_path, ["a"], [], how=how), None)
    assert (tables.rows, tables.joins[0].method) == (1, "broadcast")
    assert "has no rows" in refused(asked(tmp_path, ["a"], [])).problem


def test_keys_of_several_columns(tmp_path: Path) -> None:
    left = written(tmp_path / "l.parquet", {"id": ["1"], "what": ["a"], "n": [7]})
    right = written(tmp_path / "r.csv", "what,n,wears\na,7.0,hat\n")
    join = Join(path=str(right), format="csv", on=["what", "n"])
    assert scan(dataset(left, join=join), None).joins[0].reason.endswith("1 of 1 rows match")
    written(right, "what,n,wears\na,8,hat\n")
    assert "l.parquet has 'a', '7', r.csv has 'a', '8'" in refused(dataset(left, join=join)).problem


@pytest.mark.parametrize("empty", ["", "  "])
def test_keys_that_are_empty_on_both_sides_do_not_match(tmp_path: Path, empty: str) -> None:
    said = "matches no row: all keys of l.csv are empty"
    assert said in str(refused(asked(tmp_path, [empty, empty], [empty, "b"])))
    (join,) = scan(asked(tmp_path, [empty, "b"], [empty, "b"]), None).joins
    assert join.reason.endswith("1 of 2 rows match")
