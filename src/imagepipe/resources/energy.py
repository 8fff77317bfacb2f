"""The energy that this machine's GPUs use, if their driver measures it."""

from __future__ import annotations


def gpu_joules() -> float | None:
    """The energy that all NVIDIA GPUs have used since their driver was loaded; null if it is not
    measured.

    NVML's nvmlDeviceGetTotalEnergyConsumption, in millijoules, since Volta.
    """
    import pynvml

    try:
        pynvml.nvmlInit()
        every = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
        used = [pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu) for gpu in every]
    except pynvml.NVMLError:
        return None
    return sum(used) / 1000 if used else None


class Meter:
    """Counts from now on."""

    def __init__(self) -> None:
        self._before = gpu_joules()

    def joules(self) -> float | None:
        """Null if nothing measures it, as without a GPU."""
        now = gpu_joules()
        return None if now is None or self._before is None else now - self._before
