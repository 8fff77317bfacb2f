"""The plan that Ray Data gets: which operators there are, and what each asks for."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from helpers import HELPERS
from helpers.configs import composed
from helpers.written import FACTS, batch

from imagepipe import sources
from imagepipe.config import RayOptions, Sink
from imagepipe.errors import RunFailed
from imagepipe.execution import chain, pipeline, session
from imagepipe.execution.messages import user_message
from imagepipe.resources.machine import Machine, Node
from imagepipe.resources.shares import resolve
from imagepipe.sink.lock import ENDED, acquire
from imagepipe.sink.metadata import run_metadata
from imagepipe.sink.writer import Writer
from imagepipe.stages.processor import LIGHT_CPUS
from imagepipe.store import Store

if TYPE_CHECKING:
    from ray.data import Dataset

# What its processes need, and the check of a run would take seconds to load before they start.
HEAVY = "{'torch', 'transformers', 'diffusers', 'huggingface_hub', 'ray', 'mlflow'}"
PROCESSES = ("MapBatches(llm)", "MapBatches(model)")


@pytest.mark.usefixtures("ray_session")
def test_a_cluster_none_of_whose_nodes_is_the_runs():
    with pytest.raises(RunFailed, match="the Ray cluster has no living node"):
        session.cluster(RayOptions(nodes=["gone"]))


def test_checking_the_default_run_loads_none_of_the_libraries_of_its_processes():
    code = (
        "import sys; from helpers.configs import composed\n"
        "from imagepipe.execution import pipeline; pipeline.check_engines(composed())\n"
        f"assert not {HEAVY} & set(sys.modules), {HEAVY} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def plan(ray_session, tmp_path):
    """The Dataset of a run that was composed with these overrides."""
    store = Store.of(None, tmp_path / "out")
    with acquire(tmp_path, store, "r") as mine:

        def of(*overrides: str, gpus: int = 0) -> Dataset:
            config = composed("tracking=none", *overrides)
            tables = sources.scan(config.dataset, config.limit)
            resources, _ = resolve(config, Machine((Node(2 + 2 * gpus, gpus),)), tables.rows)
            facts = run_metadata(config, None)
            writer = Writer(store, config.sink, 0, tables.id, {}, facts, mine)
            every = chain.stages(config, tables)
            return pipeline.build(config, tables, every, resources, writer)

        yield of


@pytest.fixture
def operators(plan):
    """[(name, CPUs of a task or a process)] of a run's physical operators, from reading on."""

    def of(*overrides: str) -> list[tuple[str, float]]:
        found = physical(plan(*overrides))
        return [(op.name, op.incremental_resource_usage().cpu) for op in found]

    return of


def physical(data: Dataset) -> list[Any]:
    """Ray Data's operators, from reading on."""
    from ray.data._internal.logical.optimizers import get_execution_plan

    found = get_execution_plan(data._logical_plan)
    op, operators = (found[0] if isinstance(found, tuple) else found).dag, []
    while op.input_dependencies:
        operators.append(op)
        [op] = op.input_dependencies
    return operators[::-1]


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
    assert names[place - 1] == "StreamingRepartition[num_rows_per_block=8,strict=True]"
    assert names[place - 2].endswith(f"MapBatches({'prompt' if first == 'llm' else 'llm'})")


@pytest.mark.parametrize(("gpus", "calls"), [(0, 1), (0.5, 2)])
def test_a_process_on_a_gpu_has_its_next_rows_while_it_hands_on_the_last(plan, gpus, calls):
    shares = [f"resources.{stage}.num_gpus={gpus}" for stage in ("llm", "model")]
    data = plan("resources=gpu_shared", *shares, gpus=1)
    pools = [op for op in physical(data) if op.name in PROCESSES]
    assert len(pools) == 2
    for op in pools:
        assert op._ray_remote_args.get("max_concurrency") == calls
        assert op._actor_pool.max_tasks_in_flight_per_actor() == 2


def test_batches_are_full_however_the_rows_were_read(plan, tmp_path):
    """A model draws a batch of one row in nearly the time of a full one, and compiled in all of
    it."""
    for name, column in (("left", "what"), ("right", "wears")):
        lines = [f"id,{column}", *(f"{number},thing {number}" for number in range(42))]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines))
    data = plan(
        *("dataset=csv", f"dataset.path={tmp_path}/left.csv", "dataset.id=id"),
        *(f"dataset.join.path={tmp_path}/right.csv", "dataset.join.on=id"),
        *("dataset.prompt='{what} {wears}'", "llm=none", "model=noop", "scorer=none"),
        "resources.rows_per_block=16",
    )
    assert sorted(row["written"] for row in data.take_all()) == [10, 16, 16]


def test_rows_with_settings_of_their_own_fill_batches_where_the_table_allows_it(plan, tmp_path):
    """Nine kinds of six or seven rows each, mixed."""
    kinds = [(8 * (1 + n % 3), 1 + n // 3 % 3) for n in range(60)]
    lines = ["id,width,steps,seed", *(f"{n},{w},{s},{7 * n}" for n, (w, s) in enumerate(kinds))]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    data = plan(
        *("dataset=csv", f"dataset.path={tmp_path}/t.csv", "dataset.id=id"),
        *("dataset.prompt='cat {id}'", "llm=none", "scorer=none", "model=noop"),
        *("model.engine=custom", "model._target_=helpers.painters.Noting", "model.height=8"),
        f"+model.options.file={tmp_path}/drawn",
        "+model.columns={width: width, steps: steps, seed: seed}",
        *("resources.model.pool=1", "resources.model.batch_size=6"),
    )
    assert sum(row["written"] for row in data.take_all()) == 60
    drawn = [int(line) for line in (tmp_path / "drawn").read_text().split()]
    allowed = sum(math.ceil(number / 6) for number in Counter(kinds).values())
    assert sum(drawn) == 60 and allowed / len(drawn) >= 0.9


def test_a_writer_whose_claim_has_ended_says_so_plainly(ray_session, tmp_path):
    import ray

    store = Store(str(tmp_path))
    with acquire(tmp_path, store, "r") as ended:
        writer = Writer(store, Sink(name="test"), 7, "id", {"id": "id"}, FACTS, ended)
    rows = ray.data.from_arrow(batch(["a"]))
    with pytest.raises(Exception, match="nothing is written") as broke:
        rows.map_batches(writer, batch_format="pyarrow").materialize()
    assert user_message(None, broke.value) == ENDED


@pytest.mark.faults
def test_what_the_processes_leave_of_a_machine_is_all_for_tasks():
    """Where two processes ask for 0.9 CPU each of two, Ray Data counts both, not 1.8."""
    script = HELPERS / "counted_cpus.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [2.0]
