"""What this process may use of its machine: limits of control groups (version 1 and 2), and GPUs.

All are functions of paths and values. A group is also limited by its parents, as in a Slurm job:
the lowest limit counts. In a container the group's own folder is the root of what is visible.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path("/")
MEMORY_FILES = ("memory.max", "memory.limit_in_bytes")
UNLIMITED = 1 << 60  # version 1 says "none" by the largest number of pages, in bytes
CUDA = re.compile(r"^(cuda|hip)\b[^=]*=\s*['\"]", re.MULTILINE)  # a build for a GPU, in torch's own


def cpu_quota(root: Path = ROOT) -> float | None:
    """The CPUs that the control groups allow; null: no limit."""
    return _least(root, "cpu", _quota)


def memory_limit(root: Path = ROOT) -> int | None:
    """The bytes of memory that the control groups allow; null: no limit."""
    limit = _least(root, "memory", lambda group: _number(group, MEMORY_FILES))
    return None if limit is None else int(limit)


def own_limit(name: str, *, hard: bool = False) -> int | None:
    """What `resource` says of this process's limit `name`, such as RLIMIT_AS; null: no limit.

    `hard`: that up to which a process may raise its own.
    """
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit = resource.getrlimit(getattr(resource, name))[hard]
    return None if limit == resource.RLIM_INFINITY else limit


def process_room(root: Path = ROOT) -> int | None:
    """How many more processes and threads the control groups allow; null: no limit."""
    room = _least(root, "pids", _room)
    return None if room is None else int(room)


def visible_gpus(devices: int, visible: str | None) -> int:
    """The `devices` that CUDA_VISIBLE_DEVICES (null: unset) leaves visible.

    As CUDA reads it: the list ends at the first entry that is no device, such as Slurm's
    NoDevFiles, and never adds devices; but each listed part of a GPU (MIG) counts as one.
    https://docs.nvidia.com/cuda/cuda-c-programming-guide, CUDA_VISIBLE_DEVICES
    """
    if visible is None or devices == 0:
        return devices
    seen: list[str] = []
    for entry in map(str.strip, visible.split(",")):
        number = entry.isdecimal() and int(entry) < devices
        if entry in seen or not (number or entry.startswith(("GPU-", "MIG-"))):
            break
        seen.append(entry)
    parts = sum(entry.startswith("MIG-") for entry in seen)
    return parts or min(devices, len(seen))


def is_gpu_build(version_file: Path) -> bool:
    """Whether torch, by its file `torch/version.py`, was built for a GPU."""
    return bool(CUDA.search(version_file.read_text("utf-8")))


def _least(root: Path, controller: str, read: Callable[[Path], float | None]) -> float | None:
    found = [read(group) for group in _groups(root, controller)]
    return min((value for value in found if value is not None), default=None)


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of the groups that this process is in for `controller`, and of those above.

    Version 1 mounts controllers together (`cpu,cpuacct`), and not everywhere has a link for each;
    version 2 beside it is mounted as `unified`.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux
        return
    mounts = root / "sys/fs/cgroup"
    for line in lines:
        controllers, found, path = line.partition(":")[2].partition(":")
        if not found or (controllers and controller not in controllers.split(",")):
            continue
        inside = Path(path.lstrip("/"))
        for mount in (controller, controllers) if controllers else ("", "unified"):
            yield from (mounts / mount / group for group in (inside, *inside.parents))


def _number(group: Path, names: tuple[str, ...]) -> int | None:
    """The number in the first file that exists; null: no file, or no limit."""
    for name in names:
        try:
            text = (group / name).read_text().strip()
        except OSError:
            continue
        return int(text) if text.isdecimal() and int(text) < UNLIMITED else None
    return None


def _quota(group: Path) -> float | None:
    """Microseconds of CPU time a period, over that period."""
    try:
        quota, period = (group / "cpu.max").read_text().split()
    except (OSError, ValueError):
        quota = str(_number(group, ("cpu.cfs_quota_us",)))
        period = str(_number(group, ("cpu.cfs_period_us",)))
    numbers = quota.isdecimal() and period.isdecimal() and int(period) > 0
    return int(quota) / int(period) if numbers else None


def _room(group: Path) -> float | None:
    most, now = _number(group, ("pids.max",)), _number(group, ("pids.current",))
    return None if most is None or now is None else most - now
