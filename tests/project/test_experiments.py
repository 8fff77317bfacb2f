"""Every file in experiments/ composes and runs on a few rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from helpers import one_session
from helpers.command import imagepipe, summary
from helpers.configs import composed
from helpers.sweeps import statuses
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode

from imagepipe.cli.checks import config_dir
from imagepipe.config import registration
from imagepipe.resources.machine import Machine, Node, this_machine
from imagepipe.resources.shares import resolve

FILES = {path.stem: path for path in sorted((config_dir() / "experiment").glob("*.yaml"))}
NAMES = [*FILES]
OFTEN = {"lab_3_llm", "llm_comparison"}  # the others run in faults
SWEEPS = [name for name, file in FILES.items() if "mode: MULTIRUN" in file.read_text()]
RUNS = [name for name in NAMES if name not in SWEEPS]
ONE_SESSION = ["tracking=none", "ray.num_cpus=null"]  # of all of this machine, for each
SMALL = [*ONE_SESSION, "limit=6", "model.width=64", "model.height=64", "model=noop"]


def sweep_of(name: str) -> dict[str, str]:
    """What the experiment sweeps over: key to values, none for a single run."""
    registration.register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        whole = compose("config", [f"experiment={name}"], return_hydra_config=True)
    if whole.hydra.mode != RunMode.MULTIRUN:
        return {}
    return dict(whole.hydra.sweeper.params)


def jobs_of(name: str) -> list[list[str]]:
    """The overrides of each job, as Hydra's own sweeper makes them."""
    texts = [f"{key}={values}" for key, values in sweep_of(name).items()]
    overrides = OverridesParser.create().parse_overrides(texts)
    return BasicSweeper.split_arguments(overrides, None)[0]


def test_the_named_ones_are_there():
    assert [name for name in NAMES if sweep_of(name)] == SWEEPS
    labs = {"lab_1_images", "lab_2_join", "lab_3_llm", "lab_4_parameters"}
    sweeps = {"gpu_fractions", "cpu_fractions", "steps_vs_quality", "llm_comparison"}
    assert labs | sweeps | {"model_comparison", "autotune"} <= set(NAMES)
    assert not labs & set(SWEEPS)


def now_and_then(names: list[str]) -> list[Any]:
    faults = pytest.mark.faults
    return [name if name in OFTEN else pytest.param(name, marks=faults) for name in names]


@pytest.mark.parametrize("name", now_and_then(RUNS))
def test_it_runs(name: str, tmp_path: Path):
    config = composed(f"experiment={name}")
    out = one_session.run(tmp_path, "out", f"experiment={name}", *SMALL)
    assert summary(out)["written"] == 6
    row = pq.read_table(out / "table").to_pylist()[0]
    assert row["base_prompt"] == config.dataset.prompt.format(**row)
    assert (row["prompt"] == row["base_prompt"]) == (config.llm.engine == "none")


@pytest.mark.parametrize("name", NAMES)
def test_every_job_composes_differs_and_fits_the_machine_that_it_is_for(name: str):
    """Two cores; for the shares of a GPU a server with one. With the models that it names."""
    jobs = jobs_of(name) if name in SWEEPS else [[]]
    configs = [composed(f"experiment={name}", *job) for job in jobs]
    assert len({str(config) for config in configs}) == len(jobs)
    assert (len(jobs) > 1) == (name in SWEEPS)
    machine = Machine((Node(16, 1) if name == "gpu_fractions" else Node(2, 0),))
    for config in configs:
        resolve(config, machine, 96)


@pytest.mark.parametrize("name", now_and_then(SWEEPS))
def test_the_last_job_of_a_sweep_runs(name: str, tmp_path: Path):
    """With the real model where that is what is swept."""
    if name == "gpu_fractions" and not this_machine(composed().ray).gpus:
        pytest.skip("needs an NVIDIA GPU")
    small = ONE_SESSION if name == "model_comparison" else SMALL
    measured = ["resources.calibrate_s=3"] if name == "autotune" else []
    job = [f"experiment={name}", *small, *measured, "limit=3", *jobs_of(name)[-1]]
    assert summary(one_session.run(tmp_path, "out", *job))["written"] == 3


@pytest.mark.faults
def test_an_experiment_is_a_sweep_by_itself_and_what_is_typed_beats_it(tmp_path):
    done = imagepipe(
        tmp_path, "experiment=steps_vs_quality", "model.steps=0,1", "hydra.sweep.dir=sweep", *SMALL
    )
    assert done.returncode == 0, done.stderr
    assert statuses(tmp_path / "sweep") == {"0": "FINISHED", "1": "FINISHED"}
    assert "2 of 2 jobs finished. " in done.stderr


def test_without_a_gpu_the_gpu_shares_are_refused_plainly(tmp_path):
    """By each job of the sweep that the experiment is by itself: what is typed beats its values."""
    small = ["limit=3", "tracking=none", "ray.num_gpus=0", "hydra.sweep.dir=sweep"]
    typed = ["resources.llm.num_gpus=0.2", "resources.model.num_gpus=0.5,0.6"]
    done = imagepipe(tmp_path, "experiment=gpu_fractions", *small, *typed)
    assert done.returncode == 2
    assert "num_gpus=0.2: no machine here has 0.2 GPUs; at most 0. Try " in done.stderr
    assert "or resources=auto" in done.stderr
    assert "Traceback" not in done.stderr
    assert statuses(tmp_path / "sweep") == {"0": "FAILED", "1": "FAILED"}


def test_lab_3_has_two_actors_a_stage_and_batches_of_their_own():
    shares = composed("experiment=lab_3_llm").resources
    assert (shares.llm.pool, shares.model.pool) == (2, 2)
    assert (shares.llm.batch_size, shares.model.batch_size) == (4, 8)
    assert shares.llm.num_cpus / shares.model.num_cpus == pytest.approx(0.6 / 0.4)


def test_lab_4_takes_another_llm_and_prompt_column_from_outside():
    config = composed("experiment=lab_4_parameters", "llm=tiny", "dataset.prompt='{outfit}'")
    assert (config.llm.name, config.dataset.prompt) == ("tiny", "{outfit}")
