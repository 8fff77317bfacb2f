"""Columns that are left out are named, with the reason."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from helpers.asked import dataset, prompts_of, refused, written

from imagepipe.sources import scan


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param(",id,what\n0,1,a\n", "it has no name", id="index-of-pandas"),
        pytest.param("id,what,\n1,a,\n", "it has no name", id="trailing-comma"),
        pytest.param("id,  ,what\n1,x,a\n", "it has no name", id="blank"),
        pytest.param(
            "id,,what,\n1,x,a,y\n", "it has no name, as 2 columns have none", id="two-of-them"
        ),
    ],
)
def test_a_column_of_csv_without_a_name(tmp_path: Path, text: str, why: str) -> None:
    tables = scan(dataset(written(tmp_path / "t.csv", text)), None)
    assert tables.columns == ("id", "what")
    assert tables.notes == (f"column '' is left out: {why}",)


def broken(path: Path, null: bool) -> Path:
    """A table with a list of a fixed size, which pyarrow writes with nulls and cannot read so."""
    cells = pa.array([None if null else [1, 2]], pa.list_(pa.int64(), 2))
    return written(path, {"id": [path.stem], "what": ["a cat"], "pair": cells})


@pytest.mark.parametrize("first", [True, False])
def test_a_column_of_parquet_that_cannot_be_read_in_one_of_its_files(
    tmp_path: Path, first: bool
) -> None:
    for name in ("a", "b"):
        broken(tmp_path / "t" / f"{name}.parquet", null=(name == "a") == first)
    tables = scan(dataset(tmp_path / "t", "parquet"), None)
    assert tables.columns == ("id", "what")
    assert tables.notes == ("column 'pair' is left out: it holds cells that pyarrow cannot read",)


def test_one_that_is_drawn_refuses_the_table(tmp_path: Path) -> None:
    asked = dataset(broken(tmp_path / "t.parquet", null=True), prompt="{pair}")
    assert "holds cells in column 'pair' that cannot be read" in refused(asked).problem


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
@pytest.mark.parametrize("name", ["\0", "\0what", "a\0b"])
def test_a_column_with_a_nul_in_its_name(tmp_path: Path, form: str, name: str) -> None:
    row = {"id": "1", name: 3, "what": "a cat"}
    rows = {key: [cell] for key, cell in row.items()} if form == "parquet" else [row]
    asked = dataset(written(tmp_path / f"t.{form}", rows))
    tables = scan(asked, None)
    assert tables.columns == ("id", "what")
    assert tables.notes == (f"column {name!r} is left out: it has a NUL character in its name",)
    assert prompts_of(asked) == ["a cat"]
