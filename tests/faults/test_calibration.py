"""Measuring the stages and drawing a trial: as long as the machine takes for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.command import FAST
from helpers.plans import SLOW, SMALL, planned, tried

pytestmark = pytest.mark.faults


def test_a_trial_that_is_over_too_soon_is_followed_by_a_longer_one(tmp_path: Path):
    """A batch of 2 that costs nothing: 12 rows, then 48, then all."""
    done = tried(tmp_path, "--json", *FAST, *SMALL, "limit=60")
    assert done.returncode == 0, done.stderr
    expected = json.loads(done.stdout)["expected"]
    assert expected["source"] in ("a trial on 48 rows", "a trial on 60 rows")
    assert expected["images_per_s"] > 0


def test_a_calibration_chooses_and_a_trial_tells_the_rate(tmp_path: Path):
    """It leaves what was measured, and nothing that was drawn: the run need not measure again."""
    (tmp_path / "slow").touch()
    options = [*SLOW, f"+model.options.slow={tmp_path / 'slow'}", "+model.options.seconds=0.1"]
    options.append("resources.calibrate_s=600")  # of a machine that does other things too
    done = tried(tmp_path, "--json", *options)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    share = next(stage["share"] for stage in made["stages"] if stage["name"] == "model")
    assert made["expected"]["images_per_s"] > 0
    few = min(100, 6 * share["pool"] * share["batch_size"])
    assert made["expected"]["source"] == f"a trial on {few} rows"
    assert "model: " in made["resources"] and "rows/s at most, by " in made["resources"]
    (kept,) = [path for path in tmp_path.rglob("*.*") if path.is_file()]
    points = json.loads(kept.read_text())["points"]
    assert {point["stage"] for point in points} == {"model"}
    assert all(point["rows_per_s"] > 0 for point in points)
    again = json.loads(planned(tmp_path, "--json", *options).stdout)
    assert again["resources"] == made["resources"]
    other = json.loads(planned(tmp_path, "--json", *options, "model.steps=8").stdout)
    assert "rows/s" not in other["resources"]  # another speed: not measured yet
