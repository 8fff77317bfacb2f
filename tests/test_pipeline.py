"""The plan that Ray Data gets: which operators there are, and what each asks for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from test_config import composed

from imagepipe import pipeline, report, sources
from imagepipe.claim import claim
from imagepipe.machine import Machine, Node
from imagepipe.processor import LIGHT_CPUS
from imagepipe.resources import settle
from imagepipe.sink import Writer
from imagepipe.store import Store

PROCESSES = ("MapBatches(llm)", "MapBatches(model)")


@pytest.fixture
def operators(ray_session, tmp_path):
    """[(name, CPUs of a task or a process)] of a run's physical operators, from reading on."""
    from ray.data._internal.logical.optimizers import get_execution_plan

    def of(*overrides: str) -> list[tuple[str, float]]:
        config = composed("tracking=none", *overrides)
        tables = sources.look(config.dataset, config.limit)
        resources, _ = settle(config, Machine((Node(2, 0),)), tables.rows)
        store = Store.of(None, tmp_path)
        with claim(tmp_path, store) as mine:
            facts = report.facts(config, None)
            writer = Writer(store, config.sink, 0, tables.id, {}, facts, mine)
            data = pipeline.build(config, tables, resources, writer)
        plan = get_execution_plan(data._logical_plan)
        op, found = (plan[0] if isinstance(plan, tuple) else plan).dag, []
        while op.input_dependencies:
            found.append((op.name, op.incremental_resource_usage().cpu))
            [op] = op.input_dependencies
        return found[::-1]

    return of


@pytest.mark.parametrize("llm", ["none", "template", "tiny"])
def test_no_task_takes_a_cpu_that_the_others_wait_for(operators, llm):
    found = operators(f"llm={llm}", "model=noop", "scorer=none")
    tasks = {name: cpus for name, cpus in found if name not in PROCESSES}
    assert len(tasks) == len(found) - 1 - (llm == "tiny")
    assert 0 < max(tasks.values()) <= LIGHT_CPUS, found


@pytest.mark.parametrize(
    ("llm", "first"), [("none", "model"), ("template", "model"), ("tiny", "llm")]
)
def test_blocks_get_their_rows_right_before_the_first_process(operators, llm, first):
    names = [
        name for name, _ in operators(f"llm={llm}", "model=noop", "resources.rows_per_block=8")
    ]
    place = names.index(f"MapBatches({first})")
    assert names[place - 1] == "StreamingRepartition[num_rows_per_block=8,strict=False]"
    assert names[place - 2].endswith(f"MapBatches({'prompt' if first == 'llm' else 'llm'})")


def test_what_the_processes_leave_of_a_machine_is_all_for_tasks():
    """Where two processes ask for 0.9 CPU each of two, Ray Data counts both, not 1.8."""
    script = Path(__file__).with_name("counted_cpus.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [2.0]
