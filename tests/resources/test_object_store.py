"""How large Ray's object store is made where a control group leaves less than the machine has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from imagepipe.config import RayOptions
from imagepipe.resources.machine import object_store_bytes

SLURM = "0::/system.slice/job_7/step_0\n"
TOTAL = psutil.virtual_memory().total


def of(root: Path, limit: str, options: RayOptions | None = None) -> int | None:
    """With `limit` on the group of a job, which Ray does not look at."""
    group = root / "sys/fs/cgroup/system.slice/job_7"
    group.mkdir(parents=True)
    (group / "memory.max").write_text(f"{limit}\n")
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(SLURM)
    return object_store_bytes(options or RayOptions(name="t"), root, str(root))


@pytest.mark.parametrize(
    ("limit", "store"),
    [
        pytest.param("1000000000", 300_000_000, id="small"),
        pytest.param("max", None, id="none"),
        pytest.param(str(TOTAL), None, id="all"),
        pytest.param(str(TOTAL * 2), None, id="more"),
        pytest.param("100000000", None, id="too-small"),
    ],
)
def test_it_is_a_share_of_what_the_group_leaves(tmp_path, limit: str, store: int | None) -> None:
    assert of(tmp_path, limit) == store


def test_what_is_asked_for_stands(tmp_path) -> None:
    assert of(tmp_path, "1000000000", RayOptions(name="t", object_store_gb=0.5)) == 500_000_000


def test_without_room_for_it_in_shared_memory_ray_decides(tmp_path) -> None:
    assert object_store_bytes(RayOptions(name="t"), tmp_path, "/proc") is None


LIMITED = """
import resource
from imagepipe.config import RayOptions
from imagepipe.resources.machine import object_store_bytes
for name, limit in ((resource.RLIMIT_AS, 10**10), (resource.RLIMIT_FSIZE, 2**30)):
    before = resource.getrlimit(name)
    resource.setrlimit(name, (limit, before[1]))
    print(object_store_bytes(RayOptions(name="t"), shared="/none"))
    resource.setrlimit(name, before)
"""


def test_the_store_keeps_within_the_limits_of_a_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True
    )
    addresses, file = map(int, done.stdout.split())
    assert 0 < addresses <= 3_100_000_000
    assert 0 < file <= 2**29
