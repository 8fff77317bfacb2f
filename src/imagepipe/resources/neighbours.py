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
# A virtual machine's guests are in `user` and `nice` already.
BUSY = ("user", "nice", "system", "irq", "softirq", "steal")  # of psutil's times


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
    GPU, and sampled while it draws: a process of its own that ends without its parent takes along
    what it used, of which no more than since the last sample is then taken for that of others.
    """

    def __init__(self, *, gpus: bool) -> None:
        self._load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        self._gpu = gpu_processes() if gpus else None
        self._began = time.monotonic()
        self._last = (seconds_of_all(), seconds_of_own())
        self._used = 0.0  # CPU seconds

    def sample(self) -> None:
        """Add what others have used since the last sample: what all used without what is ours."""
        now = (seconds_of_all(), seconds_of_own())
        every, own = (after - before for after, before in zip(now, self._last, strict=True))
        self._used += max(0.0, every - max(0.0, own))
        self._last = now

    def seen(self) -> Beside:
        """The load until now."""
        import psutil

        self.sample()
        took = time.monotonic() - self._began
        count, held = self._gpu or (None, None)
        cpus = self._used / took if took > 0 else None
        return Beside(self._load, cpus, psutil.cpu_count() or 1, count, held)


def seconds_of_all() -> float:
    """CPU seconds that this machine's CPUs were busy so far. On a virtual machine that is also the
    time in which its host gave them to others (`steal`).
    """
    import psutil

    times = psutil.cpu_times()._asdict()
    return sum(times.get(kind, 0.0) for kind in BUSY)


def seconds_of_own() -> float:
    """CPU seconds so far of this process and its children, also of those that have ended."""
    import psutil

    this = psutil.Process()
    found = 0.0
    for process in (this, *this.children(recursive=True)):
        with suppress(psutil.Error):  # ended since: its parent has its seconds now
            found += sum(process.cpu_times()[:4])  # user, system, and both of ended children
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
