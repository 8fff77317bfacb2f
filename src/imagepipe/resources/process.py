"""Keeps a stage's process within its share: Ray itself only counts shares."""

from __future__ import annotations

import gc
import math
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from imagepipe.config import Share
from imagepipe.errors import RunFailed
from imagepipe.resources.machine import GIB
from imagepipe.stages.stage import out_of_memory

SPREAD = "IMAGEPIPE_WHOLE_GPUS"  # how many this process has


def whole_gpus() -> int:
    """The number of whole GPUs of a bound process; 0: none, or a part of one."""
    return int(os.environ.get(SPREAD) or 0)


def bind(share: Share) -> None:
    """Hold this process to its share: threads on the CPU, memory and computing on the GPU.

    torch takes a share of one GPU's memory; a process with whole GPUs keeps all of them, one with
    none sees none. Where CUDA's Multi-Process Service runs, the process also gets only that share
    of the GPU's units; without it the variable means nothing. To be called before CUDA is used.
    """
    bind_threads(share.num_cpus)
    os.environ.update(computing(share))
    os.environ[SPREAD] = str(int(share.num_gpus))
    if 0 < share.num_gpus < 1:
        import torch

        torch.cuda.set_per_process_memory_fraction(share.num_gpus)


def bind_threads(num_cpus: float) -> None:
    """Limit this process to so many CPU threads, at least one."""
    threads = max(1, round(num_cpus))
    os.environ["OMP_NUM_THREADS"] = str(threads)  # for what is imported from here on
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def computing(share: Share) -> dict[str, str]:
    """What tells CUDA which GPUs a process has, and its Multi-Process Service which share.

    Ray hides no GPU from a process that asked for none (`override_on_zero` in its
    `set_visible_accelerator_ids`), which would then draw on the first beside all shares.
    """
    if share.num_gpus == 0:
        return {"CUDA_VISIBLE_DEVICES": ""}
    if share.num_gpus >= 1:
        return {}
    return {"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": f"{100 * share.num_gpus:.0f}"}


def ray_resources(share: Share) -> dict[str, Any]:
    """Arguments of `map_batches`: what Ray counts of a process besides its CPUs and GPUs.

    Only what is asked for: before Ray 2.60 an argument that is null is a broken one.
    """
    custom = {name: amount for name, amount in share.custom.items() if amount}
    asked = {"memory": share.memory_gb * GIB, "resources": custom}
    return {name: amount for name, amount in asked.items() if amount}


def out_of_memory_error(stage: str, key: str, share: Share, error: Exception) -> Exception:
    """`error`, or, if memory ran out while a process loaded, a message for the user."""
    if not out_of_memory(error):
        return error
    said = str(error).partition(" See documentation")[0]
    if not share.num_gpus:
        return RunFailed(
            f"stage {stage} ran out of the machine's memory while it loaded: {said or 'no figure'}."
            f" Start fewer processes ({key}.pool), or take a smaller model."
        )
    least = _least_share(said)
    larger = f"{key}.num_gpus={least:g} or more" if least else "a larger share"
    remedy = f"Give it {larger}, or the others a smaller one."
    if (least or 0) > 1:
        remedy = f"That is {least:g} times the memory of a GPU here: take a smaller model."
    return RunFailed(
        f"stage {stage} needed more than its share, {key}.num_gpus={share.num_gpus:g}, while "
        f"it loaded: {said} {remedy}"
    )


def _least_share(said: str) -> float | None:
    """The share of a GPU that a process had and the one it needed, from torch's message; null if
    that is of another form.
    """
    words = ("Tried to allocate", "Of the allocated memory", "total capacity of")
    found = [re.search(rf"{word} ([\d.]+) ([KMG])iB", said) for word in words]
    sizes = [float(size[1]) * 1024 ** "KMG".index(size[2]) for size in found if size]
    if len(sizes) < len(words):
        return None
    wanted, had, whole = sizes
    return math.ceil(100 * (wanted + had) / whole) / 100


@contextmanager
def alone_on_gpus() -> Iterator[None]:
    """Let only one process at a time start on the GPUs of this process.

    An engine sizes its share of a GPU by the free memory that it finds: two that start at the same
    moment would each count the other's memory as its own.
    """
    from filelock import FileLock

    folder = Path(tempfile.gettempdir())
    gpus = {gpu.strip() for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")}
    with ExitStack() as held:
        for gpu in sorted(gpus):  # in one order, so that no two wait for each other
            held.enter_context(FileLock(folder / f"imagepipe-{os.getuid()}-gpu{gpu}.lock"))
        yield


@contextmanager
def freeze_gc() -> Iterator[None]:
    """Exclude what is loaded inside the block from garbage collection, since it stays until the
    process ends.

    Otherwise a sixth of the time to import torch and diffusers would be Python's collector, and
    most of the time to end such a process.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
