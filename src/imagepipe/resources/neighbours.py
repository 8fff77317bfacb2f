"""Other load on the machine during a run: CPUs that other programs use, processes on its GPUs.

A rate holds for the machine as it was: other load makes it lower.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

BUSY_SHARE = 0.1  # of this machine's CPUs: less is what any desktop does beside


@dataclass(frozen=True)
class Beside:
    """`load` is the machine's load average of the last minute when the run began. `cpus` of
    `of_cpus` went to others while it drew; `gpu_processes` were on its GPUs before, with `gpu_gb`.
    Null is what cannot be known.
    """

    load: float | None
    cpus: float | None
    of_cpus: int
    gpu_processes: int | None
    gpu_gb: float | None

    @property
    def said(self) -> str:
        """What kept the machine busy, as text; empty if nothing did."""
        said = []
        if self.cpus is not None and self.cpus > BUSY_SHARE * self.of_cpus:
            said.append(f"others used {self.cpus:.1f} of {self.of_cpus} CPUs")
        if self.gpu_processes:
            said.append(
                f"{self.gpu_processes} other process{'es' * (self.gpu_processes > 1)} held "
                f"{self.gpu_gb or 0.0:.1f} GB of its GPUs"
            )
        return " and ".join(said)


class Neighbours:
    """Watches this machine from now on; to be made before the run has processes of its own on a
    GPU, and sampled while it draws: a process that comes and goes between two samples is missed.
    """

    def __init__(self, *, gpus: bool) -> None:
        self._load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        self._gpu = gpu_processes() if gpus else None
        self._began = time.monotonic()
        self._last = seconds_of_others()
        self._used = 0.0  # CPU seconds

    def sample(self) -> None:
        """Add what others have used since the last sample."""
        now = seconds_of_others()
        for process, seconds in now.items():
            self._used += max(0.0, seconds - self._last.get(process, 0.0))
        self._last = now

    def seen(self) -> Beside:
        """The load until now."""
        import psutil

        self.sample()
        took = time.monotonic() - self._began
        count, held = self._gpu or (None, None)
        cpus = self._used / took if took > 0 else None
        return Beside(self._load, cpus, psutil.cpu_count() or 1, count, held)


def seconds_of_others() -> dict[tuple[int, float], float]:
    """CPU seconds so far of each process except this one and its children."""
    import psutil

    own = {os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))}
    found = {}
    for process in psutil.process_iter():
        if process.pid not in own:
            with suppress(psutil.Error):
                times = process.cpu_times()
                found[process.pid, process.create_time()] = times.user + times.system
    return found


def gpu_processes() -> tuple[int, float] | None:
    """The number of processes on this machine's NVIDIA GPUs, and their GB of memory there; null
    without a driver or a GPU.
    """
    import pynvml

    try:
        pynvml.nvmlInit()
        gpus = range(pynvml.nvmlDeviceGetCount())
        each = [_computing(pynvml, pynvml.nvmlDeviceGetHandleByIndex(number)) for number in gpus]
    except pynvml.NVMLError:
        return None
    held = [process for gpu in each for process in gpu]
    return len(held), sum(process.usedGpuMemory or 0 for process in held) / 1e9


def _computing(nvml: Any, gpu: Any) -> list[Any]:
    """Nothing for a GPU that does not say, such as a part of one (MIG)."""
    with suppress(nvml.NVMLError):
        return list(nvml.nvmlDeviceGetComputeRunningProcesses(gpu))
    return []
