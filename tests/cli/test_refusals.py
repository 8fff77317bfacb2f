"""What is refused leaves nothing behind, and names what is not read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers.command import imagepipe

from imagepipe import shell
from imagepipe.cli.composing import composed
from imagepipe.cli.multirun import with_quotes
from imagepipe.errors import UserError
from imagepipe.execution import manifest

QUICK = ["tracking=none", "hydra.run.dir=new/out"]
SWEEP = ["-m", "tracking=none", "hydra.sweep.dir=new/out", "seed=1,2"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([*QUICK, "model.steps=0"], "model.steps=0: is too small"),
        ([*QUICK, "hydra.job.chdir=true"], "hydra.job.chdir=True: paths count from where"),
        ([*QUICK, "hydra.output_subdir=cfg"], "imagepipe writes .hydra/ itself"),
        (
            [*SWEEP, "hydra.sweeper.max_batch_size=1"],
            "sweep.jobs_at_once says how many run at once. Leave it out",
        ),
        ([*SWEEP, "llm=none,tinny"], "llm=tinny: there is no such choice"),
        (
            [*SWEEP, "hydra/sweeper=optuna", "hydra.sweeper.storage=nosql:x"],
            "hydra.sweeper.storage=nosql:x: is not a database",
        ),
        (
            [*SWEEP, "hydra/sweeper=optuna", "hydra.sweeper.storage=mysql://me:pw@host/db"],
            "hydra.sweeper.storage=...: contains a user or password",
        ),
    ],
    ids=["steps", "chdir", "subdir", "batches", "choice", "storage", "password"],
)
def test_a_refusal_leaves_nothing_behind(tmp_path, asked: list[str], said: str):
    done = imagepipe(tmp_path, *asked)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "text", "asked"),
    [
        ("model/noop.yaml", "name: noop\nengine: noop\nsteps: 0\n", ["model=noop"]),
        ("llm/tiny.yaml", "name: tiny\nengine: template\n", []),  # chosen by default
        ("config.yaml", "seed: 3\n", []),
    ],
    ids=["typed", "default", "root"],
)
def test_a_file_that_the_packages_own_hides_is_refused(tmp_path, name: str, text: str, asked):
    path = tmp_path / "my" / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    done = imagepipe(tmp_path, "--config-dir", "my", *QUICK, *asked, "model.steps=0")
    assert done.returncode == 2
    assert f"my/{name} is not read" in done.stderr
    assert "Give your file another name." in done.stderr


def test_a_file_that_ones_own_is_based_on_is_refused_too(tmp_path):
    (tmp_path / "llm").mkdir()
    for name, base in (("mine", "ours"), ("ours", "qwen")):
        (tmp_path / "llm" / f"{name}.yaml").write_text(f"defaults: [{base}, _self_]\n")
    assert composed(["llm=mine"], str(tmp_path)).llm.name == "qwen"
    (tmp_path / "llm" / "qwen.yaml").write_text("name: qwen\nengine: template\n")
    with pytest.raises(UserError, match=r"^llm=qwen: .*/llm/qwen\.yaml is not read"):
        composed(["llm=mine"], str(tmp_path))


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("model.steps=choice(1,2)", "model.steps=choice(1,2)"),
        ("llm=choice(none,tiny)", "llm=choice(none,tiny)"),
        ('dataset.prompt=choice("a {b}","c, d")', "dataset.prompt='a {b}','c, d'"),
        ("seed=range(1,9)", "seed=range(1,9)"),
        ("limit=3", "limit=3"),
    ],
    ids=["numbers", "names", "texts", "range", "fixed"],
)
def test_texts_are_choices_for_optuna_too(text: str, made: str):
    assert with_quotes(text) == made


@pytest.mark.parametrize(
    ("place", "folder", "home"),
    [
        ("out/x", "/new/project/out/x", "/new/project"),  # all of it was moved or copied
        ("out/x", "/new/x", "/old"),  # the run's folder alone
        (None, "/data/x", "/old"),
    ],
    ids=["project", "run", "elsewhere"],
)
def test_paths_count_from_where_the_project_is_now(place, folder: str, home: str):
    assert manifest.home("/old", place, Path(folder)) == Path(home)


def test_what_is_printed_is_typed_where_the_person_stands(tmp_path, monkeypatch):
    (tmp_path / "begun").mkdir()
    monkeypatch.chdir(tmp_path)
    shell.change_folder(tmp_path / "begun")
    assert os.getcwd() == str(tmp_path / "begun")
    assert shell.resume_command(Path("out")).endswith("resume=begun/out")
