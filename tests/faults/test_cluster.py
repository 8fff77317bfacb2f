"""Runs on several nodes, which are processes of this machine: one lost, one that joins."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from helpers import HELPERS
from helpers.command import Command, imagepipe, summary
from helpers.s3_server import S3

from imagepipe.store import Store

STORE_BYTES = 100 << 20  # of each node's objects


@pytest.fixture(scope="module")
def cluster(s3: S3) -> Iterator[Any]:
    """A head and two more nodes of two CPUs each, which reach the S3 server."""
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
    """A run whose model takes `seconds` a picture while there is the file `slow`; a file in marks/
    for each node that drew.
    """
    (folder / "marks").mkdir()
    (folder / "slow").touch()
    shutil.copy(HELPERS / "slow_engine.py", folder)  # where the command is typed, so it is found
    (folder / "t.csv").write_text("id,what\n" + "".join(f"{n},a cat\n" for n in range(rows)))
    return [
        *("ray=cluster", f"ray.address={cluster.address}", "hydra.run.dir=out"),
        *("dataset=csv", "dataset.path=t.csv", 'dataset.prompt="{what}"'),
        f"+ray.runtime_env.py_modules=[{folder / 'slow_engine.py'}]",
        *("llm=none", "scorer=none", "tracking=none", "model.width=64", "model.height=64"),
        *("model.engine=custom", "model._target_=slow_engine.Slow"),
        f"+model.options={{seconds: {seconds}, marks: {folder / 'marks'}}}",
        f"+model.options.slow={folder / 'slow'}",
        *("resources=cpu", "resources.model.num_cpus=1", "resources.model.pool=3"),
        *("resources.model.pool_max=6", "resources.model.batch_size=2"),
        "resources.rows_per_block=4",
    ]


@pytest.mark.faults
def test_a_lost_node_costs_no_row_and_one_that_joins_is_used(
    tmp_path: Path,
    cluster: Any,
    s3: S3,
    command: Callable[..., Command],
    record: Callable[..., None],
):
    """Onto S3, as a cluster without a shared disk would. It is slow until the new node has drawn:
    a node needs half a minute and more to join.
    """
    rows, marks, store = 200, tmp_path / "marks", Store(f"{s3.bucket()}/run")
    run = command(*slow(tmp_path, cluster, rows, 3), f"sink.path={store.url}")
    victim = next(iter(cluster.worker_nodes))
    run.until((marks / victim.node_id).exists, "a picture from the node to be lost")
    cluster.remove_node(victim, allow_graceful=False)
    new = cluster.add_node(num_cpus=4, object_store_memory=STORE_BYTES)
    run.until((marks / new.node_id).exists, "a picture from the node that joined")
    (tmp_path / "slow").unlink()
    code, said = run.wait()
    assert code == 0, said
    parts = (pq.read_table(store.open(part)) for part in store.parts("table"))
    ids = sorted(int(row["id"]) for part in parts for row in part.to_pylist())
    held = ids == list(range(rows)) and summary(tmp_path / "out")["written"] == rows
    record("node lost, another joins, onto S3", victim="node", rows=rows, held=held)
    assert held
    assert len(store.parts("images")) == rows


@pytest.mark.faults
@pytest.mark.ray_release
def test_a_run_draws_on_both_nodes(tmp_path: Path, command: Callable[..., Command]):
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 2, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    nodes = Cluster(initialize_head=True, head_node_args=head)
    try:
        nodes.add_node(num_cpus=2, object_store_memory=STORE_BYTES)
        pool = ["resources.model.num_cpus=1.5", "resources.model.pool=2"]
        typed = [*slow(tmp_path, nodes, 16, 0.0), "+model.options.nodes=2"]
        code, said = command(*typed, *pool, "resources.model.pool_max=2").wait()
    finally:
        nodes.shutdown()
    assert code == 0, said
    assert summary(tmp_path / "out")["written"] == 16
    assert len(list((tmp_path / "marks").iterdir())) == 2


SEEN = """
import json, sys
from imagepipe.config import RayOptions
from imagepipe.errors import UserError
from imagepipe.execution.nodes import check
from imagepipe.execution.session import session
from imagepipe.store import Store
from imagepipe.sources import scan
from helpers.configs import composed

address, *cases = sys.argv[1:]
told = []
with session(RayOptions("cluster", address), None, verbose=False):
    import ray

    where = ray.remote(num_cpus=0)(lambda: __import__("imagepipe").__file__)
    told.append(ray.get(where.remote()))
    for case in cases:
        config = composed(*json.loads(case))
        tables = scan(config.dataset, None)
        try:
            check(config, Store.of(config.sink.path, None), tables)
            told.append("passed")
        except UserError as error:
            told.append(str(error))
print(json.dumps(told))
"""


@pytest.mark.faults
def test_each_node_is_tried_with_the_package_that_travelled(cluster: Any, s3: S3, tmp_path: Path):
    """A place in memory is one that no other process sees, as a local disk of another machine."""
    cases = (
        ["sink.path=memory://run"],
        [f"sink.path={s3.bucket()}/run"],
        [f"sink.path={tmp_path}"],
    )
    done = subprocess.run(
        [sys.executable, "-c", SEEN, cluster.address, *map(json.dumps, cases)],
        capture_output=True,
        text=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    package, unseen, bucket, shared = json.loads(done.stdout.splitlines()[-1])
    assert "py_modules_files" in package  # not the copy that this machine has installed
    assert unseen.startswith("sink.path=memory://run: is not a place for the node ")
    assert "Set sink.path to a folder that all nodes share" in unseen
    assert (bucket, shared) == ("passed", "passed")
    assert not list(tmp_path.iterdir())


@pytest.mark.faults
def test_a_cluster_of_another_ray_is_refused(cluster: Any, tmp_path: Path):
    """What a cluster says of its versions stands in its own store; this one is made to lie."""
    from ray._common.usage import usage_constants
    from ray._raylet import GcsClient

    key, space = usage_constants.CLUSTER_METADATA_KEY, b"cluster"
    gcs = GcsClient(address=cluster.address)
    truth = gcs.internal_kv_get(key, space)
    assert truth
    lie = json.dumps(json.loads(truth) | {"ray_version": "1.2.3"}).encode()
    gcs.internal_kv_put(key, lie, True, space)
    try:
        done = imagepipe(tmp_path, "ray=cluster", f"ray.address={cluster.address}")
    finally:
        gcs.internal_kv_put(key, truth, True, space)
    assert done.returncode == 2
    assert "the cluster runs another Ray or Python" in done.stderr and "Ray: 1.2.3" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.faults
def test_an_object_store_that_is_full_spills_and_every_row_is_there(
    command: Callable[..., Command], record: Callable[..., None], tmp_path: Path
):
    """48 rows of 8 pictures, 300 MB before they are encoded, in a store of 80 MB."""
    rows = 48
    with tempfile.TemporaryDirectory(prefix="ip-", dir="/tmp") as short:  # a socket's path is
        run = command(
            *("model=noop", "llm=none", "scorer=none", "tracking=none", "hydra.run.dir=out"),
            *("model.width=512", "model.height=512", "model.images_per_prompt=8", f"limit={rows}"),
            *("ray.object_store_gb=0.08", "resources.rows_per_block=16", "sink=parquet"),
            "verbose=true",  # else Ray's log does not say what it spills
            RAY_TMPDIR=short,
        )
        code, said = run.wait()
        assert code == 0, said
        logs = Path(short).glob("ray/session_2*/logs/raylet.out")
        assert any("Spilled" in log.read_text() for log in logs)
    parts = [pq.read_table(part, columns=["id"]) for part in (tmp_path / "out/table").iterdir()]
    ids = [row["id"] for part in parts for row in part.to_pylist()]
    held = len(ids) == 8 * rows and len(set(ids)) == rows
    record("object store full", victim="run", rows=rows, held=held)
    assert held
