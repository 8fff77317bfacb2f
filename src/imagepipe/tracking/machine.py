"""How busy the machine is: CPU, memory, disk, network, and NVIDIA GPUs."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

log = logging.getLogger(__name__)

MB = 1e6


def figures(closing: threading.Event, interval_s: float) -> Iterator[dict[str, float]]:
    """Figures under MLflow's names for them, every `interval_s` until `closing` is set."""
    import psutil

    nvml, gpus = _gpus()
    before = psutil.net_io_counters()
    psutil.cpu_percent()  # the first reading of a thread is 0
    while not closing.wait(interval_s):
        values = _machine(before)
        for number, gpu in enumerate(gpus):
            values |= {f"gpu_{number}_{name}": value for name, value in gpu_figures(nvml, gpu)}
        yield {name: round(value, 1) for name, value in values.items()}


def _machine(before: Any) -> dict[str, float]:
    """CPU and memory in use, the disk of the root folder, and what went over the network since."""
    import psutil

    memory, disk = psutil.virtual_memory(), psutil.disk_usage(os.sep)
    network = psutil.net_io_counters()
    return {
        "cpu_utilization_percentage": psutil.cpu_percent(),
        "system_memory_usage_megabytes": memory.used / MB,
        "system_memory_usage_percentage": 100 * memory.used / memory.total,
        "disk_usage_percentage": disk.percent,
        "disk_usage_megabytes": disk.used / MB,
        "disk_available_megabytes": disk.free / MB,
        "network_receive_megabytes": (network.bytes_recv - before.bytes_recv) / MB,
        "network_transmit_megabytes": (network.bytes_sent - before.bytes_sent) / MB,
    }


def _gpus() -> tuple[Any, list[Any]]:
    """NVIDIA's library and its handles of all GPUs; none without a driver or a GPU."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        log.debug("No GPU figures: %s", error)
        return None, []
    count = pynvml.nvmlDeviceGetCount()
    return pynvml, [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(count)]


def gpu_figures(nvml: Any, gpu: Any) -> Iterator[tuple[str, float]]:
    """What this GPU tells: some know no power, and one that was lost tells nothing."""
    with suppress(nvml.NVMLError):
        memory = nvml.nvmlDeviceGetMemoryInfo(gpu)
        yield "memory_usage_megabytes", memory.used / MB
        yield "memory_usage_percentage", 100 * memory.used / memory.total
    with suppress(nvml.NVMLError):
        yield "utilization_percentage", nvml.nvmlDeviceGetUtilizationRates(gpu).gpu
    with suppress(nvml.NVMLError):
        watts = nvml.nvmlDeviceGetPowerUsage(gpu) / 1000
        limit = nvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1000
        yield "power_usage_watts", watts
        yield "power_usage_percentage", 100 * watts / limit
