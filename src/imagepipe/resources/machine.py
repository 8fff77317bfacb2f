"""The nodes that a run may use, with CPUs, GPUs, memory and Ray's other resources."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imagepipe.config import RayOptions
from imagepipe.resources import limits

GIB = 1 << 30
# Resources that Ray makes up for itself; nobody asks for them by name.
_RAYS_OWN = ("CPU", "GPU", "memory", "object_store_memory")
# Share of the memory that Ray may give to processes; the rest is for its object store (Ray's own
# share of 0.3) and the driver. Of all memory, not of what is free: a sweep's jobs find it the same.
MEMORY_SHARE = 0.65
PROCESS_BYTES = 3_800_000_000  # of addresses that a process takes beside the object store
STORE_SHARE, LEAST_STORE = 0.3, 80_000_000  # Ray's own share; its least is 75 MiB


@dataclass(frozen=True)
class Node:
    """One machine as Ray counts it; `memory` in bytes, 0 if unknown; `custom` {name: amount}."""

    cpus: float
    gpus: int
    memory: int = 0
    custom: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Machine:
    """All nodes that a run may use."""

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
    """This computer, or what `ray.num_cpus` and `ray.num_gpus` say, without asking Ray."""
    import psutil

    cpus = options.num_cpus or cpu_count()
    gpus = _gpus() if options.num_gpus is None else options.num_gpus
    total = psutil.virtual_memory().total
    memory = int(MEMORY_SHARE * min(total, limits.memory_limit() or total))
    return Machine((Node(cpus, gpus, memory),))


def object_store_bytes(
    options: RayOptions, root: Path = limits.ROOT, shared: str = "/dev/shm"
) -> int | None:
    """The size for Ray's object store; null: Ray's own share of the memory that it sees.

    Ray sees the limit of a container, but not that of a group inside, such as a Slurm job's.
    """
    import psutil

    if options.object_store_gb:
        return int(options.object_store_gb * 1e9)
    limit, total = limits.memory_limit(root), psutil.virtual_memory().total
    most = [] if limit is None or limit >= total else [int(STORE_SHARE * limit)]
    if (addresses := limits.own_limit("RLIMIT_AS")) is not None:
        most.append((addresses - PROCESS_BYTES) // 2)  # a process maps the store twice
    if (largest := limits.own_limit("RLIMIT_FSIZE")) is not None:
        most.append(largest // 2)  # the file is larger than what it holds
    if not most:
        return None
    most.append(int(STORE_SHARE * total))
    with suppress(OSError):  # what does not fit there would lie on a disk
        most.append(int(0.9 * shutil.disk_usage(shared).free))
    return store if (store := min(most)) >= LEAST_STORE else None


def from_ray(nodes: Sequence[Mapping[str, Any]], only: Collection[str] = ()) -> Machine:
    """The living nodes in `ray.nodes()`; with `only`, those with these ids."""
    return Machine(tuple(_node(node["Resources"]) for node in living(nodes, only)))


def living(nodes: Sequence[Mapping[str, Any]], only: Collection[str]) -> list[Mapping[str, Any]]:
    return [node for node in nodes if node["Alive"] and (not only or node["NodeID"] in only)]


def cpu_name() -> str:
    """The name of the processor, or else its architecture."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def gpu_names() -> list[str]:
    """The names of the NVIDIA GPUs; none without a driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
        every = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
        return [str(pynvml.nvmlDeviceGetName(gpu)) for gpu in every]
    except pynvml.NVMLError:
        return []


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


def cpu_count(root: Path = limits.ROOT) -> int:
    """The CPUs that this process may use; in a container no more than its quota."""
    tied = hasattr(os, "sched_getaffinity")  # not on macOS
    cpus = len(os.sched_getaffinity(0)) if tied else os.cpu_count() or 1
    return min(cpus, max(1, int(limits.cpu_quota(root) or cpus)))


def _gpus() -> int:
    """NVIDIA GPUs that this process may use, counted without loading CUDA."""
    torch = importlib.util.find_spec("torch")
    if torch is None or torch.origin is None:
        return 0
    if not limits.is_gpu_build(Path(torch.origin).with_name("version.py")):
        return 0  # whatever the machine has, nothing here could use it
    import pynvml

    devices = gpu_devices(pynvml, Path("/proc/driver/nvidia/gpus"))
    return limits.visible_gpus(devices, os.environ.get("CUDA_VISIBLE_DEVICES"))


def gpu_devices(nvml: Any, driver: Path) -> int:
    """The NVIDIA GPUs that this machine has, or a container was given.

    By NVML, which counts what this process may open, also where nothing is in /proc (WSL). A
    container without the driver's `utility` part has GPUs and no NVML: then by the folders in
    `driver`, /proc/driver/nvidia/gpus.
    """
    try:
        nvml.nvmlInit()
        return int(nvml.nvmlDeviceGetCount())
    except nvml.NVMLError:
        return len(list(driver.iterdir())) if driver.is_dir() else 0
