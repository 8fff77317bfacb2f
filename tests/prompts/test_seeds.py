"""Seeds that stand in a column."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest

from imagepipe.prompts import seeds


@pytest.mark.parametrize(
    ("cell", "seed"),
    [
        (7, 7),
        ("7", 7),
        (" 7 ", 7),
        ("7.0", 7),
        (7.0, 7),
        (0, 0),
        (2**53 + 1, 2**53 + 1),
        (str(2**63 - 1), 2**63 - 1),
        (5555555555555555555, 5555555555555555555),
        (Decimal(9007199254740993), 9007199254740993),
        (None, None),
        ("", None),
        (float("nan"), None),
    ],
    ids=range(13),
)
def test_a_seed_is_taken_as_it_stands(cell: object, seed: int | None):
    found, [why] = seeds.of_rows(pa.table({"id": ["a"], "s": [cell]}), 0, "id", "s")
    assert (found, why) == ([seeds.row_seed(0, "a") if seed is None else seed], None)


@pytest.mark.parametrize("cell", [-1, 2**63, "x", 1.5, True, "-3", "1e400"], ids=range(7))
def test_what_is_no_seed_is_said(cell: object):
    kind = pa.uint64() if cell == 2**63 else None
    table = pa.table({"id": ["a"], "s": pa.array([cell], kind)})
    _, [why] = seeds.of_rows(table, 0, "id", "s")
    assert str(why).startswith("column 's', for the seed, holds ")
