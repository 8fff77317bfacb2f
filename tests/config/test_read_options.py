"""The options of a table's format, as they are typed."""

from __future__ import annotations

import pytest
from helpers.configs import composed

from imagepipe.config import Dataset, Join

CSV = ["dataset=csv", "dataset.path=t.csv", "dataset.id=id", "dataset.prompt='{what}'"]


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        (
            ["dataset.read={delimiter: ';', encoding: cp1252}"],
            {"delimiter": ";", "encoding": "cp1252"},
        ),
        (["dataset.read.delimiter=';'"], {"delimiter": ";"}),
        (["+dataset.read.skip_rows=2"], {"skip_rows": 2}),
        ([], {}),
    ],
    ids=["all", "one", "plus", "none"],
)
def test_options_of_the_table_are_typed_without_a_preset_that_names_them(typed, read):
    found = composed(*CSV, *typed).dataset
    assert type(found) is Dataset and type(found.join) is Join
    assert found.read == read


@pytest.mark.parametrize(
    "typed",
    ["dataset.join.read={delimiter: ';'}", "+dataset.join.read={delimiter: ';'}"],
    ids=["plain", "plus"],
)
def test_options_of_a_joined_table_are_typed(typed: str):
    join = ["dataset.join.path=u.csv", "dataset.join.on=id"]
    assert composed(*CSV, *join, typed).dataset.join.read == {"delimiter": ";"}
    assert composed(*CSV, *join).dataset.join.read is None
