"""A run and its resume from every format: the ids and pictures of the same rows in CSV."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import tables_of
from helpers.command import FAST, imagepipe, run, summary, table
from helpers.tables_of import ROWS
from PIL import Image

pytestmark = pytest.mark.faults
COLUMNS = ("id", "what", "size", "prompt", "seed", "image_path")


def overrides(folder: Path, format: str) -> list[str]:
    folder.mkdir()
    asked = tables_of.asked(folder, format)
    read = ",".join(f"{name}: {value}" for name, value in asked.read.items())
    named = [f"dataset={format}", f"dataset.path={asked.path}", f"dataset.read={{{read}}}"]
    return [*FAST, *named, "dataset.id=id", 'dataset.prompt="{what}"', "tracking=none"]


def left(out: Path) -> tuple[dict[str, bytes], list[dict[str, str]]]:
    """The pictures, and the rows of the table as text."""
    pictures = {path.name: Image.open(path).tobytes() for path in (out / "images").iterdir()}
    return pictures, [{name: str(row[name]) for name in COLUMNS} for row in table(out)]


@pytest.fixture(scope="module")
def of_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("csv")
    return run(folder, "out", *overrides(folder / "in", "csv"))


@pytest.mark.parametrize("format", [name for name in tables_of.MAKERS if name != "csv"])
def test_pictures_and_resume(tmp_path: Path, of_csv: Path, format: str) -> None:
    out = run(tmp_path, "out", *overrides(tmp_path / "in", format), "resources.sink.batch_size=4")
    pictures, rows = left(out)
    assert (pictures, rows) == left(of_csv)
    assert len(set(pictures.values())) == len(ROWS)
    (out / "summary.json").unlink()  # as if it had been killed, with a part still to write
    sorted((out / "table").glob("part-*"))[0].unlink()
    done = imagepipe(tmp_path, f"resume={out}")
    assert done.returncode == 0, done.stderr
    assert left(out) == (pictures, rows)
    counts = summary(out)
    assert counts["written"] + counts["already_done"] == len(ROWS)
    assert counts["written"] > 0, json.dumps(counts)
