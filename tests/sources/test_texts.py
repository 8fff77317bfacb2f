"""Texts without a table around them: JSON arrays of bare texts, and a file each."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from helpers.asked import dataset, prompts_of, refused, written

from imagepipe.sources import fingerprint, read, scan

NAMED = {"id": "name", "prompt": "{text}"}


def test_bare_texts_are_named_by_their_file_and_place(tmp_path: Path, ray_session: None) -> None:
    written(tmp_path / "concept-art.json", '["a castle", "a castle"]')
    written(tmp_path / "photo.json.gz", gzip.compress(b'["caf\\u00e9", ""]'))
    asked = dataset(tmp_path, "json", category="file", **NAMED)
    tables = scan(asked, None)
    assert tables.columns == ("text", "file", "name")
    assert tables.first_ids == ("concept-art/0", "concept-art/1", "photo/0", "photo/1")
    found = {row["name"]: (row["file"], row["text"]) for row in read(tables).take_all()}
    assert found == {
        "concept-art/0": ("concept-art", "a castle"),
        "concept-art/1": ("concept-art", "a castle"),
        "photo/0": ("photo", "café"),
        "photo/1": ("photo", ""),
    }


@pytest.mark.parametrize("folder", ["style=oil", "path=oil"])
def test_folders_of_bare_texts_and_of_objects_are_columns(
    tmp_path: Path, ray_session: None, folder: str
) -> None:
    name = folder.partition("=")[0]
    rows = '[{"name": "a", "text": "b"}]'
    written(tmp_path / folder / "t.json", '["x"]' if name == "style" else rows)
    [row] = read(scan(dataset(tmp_path, "json", **NAMED), None)).take_all()
    assert row[name] == "oil"
    assert row["name"] == ("t/0" if name == "style" else "a")


def test_texts_among_objects_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "t.json", '["x", {"name": "a"}]')
    assert "line 1 is not an object but: " in str(refused(dataset(path, **NAMED)))


def test_a_text_is_a_row_named_by_its_place(tmp_path: Path, ray_session: None) -> None:
    written(tmp_path / "d" / "1.txt", "\ufeffa red truck.\r\n\n")
    written(tmp_path / "d" / "more" / "cut.txt", b"caf\xe9")
    written(tmp_path / "d" / "more" / "two.TXT", "one\ntwo")
    written(tmp_path / "d" / "none.txt", "")
    asked = dataset(tmp_path / "d", "text", **NAMED)
    tables = scan(asked, None)
    assert tables.columns == ("path", "file_name", "name", "folder", "text")
    assert tables.first_ids == ("1", "more/cut", "more/two", "none")
    assert prompts_of(asked) == ["a red truck.", None, "one\ntwo", None]
    found = {row["name"]: row for row in read(tables).take_all()}
    assert found["more/two"]["text"] == "one\ntwo"
    assert "is not valid UTF-8" in found["more/cut"]["failed_reason"]
    assert (found["1"]["folder"], found["1"]["failed_reason"]) == ("d", None)


@pytest.mark.parametrize("change", ["text", "name"])
def test_a_changed_text_is_another_table(tmp_path: Path, change: str) -> None:
    path = written(tmp_path / "a.txt", "a cat")
    asked = dataset(tmp_path, "text", **NAMED)
    before = fingerprint(scan(asked, None))[0]["content"]
    if change == "text":
        path.write_text("a dog")
    else:
        path.rename(tmp_path / "b.txt")
    assert fingerprint(scan(asked, None))[0]["content"] != before
