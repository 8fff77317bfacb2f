"""A table whose rows have settings of their own, from the command to the pictures."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from helpers import one_session
from helpers.command import summary
from PIL import Image

from imagepipe.cli import reproduce

ROWS = [  # id, width, height, steps, seed, what must not be there
    *(("a", "64", "96", "1", "7", ""), ("b", "96", "64", "2", "", "snow")),
    *(("c", "64", "96", "1", "", "snow"), ("d", "many", "64", "2", "", "")),
    *(("e", "", "", "", "9", ""), ("f", "96", "64", "2", "-1", "")),
]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> one_session.Job:
    folder = tmp_path_factory.mktemp("own")
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "w", "h", "n", "s", "no", "what"])
        writer.writerows([*row, "a red cat by a lighthouse"] for row in ROWS)
    columns = "{width: w, height: h, steps: n, seed: s, negative_prompt: no}"
    data = ["dataset=csv", f"dataset.path={folder}/rows.csv", "dataset.id=id"]
    data += ["dataset.prompt='{what}'", "llm=none", "scorer=none", "tracking=none"]
    return one_session.job(folder, "out", *data, "model.steps=2", f"+model.columns={columns}")


@pytest.fixture
def drawn(job: one_session.Job) -> Path:
    assert job.code == 0, job.said
    assert summary(job.folder)["written"] == 4
    return job.folder


def test_pictures_have_the_settings_of_their_rows_and_say_so(drawn: Path):
    said = {}
    for path in (drawn / "images").iterdir():
        with Image.open(path) as picture:
            said[path.stem] = (*picture.size, picture.text["steps"], picture.text["seed"])
            assert picture.text["size"] == "{}x{}".format(*picture.size)
            assert picture.text.get("negative_prompt") == ("snow" if path.stem in "bc" else None)
    assert said["a"] == (64, 96, "1", "7")
    assert said["b"][:3] == (96, 64, "2")
    assert said["e"] == (128, 128, "2", "9")
    seeds = {row["id"]: str(row["seed"]) for row in pq.read_table(drawn / "table").to_pylist()}
    assert {id: row[3] for id, row in said.items()} == seeds


def test_words_that_the_model_does_not_know_are_a_warning(job: one_session.Job):
    [said] = [
        line for line in job.said.splitlines() if "words that the model does not know" in line
    ]
    assert "lighthouse" in said


def test_a_bad_cell_fails_its_row_alone(drawn: Path):
    failed = {row["id"]: row for row in pq.read_table(drawn / "failed.parquet").to_pylist()}
    assert failed.keys() == {"d", "f"}
    assert failed["d"]["w"] == "many"
    assert failed["d"]["reason"] == "column 'w', for width, holds many, no whole number"
    assert failed["f"]["reason"].startswith("column 's', for the seed, holds -1; a seed is")


def test_a_picture_is_drawn_again_from_what_it_says(drawn: Path, capsys):
    for name in "abc":
        assert reproduce.main([str(drawn / "images" / f"{name}.png")]) == 0, capsys.readouterr()
