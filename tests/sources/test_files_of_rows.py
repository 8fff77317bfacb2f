"""JSON arrays, folders of pictures, and WebDataset's shards: what a row is, and what is refused."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.asked import dataset, prompts_of, refused, written
from PIL import Image

from imagepipe.sources import read, scan


def png(path: Path, side: int = 4) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((side, side, 3), side, "uint8")).save(path)
    return path


def tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def images(path: Any, **more: Any) -> Any:
    asked = dataset("x", "images", id="name", **{"prompt": "{folder} {file_name}", **more})
    asked.path = [str(one) for one in path] if isinstance(path, list) else str(path)
    return asked


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("3", "is JSON, but no array. Write one array of objects"),
        ('{"id": 1}\n{"id": 2}\n', "an object a line, not json. Set dataset.format=jsonl"),
        ('{"data": [{"id": 1}], "n": 1}', "Its rows seem to be in 'data'. Save that list alone"),
        ('{"id": [1, 2], "what": ["a", "b"]}', "It seems to hold columns. Write it by pandas'"),
        ('{"id": 1}', "is one JSON object, and no array of them. Write one array of objects"),
        ('[{"id": 1}', "is not JSON: "),
        ('[{"id": 1}, 2]', "line 2 is not an object but: 2"),
        ("[]", "has no rows"),
        ("id,what\n", "is not JSON: "),
        ('[{"no": 1}]', "is not a column of t.json"),
    ],
)
def test_unusable_json(tmp_path: Path, text: str, words: str) -> None:
    assert words in str(refused(dataset(written(tmp_path / "t.json", text), "json")))


def test_json_cells_are_as_those_of_json_lines(tmp_path: Path) -> None:
    rows = '[{"id": 1, "what": "a", "x": {"y": []}}, {"id": "2b", "what": 3.0, "x": 1}]'
    asked = dataset(written(tmp_path / "t.json", "\ufeff" + rows), "json")
    assert prompts_of(asked) == ["a", "3"]
    assert scan(asked, None).first_ids == ("1", "2b")


def test_a_picture_is_a_row_named_by_its_place(tmp_path: Path) -> None:
    for name in ("b.PNG", "cats/1.jpg", "cats/old/1.webp"):
        png(tmp_path / "d" / name)
    written(tmp_path / "d" / "notes.txt", "x")
    asked = images(tmp_path / "d")
    tables = scan(asked, None)
    assert tables.first_ids == ("b", "cats/1", "cats/old/1")
    assert prompts_of(asked) == ["d b.PNG", "cats cats/1.jpg", "old cats/old/1.webp"]
    assert tables.columns == ("path", "file_name", "name", "folder")
    assert tables.notes[0].startswith("1 of 4 files are not read: notes.txt (ends in none of .png")
    listed = images([tmp_path / "d" / "b.PNG", tmp_path / "d" / "cats" / "1.jpg"])
    assert scan(listed, None).first_ids == ("b", "cats/1")


def test_pictures_that_are_not_there_or_share_a_name(tmp_path: Path) -> None:
    png(tmp_path / "a.png")
    error = refused(images([tmp_path / "a.png", tmp_path / "b.png"]))
    assert error.problem == "is not there"
    assert str(tmp_path / "b.png") in str(error)
    assert "holds no file that ends in .png" in str(
        refused(images(written(tmp_path / "e" / "x.txt", "").parent))
    )
    png(tmp_path / "a.jpg")
    assert "is not unique in" in str(refused(images(tmp_path)))


def test_a_broken_picture_fails_its_row_alone(tmp_path: Path, ray_session: None) -> None:
    whole = png(tmp_path / "a.png", 64).read_bytes()
    written(tmp_path / "cut.png", whole[: len(whole) // 2])
    written(tmp_path / "text.png", "no picture")
    written(tmp_path / "none.png", "")
    found = {
        row["name"]: row["failed_reason"] for row in read(scan(images(tmp_path), None)).take_all()
    }
    assert found.pop("a") is None
    assert set(found) == {"cut", "text", "none"}
    assert all("names no picture that can be read" in why for why in found.values())


def test_a_sample_is_a_row(tmp_path: Path) -> None:
    files = {
        "x/1.txt": b"a cat",
        "x/1.png": b"",
        "x/1.json": b'{"id": 7, "size": 2}',
        "x/2.TXT": b"a dog",
        "x/2.cls": b"3",
        "x/2.JSON": b'{"id": 8}',
        "x/README": b"",
    }
    asked = dataset(tar(tmp_path / "t.tar", files), "webdataset", prompt="{txt}")
    assert prompts_of(asked) == ["a cat", "a dog"]
    assert set(scan(asked, None).columns) == {"__key__", "txt", "cls", "id", "size"}
    keyed = dataset(tmp_path / "t.tar", "webdataset", id="__key__", prompt="{txt}")
    assert scan(keyed, None).first_ids == ("x/1", "x/2")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        pytest.param({"1.json": b"{", "1.png": b""}, "holds 1.json, which is not JSON", id="json"),
        pytest.param(
            {"1.txt": b"", "2.txt": b"", "1.png": b""}, "has files of '1' in two places", id="apart"
        ),
        pytest.param({"README": b""}, "has no rows", id="none"),
        pytest.param({"1.png": b""}, "is not a column of t.tar", id="pictures"),
        pytest.param({}, "has no rows", id="empty"),
    ],
)
def test_unusable_shards(tmp_path: Path, files: dict[str, bytes], words: str) -> None:
    assert words in str(refused(dataset(tar(tmp_path / "t.tar", files), "webdataset")))


def test_what_is_no_archive(tmp_path: Path) -> None:
    path = written(tmp_path / "t.tar", "id,what\n1,a\n")
    assert "is not a tar archive" in str(refused(dataset(path, "webdataset")))
    whole = tar(
        tmp_path / "u.tar", {"1.json": b'{"id": 1, "what": "a"}' + b" " * 2000}
    ).read_bytes()
    assert "is not a tar archive: unexpected end" in str(
        refused(dataset(written(tmp_path / "cut.tar", whole[:1500]), "webdataset"))
    )


def test_a_row_of_an_array_is_of_its_folder(tmp_path: Path, ray_session: None) -> None:
    for season in ("summer", "winter"):
        text = f'[{{"id": "{season[0]}1", "what": "a"}}, {{"id": "{season[0]}2", "what": "b"}}]'
        written(tmp_path / "d" / f"time={season}" / "t.json", text)
    rows = read(scan(dataset(tmp_path / "d", "json"), None)).take_all()
    assert {row["id"]: row["time"] for row in rows} == {
        "s1": "summer",
        "s2": "summer",
        "w1": "winter",
        "w2": "winter",
    }
