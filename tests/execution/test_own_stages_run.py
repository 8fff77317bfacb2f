"""A whole run with stages of a person's own."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from helpers.command import FAST, summary
from helpers.one_session import run
from PIL import Image

from imagepipe.cli import reproduce
from imagepipe.errors import UserError

LOUD = "{{_target_: helpers.own_stages.Loud, after: llm, num_cpus: 0.1, noted: {}}}"
LARGER = (
    "{_target_: helpers.own_stages.Larger, after: model, num_cpus: 0.1, batch_size: 3, fails: CAT}"
)
NOTED = "made.txt"  # the processes in which Loud was made
VERDICT = "{_target_: helpers.own_stages.Verdict, after: scorer, num_cpus: 0.1}"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("own")
    stages = f"stages=[{LOUD.format(place / NOTED)}, {LARGER}, {VERDICT}]"
    light = ["scorer=none", "++scorer.name=light", "++scorer.engine=custom"]
    light.append("++scorer._target_=helpers.lightness.Lightness")
    small = [*FAST, "llm=none", "limit=8", "tracking=none"]
    return run(place, "out", *small, *light, stages)


def test_what_each_stage_makes_of_a_row_is_in_the_table_and_in_the_picture(out: Path):
    rows = pq.read_table(out / "table").to_pylist()
    failed = pq.read_table(out / "failed.parquet").to_pylist()
    assert len(rows) + len(failed) == 8
    assert all("CAT" not in row["prompt"] for row in rows)
    assert {row["stage"] for row in failed} <= {"larger"}
    for row in rows:
        assert row["prompt"] == row["base_prompt"].upper()
        assert (row["letters"], row["verdict"]) == (len(row["prompt"]), f"[{row['score']}]")
        with Image.open(out / row["image_path"]) as picture:
            assert picture.size == (128, 128)
            assert picture.text["size"] == "128x128"
            assert "Size: 128x128" in picture.text["parameters"]


def test_a_class_is_made_once_to_see_that_it_can_be_and_once_where_it_works(out: Path):
    processes = (out.parent / NOTED).read_text("utf-8").split()
    assert len(processes) == len(set(processes)) == 2


def test_each_is_measured(out: Path):
    assert summary(out)["changed_by"] == ["larger"]
    said = summary(out)["stages"]
    assert list(said)[-5:] == ["model", "larger", "scorer", "verdict", "write"]
    assert all(said[name]["busy_s"] > 0 for name in ("loud", "larger", "verdict"))


def test_a_picture_runs_no_code_that_it_names_unless_it_is_trusted(out: Path):
    picture = out / pq.read_table(out / "table")["image_path"][0].as_py()
    with pytest.raises(UserError, match="--trust") as caught:
        reproduce.read(picture)
    assert "helpers.own_stages.Larger" in str(caught.value)
    drawn = reproduce.read(picture, trust=True)
    assert reproduce.difference(drawn.image, reproduce.again(drawn))[0] <= reproduce.SAME
