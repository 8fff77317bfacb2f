"""What a run wants of a machine follows from its engines' lines in the table."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.configs import composed

from imagepipe.resources.machine import Machine, Node
from imagepipe.resources.shares import resolve
from imagepipe.resources.workload import pools, workload
from imagepipe.stages.engines import TABLE, Engine


@pytest.mark.parametrize(
    ("typed", "pooled", "waiting"),
    [
        pytest.param([], ("llm", "model", "scorer"), set(), id="embedded"),
        pytest.param(["llm=none", "scorer=none"], ("model",), set(), id="model"),
        pytest.param(["llm=template"], ("model", "scorer"), set(), id="tasks"),
        pytest.param(["llm=openai"], ("llm", "model", "scorer"), {"llm"}, id="server"),
        pytest.param(["llm.engine=custom"], ("llm", "model", "scorer"), set(), id="custom"),
    ],
)
def test_the_stages_with_processes_are_those_whose_engines_keep_something(
    typed: list[str], pooled: tuple[str, ...], waiting: set[str]
):
    config = composed(*typed, "model.width=64", "model.height=32", "model.images_per_prompt=2")
    load = workload(config, 100)
    assert (load.pooled, load.waiting) == (pooled, waiting)
    assert load.row_bytes == 2 * 32 * 64 * 3
    assert load.requested == config.resources


@pytest.mark.parametrize("cpus", [2, 16])
@pytest.mark.parametrize("gpus", [0, 2])
def test_a_model_that_waits_has_one_process_and_takes_no_cpu(cpus: int, gpus: int):
    TABLE["model"]["away"] = replace(TABLE["model"]["noop"], waits=True)
    try:
        config = composed("model=noop", "model.engine=away", "scorer=tiny_clip")
        shares, _ = resolve(config, Machine((Node(cpus, gpus),)), 1000)
        there = dict(pools(config, shares))
    finally:
        del TABLE["model"]["away"]
    assert (there["model"].pool, there["model"].num_cpus, there["model"].num_gpus) == (1, 0, 0)
    assert there["scorer"].num_cpus > 0
    assert (there["scorer"].num_gpus > 0) == (gpus > 0)


def test_an_engine_of_which_nothing_is_said_has_processes_with_a_share():
    TABLE["llm"]["new"] = Engine("somewhere.Thing")
    try:
        config = composed("llm.engine=new")
        shares, _ = resolve(config, Machine((Node(4, 0),)), 1000)
    finally:
        del TABLE["llm"]["new"]
    assert shares.llm.num_cpus > 0
    assert shares.llm.pool == 1
