"""A table whose rows have pictures that go in, from the command to the pictures that come out."""

from __future__ import annotations

import csv
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers import one_session
from helpers.command import summary
from PIL import Image

from imagepipe.cli import reproduce

ROWS = {  # id: picture, strength, width
    "a": ("red.png", "0.5", "64"),
    "b": ("blue.png", "0.5", "96"),
    "c": ("red.png", "0.05", "64"),
    "d": ("gone.png", "0.5", "64"),
    "e": ("torn.png", "0.5", "64"),
    "f": ("http://169.254.169.254/latest", "0.5", "64"),
    "g": ("red.png", "much", "64"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    for name, colour in (("red", (200, 30, 30)), ("blue", (30, 30, 200))):
        Image.new("RGB", (80, 50), colour).save(folder / f"{name}.png")
    (folder / "torn.png").write_bytes((folder / "red.png").read_bytes()[:60])
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "photo", "t", "w"])
        writer.writerows([id, *row] for id, row in ROWS.items())
    return folder


@pytest.fixture(scope="module")
def drawn(folder: Path) -> Path:
    data = ["dataset=csv", f"dataset.path={folder}/rows.csv", "dataset.id=id"]
    data += ["dataset.prompt='a cat'", "llm=none", "scorer=none", "tracking=none"]
    data += ["model=tiny_img2img", "model.height=64", "model.columns.image=photo"]
    data += ["+model.columns={strength: t, width: w}"]
    out = one_session.run(folder, "out", *data)
    assert summary(out)["written"] == 2
    return out


def test_the_table_and_the_pictures_say_what_went_in(folder: Path, drawn: Path):
    rows = {row["id"]: row for row in pq.read_table(drawn / "table").to_pylist()}
    for id, name in (("a", "red.png"), ("b", "blue.png")):
        digest = sha256((folder / name).read_bytes()).hexdigest()
        assert rows[id]["model_image_sha256"] == digest
        assert rows[id]["model_image_thumbnail"].startswith(b"\xff\xd8")  # a JPEG
        with Image.open(drawn / rows[id]["image_path"]) as picture:
            assert picture.text["image_sha256"] == digest
            assert picture.size == (int(ROWS[id][2]), 64)
            colour = np.asarray(picture).reshape(-1, 3).mean(axis=0)
        assert colour.argmax() == (0 if id == "a" else 2)
    assert not [name for name in rows["a"] if "pixels" in name]


@pytest.mark.parametrize(
    ("id", "stage", "reason"),
    [
        pytest.param(
            "c", "model", "leaves none of model.steps=10. Give 20 steps, or more", id="weak"
        ),
        pytest.param(
            "d", "pictures", "for image, holds gone.png: there is no such file", id="gone"
        ),
        pytest.param(
            "e", "pictures", "holds torn.png: is a picture that cannot be read", id="torn"
        ),
        pytest.param(
            "f", "pictures", "a private address. model.private_urls=true allows", id="web"
        ),
        pytest.param("g", "model", "'t', for strength, holds much, no number", id="cell"),
    ],
)
def test_a_bad_picture_fails_its_row_alone(drawn: Path, id: str, stage: str, reason: str):
    failed = {row["id"]: row for row in pq.read_table(drawn / "failed.parquet").to_pylist()}
    assert failed[id]["stage"] == stage
    assert reason in failed[id]["reason"]


def test_a_picture_is_drawn_again_from_the_same_picture_alone(folder: Path, drawn: Path, capsys):
    path = str(drawn / "images" / "b.png")
    assert reproduce.main([path, "--picture", f"image={folder}/blue.png"]) == 0
    capsys.readouterr()
    for options, said in (
        ([], "was drawn from an input picture, image (SHA-256"),
        ([f"image={folder}/red.png"], "is another file: its SHA-256 is"),
        ([f"image={folder}/gone.png"], "cannot be read (No such file or directory)"),
        ([f"image={folder}/blue.png", f"mask={folder}/red.png"], "is not among its input pictures"),
    ):
        named = [word for option in options for word in ("--picture", option)]
        assert reproduce.main([path, *named]) == 2
        assert said in capsys.readouterr().err
