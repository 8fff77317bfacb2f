"""The options of `dataset.read`: signs, encodings and lines of a table of text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.asked import dataset, prompts_of, refused, written
from pyarrow.fs import LocalFileSystem

from imagepipe.config import Join
from imagepipe.sources import scan
from imagepipe.sources.formats.csv import Csv

TABS = "id\twhat\n1\ta 5\" cat\n2\t'a', dog\n"


@pytest.mark.parametrize(
    ("text", "options", "prompts"),
    [
        pytest.param("id;what\n1;a, b\n", {"delimiter": ";"}, ["a, b"], id="semicolon"),
        pytest.param("id\twhat\n1\ta\n", {"delimiter": r"\t"}, ["a"], id="tab-as-typed"),
        pytest.param("id,what\n1,'a, b'\n", {"quote_char": "'"}, ["a, b"], id="quote"),
        pytest.param('id,what\n1,"a"b\n', {"quote_char": None}, ['"a"b'], id="no-quote"),
        pytest.param(
            'id,what\n1,"a \\"b\\", c"\n', {"escape_char": "\\"}, ['a "b", c'], id="escape"
        ),
        pytest.param("# made\n# by\nid,what\n1,a\n", {"skip_rows": 2}, ["a"], id="skip"),
        pytest.param('"\nid,what\n1,"a"\n', {"skip_rows": 1}, ["a"], id="skip-a-quote"),
        pytest.param("1,a\n2,b\n", {"column_names": ["id", "what"]}, ["a", "b"], id="names"),
        pytest.param(
            "1,a,9\n2,b,9\n", {"column_names": ["id", "what", 2024]}, ["a", "b"], id="numbers"
        ),
        pytest.param(
            "id,what\n1,NA\n2,b\n", {"null_values": ["NA", "-"]}, ["", "b"], id="null-values"
        ),
        pytest.param("id,what,x\n1,a,b\n", {"columns": ["what", "id"]}, ["a"], id="columns"),
    ],
)
def test_signs(tmp_path: Path, text: str, options: dict[str, Any], prompts: list[str]) -> None:
    asked = dataset(written(tmp_path / "t.csv", text), read=options)
    assert [prompt or "" for prompt in prompts_of(asked)] == prompts


@pytest.mark.parametrize(
    "encoding", ["cp1252", "latin-1", "utf-16", "utf-16-le", "utf-8-sig", "utf-8", "UTF8"]
)
def test_encodings(tmp_path: Path, encoding: str) -> None:
    text = 'id,what\n1,"un café\nnoir"\n2,thé\n'
    path = written(tmp_path / "t.csv", text.encode(encoding))
    assert prompts_of(dataset(path, read={"encoding": encoding})) == ["un café\nnoir", "thé"]


def test_tabs(tmp_path: Path) -> None:
    assert prompts_of(dataset(written(tmp_path / "t.tsv", TABS))) == ['a 5" cat', "'a', dog"]
    written(tmp_path / "d" / "a.tsv", 'id\twhat\n1\t"a\tb"\n')
    written(tmp_path / "d" / "b.tab", "id\twhat\n2\tc\n")
    assert prompts_of(dataset(tmp_path / "d", "tsv")) == ["a\tb", "c"]


def test_columns_that_are_not_named_are_not_there(tmp_path: Path) -> None:
    path = written(tmp_path / "t.jsonl", [{"id": 1, "what": "a", "x": 1}])
    assert scan(dataset(path, read={"columns": ["id", "what"]}), None).columns == ("id", "what")
    assert "is not a column of t.jsonl" in str(refused(dataset(path, read={"columns": ["what"]})))


def test_a_joined_table_is_read_as_the_dataset_is_or_by_its_own_options(tmp_path: Path) -> None:
    left = written(tmp_path / "l.csv", "id;what\n1;a\n")
    right = written(tmp_path / "r.csv", "id;wears\n1;hat\n")
    commas = written(tmp_path / "c.csv", "id,wears\n1,hat\n")
    join = Join(path=str(right), on="id")
    asked = dataset(left, read={"delimiter": ";"}, join=join)
    assert scan(asked, None).columns == ("id", "what", "wears")
    join.path = str(commas)
    error = refused(asked)
    assert "Cells seem to be separated by ',': dataset.join.read={delimiter: ','}" in error.remedy
    join.read = {}
    assert scan(asked, None).columns == ("id", "what", "wears")
    other = written(tmp_path / "r.jsonl", [{"id": "1", "wears": "hat"}])
    asked.join = Join(path=str(other), on="id", format="jsonl")
    assert scan(asked, None).columns == ("id", "what", "wears")


@pytest.mark.parametrize(
    ("options", "field", "words"),
    [
        (
            {"delimeter": ";"},
            "dataset.read.delimeter",
            'Did you mean "delimiter"? Its',
        ),
        ({"split": "train"}, "dataset.read.split", "is not an option of the format csv"),
        ({"delimiter": "::"}, "dataset.read.delimiter", "is not one ASCII character"),
        ({"delimiter": 1}, "dataset.read.delimiter", "is of another type. It takes text."),
        ({"quote_char": "«"}, "dataset.read.quote_char", "is not one ASCII character"),
        ({"skip_rows": True}, "dataset.read.skip_rows", "It takes a whole number"),
        ({"skip_rows": -1}, "dataset.read.skip_rows", "is below 0"),
        ({"columns": "id"}, "dataset.read.columns", "It takes a list or null"),
        ({"columns": ["id", "waht"]}, "dataset.read.columns", 'Did you mean "what"?'),
        ({"encoding": "cp1225"}, "dataset.read.encoding", "is not an encoding of text"),
        ({"encoding": "base64"}, "dataset.read.encoding", "is not an encoding of text"),
    ],
)
def test_options_that_cannot_be(
    tmp_path: Path, options: dict[str, Any], field: str, words: str
) -> None:
    error = refused(dataset(written(tmp_path / "t.csv", "id,what\n1,a\n"), read=options))
    assert error.field == field
    assert words in str(error)


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        (b"id,what\n1,a\n2,b\x81\n", {"encoding": "cp1252"}, "line 3 has the byte 0x81"),
        ("id,what\n1,é\n".encode("cp1252"), {"encoding": "gb18030"}, "line 2 has the byte 0xe9"),
        (
            b"id,what\n1,a\n",
            {"encoding": "utf-16"},
            "is not text in utf-16: UTF-16 stream does not",
        ),
        (b"x\x81,what\n1,a\n", {"encoding": "cp1252"}, "line 1 has the byte 0x81"),
        (b"id,what\n1,a\n", {"delimiter": ";"}, "separated by ',': dataset.read={delimiter"),
        (b"#\nid,what\n1,a\n2\n", {"skip_rows": 1}, "line 4 has 1 cells where the header"),
        (b"1,a\n2\n", {"column_names": ["id", "what"]}, "line 2 has 1 cells where"),
        (b'#"\nid,what\n1,"a" b\n', {"skip_rows": 1}, "line 3 has text after the closing"),
        (b"id;what\n1;'a\n", {"delimiter": ";", "quote_char": "'"}, "a quote that is never closed"),
        (b'id,what\n1,"a \\"b"\n', {}, "set read.escape_char to the backslash"),
    ],
)
def test_text_that_the_options_do_not_fit(
    tmp_path: Path, content: bytes, options: dict[str, Any], words: str
) -> None:
    assert words in str(refused(dataset(written(tmp_path / "t.csv", content), read=options)))


def test_what_else_arrow_says_of_a_file_is_told_as_it_says_it(tmp_path: Path) -> None:
    """No file is known that makes its reader say this while lines may be in cells."""
    text = Csv().text(LocalFileSystem(), str(written(tmp_path / "t.csv", "id,what\n1,a\n")))
    said = text.explained("CSV parser got out of sync with chunker")
    assert said.problem == "cannot be parsed as CSV: CSV parser got out of sync with chunker"


@pytest.mark.parametrize(
    ("first", "hint"),
    [
        ("sep=;\nid;what\n1;a\n", "dataset.read={delimiter: ';', skip_rows: 1}"),
        ("sep=,\nid,what\n1,a\n", "dataset.read={skip_rows: 1}"),
        ("# written by hand\nid,what\n1,a\n", "dataset.read={skip_rows: 1}"),
    ],
    ids=["excels", "excels-own", "remark"],
)
def test_a_line_before_the_names_is_told_with_what_reads_it(
    tmp_path: Path, first: str, hint: str
) -> None:
    path = written(tmp_path / "t.csv", first)
    assert f": {hint}. " in refused(dataset(path)).remedy
    options = yaml.safe_load(hint.partition("=")[2])
    assert scan(dataset(path, read=options), None).columns == ("id", "what")
