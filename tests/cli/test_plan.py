"""`python -m imagepipe.plan`: what would run, and what is known of its speed."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from helpers.command import FAST, start, summary
from helpers.configs import composed
from helpers.plans import SMALL, planned, tried
from helpers.sweeps import Swept

from imagepipe import sources
from imagepipe.cli.plan import from_earlier
from imagepipe.execution import manifest
from imagepipe.execution.calibration import kept_at, known
from imagepipe.reports.summary import speed_digest
from imagepipe.resources.machine import Machine, Node


def test_the_default_plan_is_a_table(tmp_path: Path):
    done = planned(tmp_path, "ray.num_cpus=2")
    assert done.returncode == 0, done.stderr
    for part in (
        "rows       100 of columns",
        "id, prompt, seed -> image, drawn_at, prompt_cut, unknown_words",
        "2 actors of 0.25 CPUs and 0 GPUs, batches of 8, 0.0446 GB of weights: 2 on node 0",
        "blocks     of 16 rows; 0.3 GB at most wait in the object store",
        "image, prompt -> score",
        "expected   unknown: no such run under outputs/ yet; --calibrate draws a few rows",
    ):
        assert part in done.stdout
    assert not (tmp_path / "outputs").exists()


def test_what_is_expected_comes_from_an_earlier_run(tmp_path: Path, swept: Swept):
    out = tmp_path / "outputs" / "first"
    out.mkdir(parents=True)
    said = summary(swept.folder / "2")  # too few rows for a steady rate
    said["images_per_s"]["steady"] = steady = 2.5
    (out / "summary.json").write_text(json.dumps(said))
    same = [*swept.typed, "model.steps=2", "limit=60"]
    made = json.loads(planned(tmp_path, "--json", *same).stdout)
    assert made["rows"] == 60
    assert made["expected"]["images_per_s"] == steady
    first = said["time_to_first_image_s"]
    assert made["expected"]["seconds"] == pytest.approx(first + 60 / steady)
    assert str(Path("outputs/first")) in made["expected"]["source"]
    assert "2.5 pictures/s, " in planned(tmp_path, *same).stdout
    other = json.loads(planned(tmp_path, "--json", *same, "model.width=32").stdout)
    assert other["expected"] is None  # another size is another speed


def test_a_stage_has_the_share_and_the_places_of_its_actors(tmp_path: Path):
    made = json.loads(planned(tmp_path, "--json", *FAST, *SMALL).stdout)
    model = next(stage for stage in made["stages"] if stage["name"] == "model")
    assert model["runs"] == "actors" and model["share"]["num_cpus"] == 0.35
    assert model["places"] == [{"stage": "model", "node": 0, "gpus": []}]


@pytest.mark.faults
def test_a_trial_of_a_table_that_is_too_short_for_a_steady_rate_is_the_whole_run(tmp_path: Path):
    """It leaves the store of the run alone, also where that is for a cluster, which is not asked:
    here there is none.
    """
    elsewhere = ["sink.path=store", "ray.address=127.0.0.1:1"]
    done = tried(tmp_path, "--json", *FAST, *SMALL, "limit=4", *elsewhere)
    assert done.returncode == 0, done.stderr
    expected = json.loads(done.stdout)["expected"]
    assert expected["source"] == "a trial on 4 rows"
    assert expected["images_per_s"] == pytest.approx(4 / expected["seconds"])
    assert not list(tmp_path.iterdir())


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


TWO_CPUS = Machine((Node(2, 0),))


@pytest.mark.parametrize(
    "text", ["[]", '{"a"', "{}", '{"points": [{"rows": 1}], "missing": {}, "seconds": 1}']
)
def test_a_calibration_that_cannot_be_read_is_not_known(tmp_path: Path, text: str):
    config = composed("resources=tuned", f"outputs={tmp_path}")
    path = kept_at(config, TWO_CPUS)
    path.parent.mkdir()
    path.write_text(text)
    assert known(config, TWO_CPUS) is None


def test_a_summary_that_cannot_be_read_tells_nothing(tmp_path: Path):
    config = composed(*FAST, f"outputs={tmp_path}")
    digest = speed_digest(config, config.resources, str(TWO_CPUS))
    rates = {"images_per_s": {"steady": 2.0}, "time_to_first_image_s": 1.0}
    good = {"speed_digest": digest, "status": "FINISHED", **rates}
    texts = [json.dumps(good), "[]", '{"a"', '{"images_per_s": 3}']
    for number, text in enumerate(texts):  # the newest first
        path = tmp_path / str(number) / "summary.json"
        path.parent.mkdir()
        path.write_text(text)
        os.utime(path, (number, number))
    copy = tmp_path / "mlruns" / "1" / "artifacts" / "summary.json"
    copy.parent.mkdir(parents=True)
    copy.write_text(texts[0])
    expected = from_earlier(config, config.resources, TWO_CPUS, 8)
    assert expected is not None and expected.seconds == 5.0
    assert expected.source == f"the run in {tmp_path / '0'}"


def test_a_run_to_go_on_with_is_refused_with_what_would_plan_it(tmp_path: Path):
    begun = composed(*FAST)
    tables = sources.fingerprint(sources.scan(begun.dataset, 4))
    made = manifest.of(begun, [*FAST, "dataset.prompt='{animal}'"], tables)
    (tmp_path / manifest.RECORD).write_text(manifest.to_json(made))
    done = planned(tmp_path, "resume=.")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "imagepipe: resume=.: that run has already started, and a plan is for a whole run. "
    )
    typed = " ".join(FAST)
    end = f""" -m imagepipe plan {typed} 'dataset.prompt='"'"'{{animal}}'"'"''\n"""
    assert done.stderr.endswith(end)
    done = planned(tmp_path, "resume=nowhere")
    assert done.returncode == 2
    assert "holds no run that can be resumed" in done.stderr


@pytest.mark.faults
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_trial_that_is_interrupted_leaves_nothing(tmp_path: Path, number: int):
    place = tmp_path / "place"
    place.mkdir()
    typed = ["plan", "--calibrate", *FAST, *SMALL]
    environment = {"TMPDIR": str(place), "RAY_TMPDIR": "/tmp"}  # Ray's sockets: a shorter path
    with start(tmp_path, *typed, **environment) as command:
        begun = "imagepipe-plan-*/trial/.lock"
        command.until(lambda: list(place.glob(begun)), "its trial")
        command.process.send_signal(number)
        code, said = command.gone()
    assert code == 130, said
    assert said.splitlines()[-1] == "imagepipe: interrupted"
    assert "resume=" not in said and "Traceback" not in said
    assert list(place.iterdir()) == []


@pytest.mark.faults
def test_a_trial_that_fails_says_why_and_names_no_folder_that_is_gone(tmp_path: Path):
    (tmp_path / "t.csv").write_text("id,what\n1,\n2,a cat\n")
    own = ["dataset=csv", "dataset.path=t.csv", 'dataset.prompt="{what}"', "max_failures=0"]
    done = tried(tmp_path, *FAST, *SMALL, *own)
    assert done.returncode == 1
    said = done.stderr.splitlines()[-1]
    assert said.startswith("imagepipe: 1 of 2 rows failed, more than max_failures=0; ")
    assert "imagepipe-plan-" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["resources=cpu", "resources.model.pool=99"], "Try resources."),
        (["model.stepz=4"], 'Did you mean "model.steps"?'),
        (["dataset.path=nowhere.csv"], "dataset.path=nowhere.csv"),
        (["tracking.uri=ftp://x"], "tracking.uri=ftp://x"),
        (["sink.path=s3://me:key@bucket"], "sink.path=...: contains more than a place"),
        (["--config-dir", "nowhere"], "--config-dir=nowhere: is not a folder"),
    ],
)
def test_what_would_be_refused_is_refused_here(tmp_path: Path, arguments: list[str], said: str):
    done = planned(tmp_path, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
