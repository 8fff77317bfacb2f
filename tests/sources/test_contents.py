"""Files of other kinds are named as what they are, with the way out."""

from __future__ import annotations

import lzma
import os
from pathlib import Path

import pytest
from helpers.asked import dataset, prompts_of, refused, written

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 5\n"
TEXT = "id,what\n1,a\n"


@pytest.mark.parametrize(
    ("content", "kind", "way"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1....", "an Excel workbook (.xls)", "pandas.read_excel"),
        (b"PK\x03\x04....", "an Excel workbook (.xlsx)", "Save it as CSV in UTF-8"),
        (lzma.compress(TEXT.encode()), "an xz archive", "xz -d"),
        (b"BZh91AY&SY....", "a bzip2 archive", ".bz2"),
        (TEXT.encode("utf-16"), "UTF-16 text", "iconv -f UTF-16 -t UTF-8"),
        (TEXT.encode("utf-16-le"), "UTF-16 text", "iconv -f UTF-16LE -t UTF-8"),
        (LFS, "a pointer of Git LFS", "git lfs pull"),
        (b"SQLite format 3\x00....", "an SQLite database", "dataset=sql"),
        (b"<!DOCTYPE html><html>", "a web page", "Download the file"),
        (b"ARROW1\x00\x00....", "an Arrow or Feather file", "DataFrame.to_parquet"),
        (b"\xff\xff\xff\xff\xb0\0\0\0\x10\0\0\0\0\0", "an Arrow or Feather", "to_parquet"),
        (b"\0\1\0\0Standard Jet DB\0" + bytes(50), "an Access database", "Save its table"),
        (TEXT.encode("utf-32"), "UTF-32 text", "iconv -f UTF-32 -t UTF-8"),
        (b"Rar!\x1a\x07....", "a rar archive", "Unpack it"),
        (b"\x012345678DUCK....", "a DuckDB database", "COPY TABLE TO"),
        (b"\x89HDF\r\n\x1a\n....", "an HDF5 file", "DataFrame.to_parquet"),
        (b"\x80\x04\x95....", "a pickle", "DataFrame.to_parquet"),
        (b"%PDF-1.7 ....", "a PDF", "Save its table as CSV"),
        (b"\xff\xd8\xff....", "a picture", "dataset=images"),
        (b"<?xml version='1.0'?><a/>", "XML", "DataFrame.to_parquet"),
        (b"<table><tr><td>id</td></tr>", "a web page", "Download the file"),
        (b"- id: 1\n  what: a\n", "YAML", "an object a line"),
        (b"| id | what |\n|---|---|\n| 1 | a |\n", "a table in Markdown", "Save it as CSV"),
    ],
    ids=(
        "xls xlsx xz bz2 utf16 utf16le lfs sqlite html arrow stream access utf32 rar duckdb "
        "hdf5 pickle pdf jpeg xml table yaml markdown"
    ).split(),
)
@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_other_kinds_of_file(
    tmp_path: Path, format: str, content: bytes, kind: str, way: str
) -> None:
    error = refused(dataset(written(tmp_path / f"t.{format}", content)))
    if format == "parquet" and kind == "UTF-16 text" and not content.startswith(b"\xff"):
        assert "is not a Parquet file" in error.problem
        return
    assert kind in error.problem
    assert way in error.remedy


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('id,what\n1, "a red cat"\n', "line 2 has a blank before the quote of the cell 'a red cat"),
        ('id,what\n1,a\n2,"a \\"red\\" dog"\n', "line 3 has text after the closing quote"),
        ('id,what\n1,"a" cat\n', "line 2 has text after the closing quote"),
        ("id,what\n1,a\nid,what\n2,b\n", "repeats its header in line 3"),
        ("\ufeffid,what\n1,a\n\ufeffid,what\n2,b\n", "repeats its header in line 3"),
        ("id;what;n, m\n1;a;2\n", "separated by ';'"),
    ],
    ids=["blank", "backslash", "after", "header", "marked", "semicolon"],
)
def test_odd_csv_is_refused_with_its_line(tmp_path: Path, content: str, words: str) -> None:
    assert words in str(refused(dataset(written(tmp_path / "t.csv", content))))


def test_a_mark_between_joined_files_is_no_text(tmp_path: Path) -> None:
    line = '\ufeff{{"id": {0}, "what": "a {0}"}}\n'
    path = written(tmp_path / "t.jsonl", line.format(1) + line.format(2))
    assert prompts_of(dataset(path)) == ["a 1", "a 2"]


def test_a_column_without_a_name_is_left_out(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", ",id,what,,\n0,1,a,,\n1,2,b,,\n")
    assert prompts_of(dataset(path)) == ["a", "b"]


def test_words_for_a_missing_value_are_told(tmp_path: Path) -> None:
    from imagepipe.sources import scan

    path = written(tmp_path / "t.csv", "id,what,n\n1,NA,NA\n2,NULL,1\n3,nan,1\n4,\\N,1\n5,Nan,1\n")
    [note] = scan(dataset(path), None).notes
    assert note.startswith("4 of the cells of 'what' say that a value is missing")


def test_a_pipe_is_no_table(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "t.csv")
    error = refused(dataset(tmp_path / "t.csv"))
    assert "neither a file nor a folder" in error.problem
    assert "Save it to a file" in error.remedy


def test_pandas_own_json_is_known(tmp_path: Path) -> None:
    path = written(tmp_path / "t.jsonl", '{"id": {"0": 1, "1": 2}, "what": {"0": "a", "1": "b"}}')
    assert "orient='records', lines=True" in refused(dataset(path)).remedy


def test_zeros_of_a_binary_file_are_no_text(tmp_path: Path) -> None:
    """As those of SAS, of which no two bytes in a row are a sign of UTF-16."""
    error = refused(dataset(written(tmp_path / "t.csv", bytes(12) + b"\xc2\xea\x81\x60" * 20)))
    assert "UTF-16" not in str(error)
