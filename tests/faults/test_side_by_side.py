"""Jobs of a sweep at once: on nodes of a cluster, killed, and interrupted."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from helpers import HELPERS
from helpers.command import Command, imagepipe
from helpers.sweeps import recorded, statuses
from helpers.waiting import until

pytestmark = pytest.mark.faults
STORE_BYTES = 100 << 20  # of each node's objects


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of two CPUs each."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 2, "object_store_memory": STORE_BYTES}
    nodes = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        nodes.add_node(**node)
        yield nodes
    finally:
        nodes.shutdown()


def meeting(folder: Path, *more: str) -> list[str]:
    """A sweep of two jobs that draw only while the other one does."""
    (folder / "met").mkdir()
    (folder / "stay").touch()
    shutil.copy(HELPERS / "meeting.py", folder)  # where the command is typed, so it is found
    return [
        *("-m", "model.steps=1,2", "sweep.jobs_at_once=2", "hydra.sweep.dir=sweep", "limit=6"),
        *("llm=none", "scorer=none", "model=noop", "model.width=16", "model.height=16"),
        *("model.engine=custom", "model._target_=meeting.Meets", "ray.num_cpus=2"),
        f"+model.options={{place: {folder / 'met'}, until: {folder / 'stay'}}}",
        *("tracking.system_metrics=false", *more),
    ]


def test_two_jobs_keep_to_a_node_each_and_draw_at_the_same_time(tmp_path: Path, cluster: Any):
    asked = [*meeting(tmp_path), "ray=cluster", f"ray.address={cluster.address}"]
    asked.append(f"+ray.runtime_env.py_modules=[{tmp_path / 'meeting.py'}]")
    done = imagepipe(tmp_path, *[one for one in asked if one != "ray.num_cpus=2"])
    assert done.returncode == 0, done.stderr
    assert "at once    2 jobs, with 2 CPUs, 0 GPUs each" in done.stderr
    assert statuses(tmp_path / "sweep") == {"0": "FINISHED", "1": "FINISHED"}
    nodes = [(tmp_path / "met" / name).read_text() for name in ("1", "2")]
    assert len(set(nodes)) == 2
    said = [json.loads((tmp_path / "sweep" / n / "run.json").read_text()) for n in ("0", "1")]
    assert sorted(one["config"]["ray"]["nodes"] for one in said) == sorted([[n] for n in nodes])
    _, parent, children = recorded(tmp_path)
    assert parent.info.status == "FINISHED"
    assert {run.info.run_name for run in children} == {"model.steps=1", "model.steps=2"}
    began, ended = ([getattr(r.info, f"{end}_time") for r in children] for end in ("start", "end"))
    assert max(began) < min(ended)
    assert (tmp_path / "sweep" / "comparison.html").is_file()


def test_a_killed_job_takes_nothing_of_the_other_along(
    tmp_path: Path, command: Callable[..., Command]
):
    asked = meeting(tmp_path, "+model.options.stays=2")
    begun = command(*asked)
    begun.until((tmp_path / "met" / "2").exists, "the second job")
    begun.until((tmp_path / "sweep" / "0" / "summary.json").exists, "the end of the first job")
    until(lambda: len(jobs_of(begun)) == 1)
    jobs_of(begun)[0].kill()
    code, said = begun.wait()
    assert code == 1
    assert "job 1: its process ended by signal 9" in said
    assert statuses(tmp_path / "sweep") == {"0": "FINISHED"}
    assert "1 of 2 jobs finished, 1 have not run yet" in said
    (tmp_path / "stay").unlink()
    again = imagepipe(tmp_path, "resume=sweep")
    assert again.returncode == 0, again.stderr
    assert statuses(tmp_path / "sweep") == {"0": "FINISHED", "1": "FINISHED"}


def test_ctrl_c_ends_all_of_them_with_right_states(tmp_path: Path, command: Callable[..., Command]):
    begun = command(*meeting(tmp_path, "+model.options.stays=2", "limit=100"))
    begun.until((tmp_path / "sweep" / "0" / "summary.json").exists, "the end of the first job")
    until(lambda: len(jobs_of(begun)) == 1)
    os.killpg(begun.process.pid, signal.SIGINT)  # as a terminal sends it
    begun.until(lambda: "stopping: " in begun.said, "Ctrl-C")
    (tmp_path / "stay").unlink()
    code, said = begun.wait()
    assert code == 130, said
    assert "resume with: " in said
    assert "Traceback" not in said
    assert statuses(tmp_path / "sweep") == {"0": "FINISHED", "1": "KILLED"}
    _, parent, children = recorded(tmp_path)
    assert parent.info.status == "KILLED"
    assert sorted(run.info.status for run in children) == ["FINISHED", "KILLED"]


def jobs_of(begun: Command) -> list[psutil.Process]:
    """The processes of the jobs that `begun` runs now."""
    children = psutil.Process(begun.process.pid).children()
    living = [one for one in children if one.status() != psutil.STATUS_ZOMBIE]
    return [one for one in living if "imagepipe.execution.beside" in one.cmdline()]
