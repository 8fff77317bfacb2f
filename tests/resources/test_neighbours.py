"""What else the machine does is told from what the run does."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from imagepipe.resources import neighbours
from imagepipe.resources.machine import gpu_names
from imagepipe.resources.neighbours import Beside, Neighbours

WAITS = "import os, sys, time; os.write(1, b'%d ' % os.getpid()); sys.stdin.read()"
BURNS = "import time\nwhile time.process_time() < 0.2: pass\n" + WAITS


STARTS = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]])"
PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}


@pytest.fixture
def others():
    """(The pid of a child of ours, of a process whose parent has gone); they end with the test."""
    own, starter = [sys.executable, "-c", WAITS], [sys.executable, "-c", STARTS, BURNS]
    with subprocess.Popen(own, **PIPES) as child, subprocess.Popen(starter, **PIPES) as gone:
        gone.wait()
        yield _pid(child), _pid(gone)


def _pid(process: subprocess.Popen) -> int:
    return int(b"".join(iter(lambda: process.stdout.read(1), b" ")))


def test_what_the_run_started_is_not_of_others(others):
    child, orphan = others
    found = {pid for pid, _ in neighbours.seconds_of_others()}
    assert orphan in found
    assert not {child, os.getpid()} & found


def test_what_others_used_adds_up(request: pytest.FixtureRequest):
    began, watched = time.monotonic(), Neighbours(gpus=False)
    request.getfixturevalue("others")
    watched.sample()
    seen = watched.seen()
    assert seen.cpus is not None and seen.cpus * (time.monotonic() - began) >= 0.2
    assert seen.gpu_processes is None


@pytest.mark.parametrize(
    ("cpus", "of_cpus", "gpu", "said"),
    [
        (0.1, 2, None, ""),
        (0.5, 16, 0, ""),
        (None, 2, None, ""),
        (0.5, 2, None, "others used 0.5 of 2 CPUs"),
        (0.1, 2, 1, "1 other process held 40.0 GB of its GPUs"),
        (8.0, 16, 2, "others used 8.0 of 16 CPUs and 2 other processes held 40.0 GB of its GPUs"),
    ],
    ids=["quiet", "large", "unknown", "cpus", "gpu", "both"],
)
def test_a_busy_machine_is_said(cpus: float | None, of_cpus: int, gpu: int | None, said: str):
    assert Beside(1.0, cpus, of_cpus, gpu, 40.0 if gpu else None).said == said


@pytest.mark.gpu
def test_processes_on_a_gpu_are_counted():
    before = neighbours.gpu_processes()
    if not (before and gpu_names()):
        pytest.skip("needs an NVIDIA GPU")
    code = "import torch; x = torch.zeros(1 << 28, device='cuda'); print(1, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        count, held = neighbours.gpu_processes()
        other.stdin.close()
    assert count == before[0] + 1
    assert held >= before[1] + 1.0
