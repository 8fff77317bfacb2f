"""Sweeps as a person runs them: jobs in one Ray session, one parent in MLflow, right states."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from helpers.command import FAST, imagepipe, start, table
from helpers.one_session import run_jobs
from helpers.sweeps import recorded, statuses
from helpers.tracked import with_database
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from imagepipe.cli.checks import config_dir
from imagepipe.config import Sweep, registration
from imagepipe.reports.comparison import objective

SMALL = [*FAST, "limit=3", "hydra.sweep.dir=sweep", "tracking.system_metrics=false"]


def test_a_failed_job_does_not_keep_the_others_from_running(swept):
    assert "Traceback" not in swept.said
    assert "imagepipe: model.steps=-1: is too small. At least 0." in swept.said
    expected = {"0": "FINISHED", "1": "FAILED", "2": "FINISHED", "3": "FINISHED"}
    assert statuses(swept.folder) == expected
    said = "3 of 4 jobs finished, 1 did not. Nothing to compare by images_per_s. (too "
    assert said in swept.said
    for job, steps in (("0", 1), ("2", 2), ("3", 4)):
        config = OmegaConf.load(swept.folder / job / ".hydra" / "config.yaml")
        assert config.model.steps == steps
        assert len(table(swept.folder / job)) == 6
    assert not (swept.folder / "1" / "table").exists()


@pytest.mark.mlflow_release
@pytest.mark.ray_release
def test_mlflow_has_one_parent_and_a_child_a_job(swept):
    client, parent, children = recorded(swept.home)
    assert [run.info.status for run in children] == ["FINISHED", "FAILED", "FINISHED", "FINISHED"]
    assert [run.info.run_name for run in children] == [f"model.steps={n}" for n in (1, -1, 2, 4)]
    assert [run.data.params["steps"] for run in children] == ["1", "-1", "2", "4"]
    assert len({run.data.tags["sweep"] for run in children}) == 1
    assert max(len(run.data.params) for run in children) <= 13  # nine, three typed, one swept
    refused = children[1]
    assert refused.data.tags["trouble"] == "model.steps=-1: is too small. At least 0."
    said = json.loads((swept.folder / "1" / "summary.json").read_text())
    assert said["mlflow"]["run_id"] == refused.info.run_id
    assert parent.info.status == "FAILED"
    assert parent.data.metrics["jobs"] == 4
    assert parent.data.metrics["jobs_finished"] == 3
    assert "best_images_per_s" not in parent.data.metrics  # six rows tell of no best
    assert {"comparison.html", "comparison.png"} <= {
        file.path for file in client.list_artifacts(parent.info.run_id)
    }


def test_pictures_have_the_same_keys_and_prompts_in_every_run(swept):
    client, _, children = recorded(swept.home)
    seen = []
    for run in (children[0], *children[2:]):
        files = [file.path for file in client.list_artifacts(run.info.run_id, "images")]
        table = Path(client.download_artifacts(run.info.run_id, "pictures.json"))
        prompts = [row[0] for row in json.loads(table.read_text())["data"]]
        seen.append((sorted({name.split("+")[0] for name in files}), prompts))
    assert seen[0] == seen[1] == seen[2]
    assert seen[0][0] == [f"images/sample~{number:02d}" for number in range(6)]


def test_the_links_at_the_end_name_the_sweep(swept):
    _, parent, children = recorded(swept.home)
    name = children[0].data.tags["sweep"]
    lines = dict(line.split(maxsplit=1) for line in swept.said.splitlines() if " http" in line)
    assert set(lines) == {"runs", "charts", "pictures"}
    for link in lines.values():
        assert f"/#/experiments/{parent.info.experiment_id}/runs?" in link
        assert "workflowType=machine_learning" in link
        assert f"tags.sweep%20%3D%20%27{name}%27" in link
    assert "-m imagepipe ui --port 5000" in swept.said


@pytest.mark.faults
def test_sending_a_sweep_again_changes_nothing(swept):
    before = [run.to_dictionary() for run in recorded(swept.home)[2]]
    done = imagepipe(swept.home, "track", "sweep")
    assert done.returncode == 0, done.stderr
    assert [run.to_dictionary() for run in recorded(swept.home)[2]] == before


@pytest.mark.faults
@pytest.mark.ray_release
def test_jobs_share_a_session_and_leave_no_actor_memory_or_setting_in_it(tmp_path):
    jobs = [[*FAST, "limit=3", "seed=1"], [*FAST, "limit=3", "seed=2"]]
    jobs.append([*FAST, "limit=3", "ray.num_cpus=3"])
    jobs, alive = run_jobs(tmp_path, [[*job, "tracking=none"] for job in jobs])
    first, second, other = (job.seen for job in jobs)
    assert first[0] == second[0] != other[0]  # another machine is another session
    for _, callbacks, actors, _, written, _ in (first, second, other):
        assert callbacks == 0
        assert "model" not in str(actors)
        assert written == 3
    assert first[3] == second[3]
    assert other[3] == 3
    assert "model" in str(first[5])  # there was one to be gone
    assert alive == [True, False]


@pytest.mark.faults
@pytest.mark.parametrize("how", ["ctrl-c", "sigterm"])
def test_an_interrupted_sweep_leaves_right_states_and_no_process(tmp_path, how: str):
    """Its second job does not end before it was told to."""
    slow = tmp_path / "slow"
    slow.touch()
    options = ["model.engine=custom", "model._target_=helpers.painters.Slow"]
    options += [f"+model.options.slow={slow}", f"+model.options.bad={tmp_path / 'bad'}"]
    command = start(tmp_path, "-m", "+model.options.seconds=0,3600,1", *SMALL, *options)
    command.until((tmp_path / "sweep" / "1" / "tracking.jsonl").exists, "the second job")
    if how == "ctrl-c":  # as a terminal sends it: to every process of the group
        os.killpg(command.process.pid, signal.SIGINT)
    else:
        command.process.terminate()
    command.until(lambda: "interrupted" in command.said or "stopping: " in command.said, how)
    slow.unlink()
    code, said = command.wait()
    assert code == 130, said
    assert "imagepipe: interrupted" in said
    assert "Traceback" not in said
    assert statuses(tmp_path / "sweep") == {"0": "FINISHED", "1": "KILLED"}
    assert (tmp_path / "sweep" / "comparison.html").is_file()
    _, parent, children = recorded(tmp_path)
    assert parent.info.status == "KILLED"
    assert [run.info.status for run in children] == ["FINISHED", "KILLED"]
    assert not command.processes()


@pytest.mark.faults
def test_optuna_maximises_and_goes_on_after_a_failed_job(tmp_path):
    search = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=4", "hydra.sweeper.sampler.seed=1"]
    done = imagepipe(tmp_path, "-m", *search, *SMALL, "model.images_per_prompt=choice(0,1,2)")
    assert done.returncode == 0, done.stderr
    assert sorted(statuses(tmp_path / "sweep").values()) == ["FAILED", *["FINISHED"] * 3]
    _, parent, children = recorded(tmp_path)
    assert parent.info.status == "FINISHED"
    best = max(children, key=rate_of)
    results = OmegaConf.load(tmp_path / "sweep" / "optimization_results.yaml")
    chosen = results.best_params["model.images_per_prompt"]
    assert f"model.images_per_prompt={chosen}" == best.info.run_name
    assert results.best_value == pytest.approx(rate_of(best))


def test_optuna_looks_for_the_most_and_is_not_stopped_by_a_failure():
    registration.register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        whole = compose("config", ["hydra/sweeper=optuna"], return_hydra_config=True)
    sweeper = whole.hydra.sweeper
    assert (sweeper.direction, sweeper.max_failure_rate, sweeper.n_jobs) == ("maximize", 1.0, 1)


def rate_of(run) -> float:
    metrics = run.data.metrics
    return metrics.get("images_per_s/steady") or metrics.get("images_per_s/end_to_end") or 0.0


TWO_WAYS = "hydra.sweeper.direction=[maximize,minimize]"  # Optuna then says nothing of failures


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        pytest.param(
            ["hydra/sweeper=optuna", "model.steps=choice(-1,-2)"],
            "model.steps=-",
            marks=pytest.mark.faults,
        ),
        pytest.param(
            ["hydra/sweeper=optuna", "model.steps=choice(-1,-2)", TWO_WAYS],
            "model.steps=-",
            marks=pytest.mark.faults,
        ),
        (["seed=1,2", "tracking.uri=ftp://x"], "tracking.uri=ftp://x"),
        (["seed=1,x"], "seed=x: takes a whole number. "),
        (
            ["hydra/sweeper=optuna", "model.steps=interval(4,0)"],
            "model.steps=interval(4,0): ends at 0.0, before it begins at 4.0. ",
        ),
        pytest.param(
            ["hydra/sweeper=optuna", "seed=range(1,9)", "tracking.backend=wandb"],
            "tracking.backend=wandb: is not a tracking backend",
            marks=pytest.mark.faults,
        ),
        (["llm=none,tinny"], 'Did you mean "tiny"?'),
    ],
)
def test_a_sweep_that_cannot_work_says_why(tmp_path, overrides: list[str], said: str):
    trials = ["hydra.sweeper.n_trials=2"] if "hydra/sweeper=optuna" in overrides else []
    quick = ["hydra.sweep.dir=sweep", "limit=2"]
    if "tracking.uri=ftp://x" not in overrides:
        quick.append("tracking=none")
    done = imagepipe(tmp_path, "-m", *quick, *overrides, *trials)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr.rpartition("imagepipe: ")[2]
    assert "Traceback" not in done.stderr


def test_what_a_preset_may_not_hold_is_copied_by_no_sweep(tmp_path):
    preset = tmp_path / "mine" / "dataset" / "shop.yaml"
    preset.parent.mkdir(parents=True)
    preset.write_text(
        "name: shop\nformat: csv\npath: https://me:hunter2@shop/a.csv\nid: id\nprompt: '{what}'\n"
    )
    asked = ["-m", "--config-dir", "mine", "tracking=none", "hydra.sweep.dir=sweep"]
    done = imagepipe(tmp_path, *asked, "dataset=shop", "seed=1,2")
    assert done.returncode == 2
    assert "dataset.path=...: contains a password" in done.stderr
    assert_nowhere("hunter2", tmp_path, preset, done)


def assert_nowhere(
    secret: str, folder: Path, preset: Path, done: subprocess.CompletedProcess
) -> None:
    """Neither in what the command said, nor in a file in `folder` but for `preset`."""
    left = [path for path in folder.rglob("*") if path.is_file() and path != preset]
    assert not [path for path in left if secret.encode() in path.read_bytes()]
    assert secret not in done.stderr + done.stdout


def test_a_secret_among_what_a_preset_sweeps_is_not_shown(tmp_path):
    preset = tmp_path / "mine" / "experiment" / "both.yaml"
    preset.parent.mkdir(parents=True)
    params = "{sweeper: {params: {tracking.uri: 'http://me:hunter2@a,http://me:hunter2@b'}}}"
    preset.write_text(f"# @package _global_\nhydra: {params}\n")
    asked = ["-m", "--config-dir", "mine", "experiment=both", "hydra.sweep.dir=sweep"]
    done = imagepipe(tmp_path, *asked)
    assert done.returncode == 2
    assert "tracking.uri=http://a: contains a user" in done.stderr
    assert_nowhere("hunter2", tmp_path, preset, done)


@pytest.mark.faults
def test_a_job_that_may_not_be_written_down_is_counted(tmp_path):
    preset = tmp_path / "mine" / "tracking" / "secret.yaml"
    preset.parent.mkdir(parents=True)
    preset.write_text("name: secret\nbackend: mlflow\nuri: http://me:hunter2@host:5000\n")
    asked = ["-m", "--config-dir", "mine", "tracking=secret,none", "hydra.sweep.dir=sweep"]
    with_database(tmp_path / "outputs")
    done = imagepipe(tmp_path, *asked, "model.steps=0")  # the other is refused as well
    assert done.returncode == 2
    assert "0 of 2 jobs finished, 2 did not" in done.stderr
    said = {
        number: json.loads((tmp_path / "sweep" / number / "summary.json").read_text())
        for number in ("0", "1")
    }
    assert [one["sweep"]["job"] for one in said.values()] == [0, 1]
    assert said["0"]["trouble"].startswith("tracking.uri=http://host:5000: contains a user")
    assert said["1"]["trouble"].startswith("model.steps=0: is too small")
    assert_nowhere("hunter2", tmp_path, preset, done)


def test_a_job_that_lacks_a_value_is_a_failed_child(tmp_path):
    asked = ["-m", "dataset=csv,animals_outfits", "model.steps=0", "hydra.sweep.dir=sweep"]
    with_database(tmp_path / "outputs")
    assert imagepipe(tmp_path, *asked).returncode == 2
    _, parent, children = recorded(tmp_path)
    assert {run.info.status for run in (parent, *children)} == {"FAILED"}
    assert [run.data.tags["trouble"] for run in children] == [
        "dataset.path=???: is required and has no value. Give one: dataset.path=...",
        "model.steps=0: is too small. At least 1.",
    ]


def test_a_folder_that_holds_a_sweep_is_refused_and_stays(swept):
    before = {path: path.read_bytes() for path in swept.folder.glob("*/summary.json")}
    asked = ["-m", "model.steps=6,8", "tracking=none", f"hydra.sweep.dir={swept.folder}"]
    done = imagepipe(swept.home, *asked, "limit=2")
    assert done.returncode == 2
    assert f"hydra.sweep.dir={swept.folder}: already holds a sweep" in done.stderr
    assert "jobs finished" not in done.stderr
    assert before == {path: path.read_bytes() for path in swept.folder.glob("*/summary.json")}


def summary(rate: float, **scores: float) -> dict:
    rates = {"steady": rate, "end_to_end": rate / 2}
    return {
        "images_per_s": rates,
        "scores": {name: {"mean": mean, "std": 0.1} for name, mean in scores.items()},
    }


def test_the_objective_is_the_rate_or_a_score_at_a_given_rate():
    assert objective(Sweep(), summary(4.0)) == 4.0
    assert objective(Sweep("score"), summary(4.0, clip=0.3)) == 0.3
    assert objective(Sweep("score", "b"), summary(4.0, a=0.3, b=-2.0)) == -2.0
    assert objective(Sweep("score"), summary(4.0)) is None
    bound = Sweep("score", at_least_images_per_s=4.0)
    fast, slow, slower = (objective(bound, summary(rate, clip=-50.0)) for rate in (4.0, 3.9, 1.0))
    assert fast == -50.0
    assert fast > slow > slower
