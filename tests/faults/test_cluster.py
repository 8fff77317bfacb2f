"""Runs on several nodes, which are processes of this machine: one lost, one that joins."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import Command, summary, table

HERE = Path(__file__).parent
STORE_BYTES = 100 << 20  # of each node's objects


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head and two more nodes of two CPUs each."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 2, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    nodes = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(2):
            nodes.add_node(num_cpus=2, object_store_memory=STORE_BYTES)
        yield nodes
    finally:
        nodes.shutdown()


def slow(folder: Path, cluster: Any, rows: int, seconds: float) -> list[str]:
    """A run whose model takes `seconds` a picture; a file in marks/ for each node that drew."""
    (folder / "marks").mkdir()
    shutil.copy(HERE / "slow_engine.py", folder)  # where the command is typed, so it is found
    (folder / "t.csv").write_text("id,what\n" + "".join(f"{n},a cat\n" for n in range(rows)))
    return [
        *("ray=cluster", f"ray.address={cluster.address}", "hydra.run.dir=out"),
        *("dataset=csv", "dataset.path=t.csv", 'dataset.prompt="{what}"'),
        f"+ray.runtime_env.py_modules=[{folder / 'slow_engine.py'}]",
        *("llm=none", "scorer=none", "tracking=none", "model.width=64", "model.height=64"),
        *("model.engine=custom", "model._target_=slow_engine.Slow"),
        f"+model.options={{seconds: {seconds}, marks: {folder / 'marks'}}}",
        *("resources=cpu", "resources.model.num_cpus=0.5", "resources.model.pool=3"),
        *("resources.model.pool_max=6", "resources.model.batch_size=2"),
        "resources.rows_per_block=4",
    ]


def test_a_lost_node_costs_no_row_and_one_that_joins_is_used(
    tmp_path: Path, cluster: Any, command: Callable[..., Command], record: Callable[..., None]
):
    rows, marks = 600, tmp_path / "marks"
    run = command(*slow(tmp_path, cluster, rows, 0.1))
    victim = next(iter(cluster.worker_nodes))
    run.until((marks / victim.node_id).exists, "a picture from the node to be lost")
    cluster.remove_node(victim, allow_graceful=False)
    new = cluster.add_node(num_cpus=4, object_store_memory=STORE_BYTES)
    code, said = run.wait()
    assert code == 0, said
    ids = [row["id"] for row in table(tmp_path / "out")]
    held = len(ids) == len(set(ids)) == rows == summary(tmp_path / "out")["written"]
    record("node lost, another joins", victim="a node", rows=rows, held=held)
    assert held
    assert (marks / new.node_id).exists(), said
