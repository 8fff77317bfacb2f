"""A sweep's record: which jobs it has, where they are, and that its folder is its own alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from imagepipe.config import Sweep
from imagepipe.errors import UserError
from imagepipe.reports.comparison import collect
from imagepipe.sink import sweeps


def record(*jobs: sweeps.PlannedJob) -> sweeps.Record:
    return sweeps.Record(["-m", "seed=1,2"], ["seed"], "basic", None, "/", jobs=list(jobs))


def left(folder: Path, status: str, **more: object) -> None:
    """What a job that came to its end left in `folder`."""
    folder.mkdir(parents=True)
    said = {"status": status, "trouble": None, "images_per_s": {}, "sweep": None, **more}
    (folder / "summary.json").write_text(json.dumps(said))


@pytest.mark.parametrize(
    "texts",
    [
        ["seed=1,2", "llm=none", "model.steps=range(1,4)"],
        ["dataset.prompt='a {b}, c',x", "+model.variant=fp16,null"],
        ["seed=1,2", "seed=3", "~limit"],
        ["model.loras=[],[a]", "dataset={a: 1},{b: 2}"],
    ],
    ids=["grid", "texts", "again", "lists"],
)
def test_the_planned_jobs_are_those_of_hydras_own_sweeper(texts: list[str]):
    overrides = OverridesParser.create().parse_overrides(texts)
    expected = BasicSweeper.split_arguments(overrides, None)[0]
    assert [job.overrides for job in sweeps.planned(texts)] == expected


def test_what_only_hydra_can_list_is_not_planned():
    assert sweeps.planned(["llm=glob(*)"]) == []


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["seed=range(1,1e9)"], "seed=999,999,999 values: makes 999,999,999 jobs"),
        (["seed=range(0,-9e15,-1)", "llm=tiny"], "seed=9,000,000,000,000,000 values: makes 9,0"),
        (["seed=range(0,200)", "model.steps=range(1,101)"], "seed=200 values: makes 20,000 jobs"),
        (["seed=shuffle(range(0,5001))", "model.steps=1,2"], "seed=5,001 values: makes 10,002 "),
    ],
    ids=["floats", "down", "grid", "shuffled"],
)
def test_more_jobs_than_can_be_listed_are_refused_before_they_are(texts: list[str], said: str):
    with pytest.raises(UserError) as caught:
        sweeps.planned(texts)
    assert str(caught.value).startswith(said)
    assert f"a sweep has {sweeps.MOST_JOBS:,} at most. Vary fewer values" in str(caught.value)


def test_the_jobs_compared_are_those_of_the_record(tmp_path):
    sweep = tmp_path / "sweep"
    left(sweep / "b" / "0", "FINISHED")
    left(tmp_path / "elsewhere" / "1", "KILLED")
    left(sweep / "mlruns" / "artifacts", "FINISHED", sweep={"job": 0, "swept": {}, "label": "x"})
    left(sweep / "another" / "0", "FINISHED", sweep={"job": 0, "swept": {}, "label": "y"})
    jobs = [sweeps.PlannedJob(n, [f"seed={n}", "limit=3"]) for n in range(3)]
    made = record(*jobs).begun(0, ["seed=0"], "b/0").begun(1, ["seed=1"], "../elsewhere/1")
    sweeps.write(sweep, made)
    assert sweeps.read(sweep) == made
    assert sweeps.read(sweep / sweeps.RECORD) is None  # a file, as a person may name
    found = collect(sweep, Sweep())
    assert [(job.number, job.status) for job in found.jobs] == [
        (0, "FINISHED"),
        (1, "KILLED"),
        (2, "PENDING"),
    ]
    assert [job.label for job in found.jobs] == ["seed=0", "seed=1", "seed=2"]
    assert found.headline().startswith("1 of 3 jobs finished, 1 did not, 1 have not run yet.")


@pytest.mark.parametrize(
    "there", ["sweep.json", "multirun.yaml", "0/run.json", "0/summary.json"], ids=lambda n: n[:5]
)
def test_a_folder_that_holds_a_sweep_is_refused_and_stays(tmp_path, there: str):
    path = tmp_path / there
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}")
    refused = pytest.raises(UserError, match="already holds a sweep")
    with refused, sweeps.locked(tmp_path, resumed=False):
        pass
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]


def test_a_folder_is_one_sweeps_alone(tmp_path):
    folder = tmp_path / "sweep"
    with sweeps.locked(folder, resumed=False):
        refused = pytest.raises(UserError, match="is being written by another sweep")
        with refused, sweeps.locked(folder, resumed=False):
            pass
    assert list(folder.iterdir()) == []  # nothing was begun there
    with sweeps.locked(folder, resumed=False):
        sweeps.write(folder, record())
    with sweeps.locked(folder, resumed=True):
        pass


def test_what_is_swept_is_told_from_what_is_only_typed():
    typed = ["-m", "limit=3", "llm=none,tiny", "+model.variant=fp16,null", "hydra.sweep.dir=x"]
    assert sweeps.swept_keys(typed, None) == ["llm", "model.variant"]
    params = {"model.steps": "1,2", "limit": "4,8"}
    assert sweeps.swept_keys(typed, params) == ["model.steps", "llm", "model.variant"]
    texts = ["model.guidance=interval(0,4)", 'dataset.prompt="{a}, {b}"']
    assert sweeps.swept_keys(texts, None) == ["model.guidance"]
