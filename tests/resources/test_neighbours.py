"""What else the machine does is told from what the run does."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from imagepipe.resources import neighbours
from imagepipe.resources.machine import gpu_names
from imagepipe.resources.neighbours import Beside, Neighbours

BURNT = 0.5  # CPU seconds
BURNS = f"import time\nwhile time.process_time() < {BURNT}: pass"
# Its parent ends at once, so what it starts is no child of ours.
PARENT = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]])"
OURS, OTHERS = ["-c", BURNS], ["-c", PARENT, BURNS]


def burn(arguments: list[str]) -> None:
    """Until the process and all that it has started are gone, and their output with them."""
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE) as started:
        started.stdout.read()


def test_what_the_run_started_is_its_own_also_once_it_has_ended():
    before = neighbours.seconds_of_own()
    burn(OURS)
    between = neighbours.seconds_of_own()
    assert between - before >= BURNT / 2  # the system counts in ticks
    burn(OTHERS)
    assert neighbours.seconds_of_own() - between < between - before


def test_what_others_used_adds_up_though_they_have_ended():
    began, watched = time.monotonic(), Neighbours(gpus=False)
    burn(OTHERS)
    watched.sample()
    seen = watched.seen()
    # The system counts the busy ticks of its CPUs, and may miss some of so few.
    assert seen.cpus is not None and seen.cpus * (time.monotonic() - began) >= BURNT / 2
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
