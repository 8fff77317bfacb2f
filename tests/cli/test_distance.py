"""`imagepipe distance`: sets of pictures against a reference, by the embedded scorer's features."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.configs import composed
from PIL import Image

from imagepipe.cli import distance
from imagepipe.execution import manifest
from imagepipe.sink.parts import shard_member
from toyworld import held_out, judge

CASES = held_out.load(held_out.DEFAULT)[::8]  # 50


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Renderings, the same with more and more noise, and of other sizes."""
    folder = tmp_path_factory.mktemp("sets")
    real = judge.rendered(CASES).astype(np.float32)
    rng = np.random.default_rng(7)
    made = {f"noise{n}": real + rng.normal(0, n, real.shape) for n in (0, 20, 120)}
    for name, images in made.items():
        (folder / name).mkdir()
        for i, image in enumerate(images.clip(0, 255).astype(np.uint8)):
            Image.fromarray(image).save(folder / name / f"{i}.png")
    (folder / "sizes").mkdir()
    for i, image in enumerate(real.astype(np.uint8)):
        Image.fromarray(image).resize((96 + i, 200)).save(folder / f"sizes/{i}.webp")
    return {path.name: path for path in folder.iterdir()}


def measured(tmp_path: Path, *arguments: object) -> dict:
    out = tmp_path / "out.json"
    assert distance.main([*map(str, arguments), "distance=tiny_clip", "--out", str(out)]) == 0
    return json.loads(out.read_text())


def test_a_set_with_itself_is_at_0_and_noise_takes_it_away(sets, tmp_path: Path, capsys):
    real = sets["noise0"]
    found = [measured(tmp_path, sets[f"noise{n}"], real) for n in (0, 20, 120)]
    assert found[0]["cmmd"]["low"] <= 0 <= found[0]["cmmd"]["high"]
    assert found[0]["precision"]["value"] == found[0]["recall"]["value"] == 1
    for name in ("cmmd", "kid"):
        values = [one[name]["value"] for one in found]
        assert values == sorted(values), name
    assert found[2]["cmmd"]["low"] > found[1]["cmmd"]["high"]
    said = capsys.readouterr().out
    assert re.search(r"pictures   50 in \S+noise0\nreference  50 in \S+noise0\n", said)
    assert "resized by its own processor" in said
    assert "50 pictures are too few for" in said  # FID, of so many features
    assert "compare only runs with the same number of pictures" in said


def test_other_sizes_are_resized_and_broken_pictures_are_counted(sets, tmp_path: Path, capsys):
    (sets["sizes"] / "broken.png").write_bytes(b"no picture")
    found = measured(tmp_path, sets["sizes"], sets["noise0"])
    assert (
        found["cmmd"]["value"]
        < measured(tmp_path, sets["noise120"], sets["noise0"])["cmmd"]["value"]
    )
    said = capsys.readouterr().out
    assert "sizes, and 1 left out (broken.png: the picture cannot be read" in said


@pytest.fixture
def run(sets, tmp_path: Path) -> Path:
    """Of thirty pictures, in a store of its own; fifty lie there, with those of an earlier run."""
    folder, store = tmp_path / "run", tmp_path / "store"
    (store / "table").mkdir(parents=True)
    folder.mkdir()
    record = manifest.of(composed("tracking=none"), [], [], folder)
    (folder / "run.json").write_text(manifest.to_json(record))
    summary = {"store": str(store), "samples": {"id": "id", "ids": []}}
    (folder / "summary.json").write_text(json.dumps(summary))
    shutil.copytree(sets["noise0"], store / "images")
    shutil.copy(store / "images/0.png", folder / "contact_sheet.png")
    return folder


PATHS = [f"images/{i}.png" for i in range(30)]


def in_files(store: Path) -> None:
    """Pictures beside the table, as `sink=files` has them."""
    rows = pa.table({"id": PATHS, "prompt": ["a cat"] * 30, "image_path": PATHS})
    pq.write_table(rows, store / "table/part-0.parquet")


def in_the_table(store: Path) -> None:
    cells = [{"bytes": (store / path).read_bytes(), "path": path} for path in PATHS]
    pq.write_table(pa.table({"id": PATHS, "image": cells}), store / "table/part-0.parquet")
    shutil.rmtree(store / "images")


def in_shards(store: Path) -> None:
    in_files(store)
    (store / "shards").mkdir()
    with tarfile.open(store / "shards/part-0.tar", "w") as shard:
        for path in PATHS:
            shard.add(store / path, shard_member(path))
    shutil.rmtree(store / "images")


@pytest.mark.parametrize("sink", [in_files, in_the_table, in_shards])
def test_of_a_run_the_pictures_of_its_table_count_wherever_they_are(
    run: Path, sink: Callable[[Path], None], sets, tmp_path: Path, capsys
):
    sink(tmp_path / "store")
    found = measured(tmp_path, run, sets["noise0"], "--image=photo")  # of no table
    assert "pictures   30 in " in capsys.readouterr().out
    assert found["precision"]["value"] == 1


def test_a_run_that_has_not_ended_is_refused(run: Path, sets, capsys):
    (run / "summary.json").unlink()
    assert distance.main([str(sets["noise0"]), str(run), "distance=tiny_clip"]) == 2
    assert f"reference={run}: is a run that has not ended" in capsys.readouterr().err


def test_too_few_pictures_are_refused(sets, tmp_path: Path, capsys):
    few = tmp_path / "few"
    few.mkdir()
    for i in range(5):
        (few / f"{i}.png").write_bytes((sets["noise0"] / f"{i}.png").read_bytes())
    (few / "b.png").write_bytes(b"")
    assert distance.main([str(few), str(sets["noise0"]), "distance=tiny_clip"]) == 2
    said = capsys.readouterr().err
    assert "pictures=" in said and "has 5 pictures, of at least 20" in said
    assert "1 cannot be read, such as b.png" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "distance=none: names no network whose features tell pictures apart"),
        (["distance=clip", "distance.path=nowhere"], "distance.path=nowhere: no model is there"),
        (["--level", "2"], "--level=2.0: is not a level"),
    ],
    ids=["none", "gone", "level"],
)
def test_what_cannot_be_measured_is_refused(arguments, said, sets, capsys):
    assert distance.main([str(sets["noise0"]), str(sets["noise20"]), *arguments]) == 2
    assert said in capsys.readouterr().err
