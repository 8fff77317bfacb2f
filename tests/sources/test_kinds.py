"""JSON columns without one type, and columns that nobody uses: neither fails a row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from helpers.asked import dataset, prompts_of, refused, written

from imagepipe.sources import scan
from imagepipe.sources.blocks import scanned
from imagepipe.sources.formats.kinds import cell_text, json_text


def column(tmp_path: Path, cells: list[Any], used: bool = False) -> list[Any]:
    """What becomes of `cells` in a column `x` of JSON lines."""
    rows = [{"id": str(n), "what": "a", "x": cell} for n, cell in enumerate(cells)]
    path = written(tmp_path / "t.jsonl", rows)
    left = scan(dataset(path, prompt="{x}" if used else "{what}"), None).left
    return [
        cell for rows in scanned(left, left.files[0], ["x"]) for cell in rows.table["x"].to_pylist()
    ]


@pytest.mark.parametrize(
    ("cells", "kept"),
    [
        pytest.param([{}, {}], ["{}", "{}"], id="empty-objects"),
        pytest.param([{"a": {}}, None], ['{"a": {}}', None], id="empty-inside"),
        pytest.param([["4", 0]], ['["4", 0]'], id="mixed-list"),
        pytest.param([1, "b", True], ["1", '"b"', "true"], id="mixed-cells"),
        pytest.param([2**64 - 1], ["18446744073709551615"], id="unsigned"),
        pytest.param([2**53 + 1, 0.5], ["9007199254740993", "0.5"], id="no-double"),
        pytest.param([[1, float("nan")], "x"], ["[1, null]", '"x"'], id="nan"),
        pytest.param([{"a": 1}, {"a": 2}], [{"a": 1}, {"a": 2}], id="one-type"),
        pytest.param([[1], [2.5]], [[1.0], [2.5]], id="numbers"),
        pytest.param([[], []], ["[]", "[]"], id="empty-lists"),
    ],
)
def test_an_unused_column_without_one_type_is_json_text(
    tmp_path: Path, cells: list[Any], kept: list[Any]
) -> None:
    assert column(tmp_path, cells) == kept


def test_ever_new_keys_are_json_text(tmp_path: Path) -> None:
    cells = [{f"user_{n}": n / 10, "deep": {"k": n}} for n in range(200)]
    assert column(tmp_path, cells)[7] == '{"user_7": 0.7, "deep": {"k": 7}}'


def test_a_used_column_of_several_kinds_is_text(tmp_path: Path) -> None:
    rows = [{"id": 1, "what": 3}, {"id": "2b", "what": "a"}, {"id": 3, "what": [1]}]
    asked = dataset(written(tmp_path / "t.jsonl", rows))
    assert prompts_of(asked) == ["3", "a", None]
    assert scan(asked, None).first_ids == ("1", "2b", "3")
    rows = [{"id": n, "what": cell} for n, cell in enumerate(["a", float("nan"), 1e20, True, None])]
    asked = dataset(written(tmp_path / "more.jsonl", rows))
    assert prompts_of(asked) == ["a", None, "1e+20", "true", None]


@pytest.mark.parametrize(
    ("cell", "text", "json"),
    [
        ("a", "a", '"a"'),
        (3.0, "3", "3.0"),
        (True, "true", "true"),
        (None, None, None),
        ({"é": [1]}, '{"é": [1]}', '{"é": [1]}'),
        (float("nan"), None, None),
        (float("-inf"), "-inf", None),
        ([float("nan"), 1], "[null, 1]", "[null, 1]"),
    ],
)
def test_cells_as_text(cell: Any, text: str, json: str) -> None:
    assert (cell_text(cell), json_text(cell)) == (text, json)


def test_a_column_is_the_same_in_one_file_and_in_two(tmp_path: Path) -> None:
    rows = [{"id": "1", "what": "a", "x": 1}, {"id": "2", "what": "b", "x": "y"}]
    for number, row in enumerate(rows):
        written(tmp_path / "d" / f"{number}.jsonl", [row])
    one = scan(dataset(written(tmp_path / "t.jsonl", rows)), None).left.schema
    assert scan(dataset(tmp_path / "d", "jsonl"), None).left.schema.equals(one, check_metadata=True)


TENSORS = pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros((1, 2, 2), "uint8"))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(pa.array([1]), pa.array(["x"]), id="kinds"),
        pytest.param(pa.array([2**63], pa.uint64()), pa.array([1]), id="unsigned"),
        pytest.param(pa.array([[1]]), pa.array([{"a": 1}]), id="nested"),
        pytest.param(pa.array([2**53 + 1]), pa.array([0.5]), id="no-double"),
    ],
)
def test_an_unused_parquet_column_without_one_type_is_left_out(
    tmp_path: Path, first: pa.Array, second: pa.Array
) -> None:
    written(tmp_path / "1.parquet", {"id": ["1"], "what": ["a"], "x": first})
    written(tmp_path / "2.parquet", {"id": ["2"], "what": ["b"], "x": second})
    tables = scan(dataset(tmp_path, "parquet"), None)
    assert (tables.rows, tables.columns) == (2, ("id", "what"))
    assert tables.notes[0].startswith("column 'x' is left out: ")
    assert "'x'" in refused(dataset(tmp_path, "parquet", prompt="{x}")).problem


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_a_column_that_some_files_lack_is_null_there(tmp_path: Path, format: str) -> None:
    one = {"id": ["1"], "what": ["a"]}
    more = {"id": ["2"], "extra": ["x"], "what": ["b"]}
    empty = {"id": pa.array([], pa.int64()), "__index_level_0__": pa.array([], pa.int64())}
    if format == "csv":
        written(tmp_path / "1.csv", "id,what\n1,a\n")
        written(tmp_path / "2.csv", "id,extra,what\n2,x,b\n")
        written(tmp_path / "0.csv", "id\n")
    else:
        written(tmp_path / "1.parquet", one)
        written(tmp_path / "2.parquet", more)
        written(tmp_path / "0.parquet", empty)
    left = scan(dataset(tmp_path, format), None).left
    rows = [
        r
        for f in left.files
        for rows in scanned(left, f, left.schema.names)
        for r in rows.table.to_pylist()
    ]
    assert [row["extra"] for row in rows] == [None, "x"]
    lacking = refused(dataset(tmp_path, format, prompt="{what} {extra}"))
    assert "does not have the columns of" in lacking.problem


def test_bytes_that_are_no_text_fail_only_rows_that_use_them(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", b"id,what,author\n1,a cat,Ren\xe9\n2,caf\xe9,Ann\n")
    assert prompts_of(dataset(path)) == ["a cat", None]
    assert "bytes that are not UTF-8" in scan(dataset(path), None).notes[0]
    lines = b'{"id": 1, "what": "a", "by": "Ren\xe9"}\n{"id": 2, "what": "caf\xe9"}\n'
    assert prompts_of(dataset(written(tmp_path / "t.jsonl", lines))) == ["a", None]
