"""What commands cannot do, each with the line that a person reads."""

from __future__ import annotations

from pathlib import Path

from helpers.refusals import refusal
from omegaconf import OmegaConf
from PIL import Image

import imagepipe
from imagepipe import shell
from imagepipe.cli import fetch, multirun, reproduce, run, score, ui
from imagepipe.cli.composing import composed
from imagepipe.sink import sweeps
from imagepipe.sink.sweeps import PlannedJob, Record


def begun(folder: Path, *values: int) -> Record:
    """A sweep over model.steps that began in `folder`."""
    jobs = [PlannedJob(n, [f"model.steps={value}"]) for n, value in enumerate(values)]
    record = Record(["-m"], ["model.steps"], "basic", folder.name, str(folder.parent), jobs=jobs)
    sweeps.write(folder, record)
    return record


def test_python_resumes_no_sweep(tmp_path: Path):
    begun(tmp_path, 1, 2)
    assert refusal(imagepipe.run, resume=tmp_path) == (
        f"resume={tmp_path}: is a sweep, which only the command can resume. "
        f"Type: {shell.resume_command(tmp_path)}"
    )


def test_a_run_is_resumed_as_no_sweep(tmp_path: Path):
    assert refusal(run.to_resume, ["-m", f"resume={tmp_path}"]) == (
        f"resume={tmp_path}: is a single run, not a sweep. Leave -m out."
    )


def test_a_sweep_is_resumed_where_it_was_begun_as_it_was_begun(tmp_path: Path):
    record = begun(tmp_path, 1, 2)
    assert refusal(multirun.check_resumed, tmp_path / "old", tmp_path, record) == (
        f"hydra.sweep.dir={tmp_path}: is not {tmp_path / 'old'}, whose sweep is to be resumed. "
        "Move it back to where it was begun, or begin it again."
    )
    other = Record(["-m"], ["model.steps"], "basic", None, jobs=record.jobs[:1])
    assert refusal(multirun.check_resumed, tmp_path, tmp_path, other).endswith(
        ": the sweep was started with other settings to vary. Leave that out, or start a new sweep."
    )


def test_jobs_that_are_chosen_one_after_another_are_not_repeated():
    choices = {"runtime": {"choices": {"hydra/sweeper": "optuna"}}}
    cfg, whole = (OmegaConf.create(one) for one in ({"sweep": {"repeats": 3}}, {"hydra": choices}))
    assert refusal(multirun.prepare_repeats, cfg, whole) == (
        "sweep.repeats=3: repeats every job, but this sweeper chooses one job after another. "
        "Leave it out, and run the jobs you want to compare again without it."
    )


def test_a_scorer_of_a_list_says_its_place(tmp_path: Path):
    (tmp_path / "scorer").mkdir()
    (tmp_path / "scorer" / "mine.yaml").write_text("name: mine\nengine: clip\n")
    assert refusal(composed, ["scorer=[mine]"], str(tmp_path)) == (
        "scorer=mine: is one of a list of scorers, but its file does not say where it belongs, so "
        "that the next scorer would overwrite it. "
        "Make this the first line of its file: # @package scorer.mine"
    )


def test_a_disk_has_to_have_room_for_what_is_fetched(tmp_path: Path):
    said = refusal(fetch.check_room, 10**18, tmp_path / "hub")
    assert said.startswith(f"HF_HOME={tmp_path / 'hub'}: has ")
    assert said.endswith(
        " GB free, and 1000000000.0 GB are to be fetched. "
        "Make room, or set HF_HOME to a folder on a larger disk"
    )


def test_a_picture_that_loses_some_is_not_drawn_again(tmp_path: Path):
    path = tmp_path / "one.png"
    Image.new("RGB", (8, 8)).save(path, "JPEG")
    assert refusal(reproduce.read, path) == (
        f"IMAGE={path}: is a JPEG, which changes pixels a little. "
        "Use a picture of a run with sink.image_format=png."
    )


def test_pictures_are_scored_by_a_scorer_that_is_named(tmp_path: Path, capsys):
    assert score.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        "imagepipe: scorer=auto: depends on the model that draws, and none draws here. "
        "Choose one, or a list: scorer=clip, 'scorer=[clip,pickscore]'\n"
    )


def test_a_server_that_does_not_run():
    assert str(ui.broken("no answer within 60 s")) == (
        f"mlflow server={ui.HOST}: does not run (no answer within 60 s). "
        "Try again, or look at what `python -m mlflow server` says."
    )
