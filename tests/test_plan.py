"""`python -m imagepipe.plan`: what would run, and what is known of its speed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_run import FAST, run, summary

SMALL = ["resources=cpu", "resources.model.pool=1", "resources.model.batch_size=2", "scorer=none"]
SMALL += ["resources.rows_per_block=2", "resources.sink.batch_size=2", "ray.num_cpus=2"]


def planned(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "imagepipe.plan", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )


def test_the_default_plan_is_a_table(tmp_path: Path):
    done = planned(tmp_path, "ray.num_cpus=2")
    assert done.returncode == 0, done.stderr
    for part in (
        "rows       100 of columns",
        "id, prompt -> image, drawn_at, prompt_cut, unknown_words",
        "2 actors of 0.25 CPUs and 0 GPUs, batches of 8, 0.0206 GB of weights: 2 on node 0",
        "blocks     of 16 rows; 0.3 GB at most wait in the object store",
        "image, prompt -> score",
        "expected   unknown: no such run under outputs/ yet; --calibrate draws a few rows",
    ):
        assert part in done.stdout
    assert not (tmp_path / "outputs").exists()


def test_what_is_expected_comes_from_an_earlier_run(tmp_path: Path):
    out = run(tmp_path, "outputs/first", *FAST, *SMALL, "limit=12", "tracking=none")
    said, steady = summary(out), 2.5  # what draws nothing is done before there is a steady rate
    said["images_per_s"]["steady"] = steady
    (out / "summary.json").write_text(json.dumps(said))
    done = planned(tmp_path, "--json", *FAST, *SMALL, "limit=60")
    made = json.loads(done.stdout)
    assert made["rows"] == 60
    assert made["expected"]["images_per_s"] == steady
    first = summary(out)["time_to_first_image_s"]
    assert made["expected"]["seconds"] == pytest.approx(first + 60 / steady)
    assert str(Path("outputs/first")) in made["expected"]["source"]
    model = next(stage for stage in made["stages"] if stage["name"] == "model")
    assert model["runs"] == "actors" and model["share"]["num_cpus"] == 0.35
    assert model["places"] == [{"stage": "model", "node": 0, "gpus": []}]
    other = json.loads(planned(tmp_path, "--json", *FAST, *SMALL, "model.width=32").stdout)
    assert other["expected"] is None  # another size is another speed


def test_a_trial_leaves_the_store_of_the_run_alone(tmp_path: Path):
    """Also where the run is for a cluster, which is not asked: here there is none."""
    options = ["llm=none", "scorer=none", "model.steps=8", "ray.num_cpus=2"]
    elsewhere = ["sink.path=store", "ray.address=127.0.0.1:1"]
    done = planned(tmp_path, "--calibrate", *options, *elsewhere)
    assert done.returncode == 0, done.stderr
    assert "pictures/s" in done.stdout and "by a trial on" in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_trial_of_a_table_that_is_too_short_for_a_steady_rate_is_the_whole_run(tmp_path: Path):
    made = json.loads(planned(tmp_path, "--json", "--calibrate", *FAST, *SMALL, "limit=4").stdout)
    expected = made["expected"]
    assert expected["source"] == "a trial on 4 rows"
    assert expected["images_per_s"] == pytest.approx(4 / expected["seconds"])


def test_a_trial_that_is_over_too_soon_is_followed_by_a_longer_one(tmp_path: Path):
    """A batch of 2 that costs nothing: 12 rows, then 48, then all."""
    done = planned(tmp_path, "--json", "--calibrate", *FAST, *SMALL, "limit=60")
    assert done.returncode == 0, done.stderr
    expected = json.loads(done.stdout)["expected"]
    assert expected["source"] in ("a trial on 48 rows", "a trial on 60 rows")
    assert expected["images_per_s"] > 0


def test_a_plan_for_a_cluster_says_that_it_is_of_this_machine(tmp_path: Path):
    options = ["ray=cluster", "ray.address=10.0.0.5:6379", "ray.num_cpus=2"]
    said = "ray.address=10.0.0.5:6379 is not asked; this is the plan for this machine alone"
    assert f"cluster    {said}\n" in planned(tmp_path, *options).stdout
    assert json.loads(planned(tmp_path, "--json", *options).stdout)["cluster"] == said
    assert json.loads(planned(tmp_path, "--json", "ray.num_cpus=2").stdout)["cluster"] is None


@pytest.mark.parametrize("name", ["mine", "pre (a), b=c", "it's mine"])
def test_presets_of_a_persons_own_are_found_wherever_they_are(tmp_path: Path, name: str):
    (tmp_path / name / "model").mkdir(parents=True)
    noop = "name: mine\nengine: noop\nwidth: 64\nheight: 64\n"
    (tmp_path / name / "model" / "mine.yaml").write_text(noop)
    done = planned(tmp_path, "--config-dir", name, "model=mine", "ray.num_cpus=2")
    assert done.returncode == 0, done.stderr


def test_a_calibration_chooses_and_a_trial_tells_the_rate(tmp_path: Path):
    """It leaves what was measured, and nothing that was drawn: the run need not measure again."""
    options = ["resources=tuned", "llm=none", "scorer=none", "model.steps=12", "ray.num_cpus=2"]
    # Small pictures, or the largest batches take long; steps, or a trial is over within a second.
    options += ["model.width=64", "model.height=64"]
    options.append("resources.calibrate_s=240")  # of a machine that does other things too
    done = planned(tmp_path, "--json", "--calibrate", *options)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    share = next(stage["share"] for stage in made["stages"] if stage["name"] == "model")
    assert made["expected"]["images_per_s"] > 0
    few = min(100, 6 * share["pool"] * share["batch_size"])
    assert made["expected"]["source"] == f"a trial on {few} rows"
    assert "model: " in made["resources"] and "rows/s at most, by " in made["resources"]
    (kept,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    points = json.loads(kept.read_text())["points"]
    assert {point["stage"] for point in points} == {"model"}
    assert all(point["rows_per_s"] > 0 for point in points)
    again = json.loads(planned(tmp_path, "--json", *options).stdout)
    assert again["resources"] == made["resources"]
    other = json.loads(planned(tmp_path, "--json", *options, "model.steps=8").stdout)
    assert "rows/s" not in other["resources"]  # another speed: not measured yet


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["resources=cpu", "resources.model.pool=99"], "Try resources."),
        (["model.stepz=4"], 'Did you mean "model.steps"?'),
        (["dataset.path=nowhere.csv"], "dataset.path=nowhere.csv"),
        (["tracking.uri=ftp://x"], "tracking.uri=ftp://x"),
        (["sink.path=s3://me:key@bucket"], "sink.path=...: carries more than a place"),
        (["--config-dir", "nowhere"], "--config-dir=nowhere: is no folder"),
    ],
)
def test_what_would_be_refused_is_refused_here(tmp_path: Path, arguments: list[str], said: str):
    done = planned(tmp_path, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
