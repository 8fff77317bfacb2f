"""Every job of a sweep several times, by turns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.command import FAST, imagepipe
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from imagepipe.cli.checks import config_dir
from imagepipe.cli.multirun import prepare_repeats
from imagepipe.config import registration

SMALL = [*FAST, "limit=2", "tracking=none", "hydra.sweep.dir=sweep"]


@pytest.mark.faults
def test_jobs_are_repeated_by_turns_and_taken_together(tmp_path: Path):
    params = tmp_path / "mine" / "experiment" / "both.yaml"
    params.parent.mkdir(parents=True)
    params.write_text("# @package _global_\nhydra: {sweeper: {params: {model.steps: '1,2'}}}\n")
    asked = ["-m", "--config-dir", "mine", "experiment=both", "sweep.repeats=2", *SMALL]
    done = imagepipe(tmp_path, *asked)
    assert done.returncode == 0, done.stderr
    found = [json.loads((tmp_path / f"sweep/{n}/summary.json").read_text()) for n in range(4)]
    assert [one["sweep"]["label"] for one in found] == ["model.steps=1", "model.steps=2"] * 2
    assert "4 of 4 jobs finished" in done.stderr
    assert (
        "too few pictures to compare the speed of: model.steps=1 and model.steps=2" in done.stderr
    )


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        pytest.param(["sweep.repeats=0"], "sweep.repeats=0: is too small", id="none"),
        pytest.param(
            ["sweep.repeats=2", "hydra/sweeper=optuna", "model.steps=choice(1,2)"],
            "sweep.repeats=2: repeats every job, but this sweeper",
            id="optuna",
        ),
    ],
)
def test_repeats_that_cannot_be_are_refused(tmp_path: Path, overrides: list[str], said: str):
    done = imagepipe(tmp_path, "-m", "seed=1,2", *overrides, *SMALL)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_repeat_is_what_varies_first():
    """So that jobs run by turns: Hydra's sweeper varies its last parameter fastest."""
    registration.register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        whole = compose("config", ["sweep.repeats=2"], return_hydra_config=True)
    prepare_repeats(whole, whole)
    params = [f"{key}={value}" for key, value in whole.hydra.sweeper.params.items()]
    texts = OverridesParser.create().parse_overrides([*params, "model.steps=1,2"])
    (jobs,) = BasicSweeper.split_arguments(texts, None)
    assert [job[1] for job in jobs] == ["model.steps=1", "model.steps=2"] * 2
