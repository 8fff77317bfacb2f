"""What would prevent a run on this machine: the findings of `imagepipe doctor`.

Each function checks one thing, and takes what it looks at as an argument.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from imagepipe.config import Config
from imagepipe.errors import UserError
from imagepipe.execution import calibration, preflight
from imagepipe.resources import limits
from imagepipe.resources.machine import GIB, Machine
from imagepipe.store import Store

LEAST_FREE = (
    1 << 30
)  # bytes where a run writes: some 2,000 pictures of 512x512, and MLflow's copies
LEAST_SHM = GIB  # below it Ray warns; a pipeline's blocks then wait in its folder on the disk
NVIDIA, DISPLAY = "0x10de", "0x03"  # PCI's number of the maker, and its class of graphics


@dataclass(frozen=True)
class Finding:
    """The result of one check. With `trouble` something is wrong, and `remedy` says what to do.
    If it `hinders`, a run would fail; otherwise it is slower or has fewer figures.
    """

    name: str
    found: str
    trouble: str | None = None
    remedy: str | None = None
    hinders: bool = False


def findings(config: Config, machine: Machine, root: Path = limits.ROOT) -> Iterator[Finding]:
    """All checks that need neither Ray nor a model, for a run of `config` on `machine`.

    `root` is the root of /proc and /sys.
    """
    yield Finding("python", f"{platform.python_version()} on {platform.platform()}")
    yield cpus(machine, root)
    yield memory(machine, root)
    yield of_check("processes", "enough", lambda: _processes(machine, root))
    yield of_check("open files", "enough", lambda: _files(machine))
    yield of_check("network", "reaches itself", lambda: preflight.check_address(preflight.LOOPBACK))
    yield gpus(machine, root)
    yield shared_memory(Path("/dev/shm"))
    yield of_check("Ray's folder", "", lambda: str(preflight.temp_folder(os.environ)))
    yield disk(config)
    yield calibrations(Path(config.outputs, calibration.FOLDER))


def _processes(machine: Machine, root: Path) -> None:
    preflight.check_processes(machine.cpus, preflight.process_room(root))


def _files(machine: Machine) -> None:
    preflight.check_files(machine.cpus, preflight.file_room())


def of_check(name: str, found: str, check: Callable[[], str | None]) -> Finding:
    """The result of `check`, or `found`; or the trouble that it raises as UserError."""
    try:
        return Finding(name, check() or found)
    except UserError as error:
        value = f"{error.field}={error.value}"
        return Finding(name, value, error.problem, error.remedy, hinders=True)


def cpus(machine: Machine, root: Path = limits.ROOT) -> Finding:
    """The CPUs of `machine`, and the CPU quota of a container."""
    whole, quota = os.cpu_count() or 1, limits.cpu_quota(root)
    found = f"{machine.cpus:g} of {whole}"
    if quota is None or quota >= whole:
        return Finding("cpus", found)
    return Finding(
        "cpus",
        found,
        f"this container may use the time of {quota:g} of {whole} CPUs",
        "Start it with more, such as --cpus; a run uses what it is given",
    )


def memory(machine: Machine, root: Path = limits.ROOT) -> Finding:
    """The memory that Ray may give to processes, and a container's limit."""
    limit = limits.memory_limit(root)
    of = f", in a container of {limit / GIB:.1f} GiB" if limit else ""
    return Finding("memory", f"{machine.nodes[0].memory / GIB:.1f} GiB for processes{of}")


def gpus(machine: Machine, root: Path = limits.ROOT) -> Finding:
    """The NVIDIA GPUs that a run uses, or why it does not use those that are there."""
    devices, driver = gpus_on_bus(root), root / "proc/driver/nvidia"
    if machine.gpus:
        return Finding("gpus", f"{machine.gpus}, {_driver(driver) or 'driver unknown'}")
    if not devices:
        return Finding("gpus", "none: runs use the CPU")
    if not (driver / "gpus").is_dir():
        trouble = f"{devices} NVIDIA GPU(s) without a driver here, so that runs use the CPU"
        remedy = "Install NVIDIA's driver; start a container with --gpus all"
    else:
        trouble = f"{devices} NVIDIA GPU(s) that this process does not use"
        remedy = "Unset CUDA_VISIBLE_DEVICES, and install a CUDA build of torch"
    return Finding("gpus", "0 used", trouble, remedy)


def gpus_on_bus(root: Path = limits.ROOT) -> int:
    """The number of NVIDIA GPUs that are plugged in, with or without a driver. Linux only."""
    found = 0
    for device in (root / "sys/bus/pci/devices").glob("*"):
        said = [(device / name).read_text().strip() for name in ("vendor", "class")]
        found += said[0] == NVIDIA and said[1].startswith(DISPLAY)
    return found


def gpu_memory() -> int:
    """Bytes of the smallest NVIDIA GPU here; 0 where its driver does not say."""
    import pynvml

    try:
        pynvml.nvmlInit()
        handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
        return min(int(pynvml.nvmlDeviceGetMemoryInfo(one).total) for one in handles)
    except (pynvml.NVMLError, ValueError):
        return 0


def _driver(folder: Path) -> str | None:
    try:
        first = (folder / "version").read_text().splitlines()[0]
    except (OSError, IndexError):
        return None
    return " ".join(first.partition(":")[2].split())


def shared_memory(folder: Path) -> Finding:
    """The size of `folder`, /dev/shm, where Ray keeps its object store."""
    try:
        size = shutil.disk_usage(folder).total
    except OSError:
        return Finding("shared memory", "none on this system")
    found = f"{size / GIB:.2f} GiB in {folder}"
    if size >= LEAST_SHM:
        return Finding("shared memory", found)
    return Finding(
        "shared memory",
        found,
        "Ray then keeps the pictures on their way on the disk, which is slower",
        "Start the container with --shm-size=2g",
    )


def disk(config: Config) -> Finding:
    """Whether a run can write to its folder, and has enough space there."""
    outputs = Path(config.outputs).absolute()
    there = next(path for path in (outputs, *outputs.parents) if path.exists())
    store = Store.of(None, there)
    written = of_check("outputs", str(outputs), lambda: store.check("outputs"))
    if written.hinders:
        return written
    free = shutil.disk_usage(there).free
    found = f"{free / GIB:.1f} GiB are free in {outputs}"
    if free >= LEAST_FREE:
        return Finding("outputs", found)
    trouble = "too little for a run's pictures and their copies in MLflow"
    return Finding("outputs", found, trouble, "Make room, or name another: outputs=FOLDER", True)


def calibrations(folder: Path) -> Finding:
    """The stored measurements of `resources=tuned`, and which are outdated."""
    stale = calibration.stale(folder)
    kept = len(list(folder.glob("*.json")))
    found = f"{kept} in {folder}"
    if not stale:
        return Finding("calibrations", found)
    path, why = next(iter(stale.items()))
    trouble = f"{len(stale)} of them no longer hold, such as {path.name}: {why}"
    remedy = "The next run with resources=tuned measures again; they can be removed"
    return Finding("calibrations", found, trouble, remedy)


def installed(paths: Sequence[str]) -> dict[str, str]:
    """{name: version} of the packages installed in the folders `paths`; the first one counts."""
    found: dict[str, str] = {}
    for one in distributions(path=list(paths)):
        found.setdefault(canonicalize_name(one.name), one.version.partition("+")[0])
    return found


def packages(
    needed: Sequence[str], installed: Mapping[str, str], locked: Mapping[str, str]
) -> Iterator[Finding]:
    """Compares `installed`, {name: version}, with the project's requirements and its lock.

    `needed` are requirements as in the metadata; those of extras count only if installed in another
    version.
    """
    every = [Requirement(text) for text in needed]
    plain = [one for one in every if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = [one for one in plain if not _fits(one, installed.get(one.name))]
    for one in wrong:
        has = installed.get(one.name)
        yield Finding(
            f"package {one.name}",
            has or "not installed",
            f"imagepipe needs {one.name}{one.specifier}",
            f"pip install '{one.name}{one.specifier}'",
            hinders=True,
        )
    others = {name: has for name, has in installed.items() if locked.get(name, has) != has}
    fitting = f"{len(plain) - len(wrong)} of {len(plain)} that imagepipe needs"
    if not others:
        yield Finding("packages", fitting)
        return
    some = ", ".join(f"{name} {has} (lock: {locked[name]})" for name, has in [*others.items()][:4])
    yield Finding(
        "packages",
        fitting,
        f"{len(others)} have other versions than the lock, which is what was tested: {some}",
        "pip install -c requirements.lock -e .",
    )


def _fits(needed: Requirement, version: str | None) -> bool:
    return version is not None and needed.specifier.contains(version, prereleases=True)
