"""What a run may use: nodes with CPUs, GPUs, memory and whatever else Ray counts there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imagepipe.config import RayOptions

GIB = 1 << 30
# Resources that Ray makes up for itself; nobody asks for them by name.
_RAYS_OWN = ("CPU", "GPU", "memory", "object_store_memory")
# Share of the memory that Ray may give to processes; the rest is for its object store (Ray's own
# share of 0.3) and the driver. Of all memory, not of what is free: a sweep's jobs find it the same.
MEMORY_SHARE = 0.65
CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")  # cgroup v2: microseconds of CPU time, and in how many


@dataclass(frozen=True)
class Node:
    """One machine as Ray counts it; `memory` in bytes, 0 where unknown; `custom` {name: amount}."""

    cpus: float
    gpus: int
    memory: int = 0
    custom: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Machine:
    """All the nodes that a run may use."""

    nodes: tuple[Node, ...]

    @property
    def cpus(self) -> float:
        return sum(node.cpus for node in self.nodes)

    @property
    def gpus(self) -> int:
        return sum(node.gpus for node in self.nodes)

    def __str__(self) -> str:
        nodes = f" on {len(self.nodes)} nodes" if len(self.nodes) > 1 else ""
        return f"{self.cpus:g} CPUs, {self.gpus} GPUs{nodes}"


def this_machine(options: RayOptions) -> Machine:
    """What this computer has, or what `ray.num_cpus` and `ray.num_gpus` say, without asking Ray."""
    import psutil

    cpus = options.num_cpus or _cpus()
    gpus = _gpus() if options.num_gpus is None else options.num_gpus
    memory = int(MEMORY_SHARE * psutil.virtual_memory().total)
    return Machine((Node(cpus, gpus, memory),))


def from_ray(nodes: list[dict[str, Any]]) -> Machine:
    """The living ones of `ray.nodes()`."""
    return Machine(tuple(_node(node["Resources"]) for node in nodes if node["Alive"]))


def _node(resources: Mapping[str, float]) -> Node:
    custom = {
        name: amount
        for name, amount in resources.items()
        if name not in _RAYS_OWN and not name.startswith(("node:", "accelerator_type:"))
    }
    return Node(
        cpus=resources.get("CPU", 0),
        gpus=int(resources.get("GPU", 0)),
        memory=int(resources.get("memory", 0)),
        custom=custom,
    )


def _cpus(limit: Path = CPU_LIMIT) -> int:
    """Those that this process may use; in a container no more than its part of their time."""
    tied = hasattr(os, "sched_getaffinity")  # not on macOS
    cpus = len(os.sched_getaffinity(0)) if tied else os.cpu_count() or 1
    quota, period = limit.read_text().split() if limit.is_file() else ("max", "")
    return cpus if quota == "max" else min(cpus, max(1, int(quota) // int(period)))


def _gpus() -> int:
    """NVIDIA GPUs that this process may use, counted without loading CUDA."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([one for one in visible.split(",") if one.strip() not in ("", "-1")])
    driver = Path("/proc/driver/nvidia/gpus")
    return len(list(driver.iterdir())) if driver.is_dir() else 0
