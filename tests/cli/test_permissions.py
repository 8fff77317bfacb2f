"""Files and folders that may not be read or written: told in a line, with the way out."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.asked import dataset, written
from helpers.fuzz import is_plain
from helpers.permissions import told

from imagepipe import diffusion, llm
from imagepipe.cli.composing import composed
from imagepipe.config import LLM, Model
from imagepipe.diffusion import refusals
from imagepipe.sink.lock import leaving_nothing
from imagepipe.sources import scan
from imagepipe.tracking import replaying

pytestmark = pytest.mark.skipif(
    os.geteuid() == 0 and sys.platform != "linux", reason="root may read and write everything"
)


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A folder with files of all kinds, which nobody may use."""
    folder = tmp_path / "closed"
    files = ("a.csv", "model_index.json", "config.json", "run.json", "a.safetensors")
    for name in files:
        written(folder / name, "id,what\n1,cat\n")
        (folder / name).chmod(0)
    yield folder
    folder.chmod(0o700)


def shut(folder: Path) -> Path:
    folder.chmod(0)
    return folder


def test_a_table(closed: Path) -> None:
    said = told(scan, dataset(closed / "a.csv"), None)
    assert said.startswith(f"imagepipe: dataset.path={closed}/a.csv: cannot be read: ")
    assert said.endswith(
        "Permission denied. Check that the file is whole and that you may read it.\n"
    )
    for place in (f"{shut(closed)}/a.csv", str(closed), f"{closed}/*.csv", str(closed.parent)):
        said = told(scan, dataset(place, "csv"), None)
        assert said.startswith(f"imagepipe: dataset.path={place}: cannot be looked up: ")
        assert said.endswith("Check that you may read it and what is in it.\n")


def test_a_model(closed: Path) -> None:
    model = Model(name="m", engine="diffusers", path=str(closed))
    language = LLM(name="l", engine="transformers", path=str(closed))
    for check, asked, file in (
        (diffusion.check, model, closed / "model_index.json"),
        (llm.check, language, closed / "config.json"),
    ):
        assert told(check, asked) == (
            f"imagepipe: {asked.section}.path={closed}: {file} may not be read "
            "(Permission denied). Allow it, as with chmod -R u+rX, or name another.\n"
        )
    lora = f"{closed}/a.safetensors"
    assert told(refusals.found, "loras", lora) == (
        f"imagepipe: model.loras={lora}: may not be read. Allow it, as with chmod -R u+rX, or name "
        "another.\n"
    )
    shut(closed)
    assert "model_index.json may not be read" in told(diffusion.check, model)


def test_a_folder_of_a_run(closed: Path) -> None:
    assert told(replaying.replay, shut(closed)) == (
        f"imagepipe: {closed}/tracking.jsonl: may not be used (Permission denied). Allow it, or "
        "name another.\n"
    )


def test_a_place_for_runs(tmp_path: Path) -> None:
    place = tmp_path / "outputs"
    place.mkdir(mode=0o500)

    def claimed() -> None:
        with leaving_nothing("hydra.run.dir", place / "new"):
            pass

    assert told(claimed) == (
        f"imagepipe: hydra.run.dir={place}/new: cannot create a folder there (Permission denied). "
        "Name another place.\n"
    )


def test_a_preset(tmp_path: Path) -> None:
    file = written(tmp_path / "model" / "mine.yaml", "name: mine")
    file.chmod(0)
    said = told(composed, ["model=mine"], str(tmp_path))
    assert said.startswith(f"imagepipe: {file}: may not be used (Permission denied).")
    assert is_plain(said)
