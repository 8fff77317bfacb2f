"""How busy the machine is: CPU, memory, disk, network, and NVIDIA GPUs where nvidia-ml-py is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

log = logging.getLogger(__name__)


def figures(closing: threading.Event, interval_s: float) -> Iterator[dict[str, float]]:
    """Figures under MLflow's names, every `interval_s` until `closing` is set."""
    monitors = _monitors()
    while not closing.wait(interval_s):
        values: dict[str, float] = {}
        for monitor in monitors:
            monitor.clear_metrics()
            monitor.collect_metrics()
            values |= monitor.aggregate_metrics()
        yield values


def _monitors() -> list[Any]:
    """MLflow's collectors. Its own logging thread over them stops for good at the first miss."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    monitors = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    try:
        monitors.append(GPUMonitor())
    except (ImportError, RuntimeError) as error:  # no nvidia-ml-py, or no GPU
        log.debug("No GPU figures: %s", error)
    monitors[0].collect_metrics()  # psutil's first CPU reading of a thread is 0
    return monitors
