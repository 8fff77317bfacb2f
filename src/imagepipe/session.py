"""The Ray session of a run: started quiet, ended whatever happens."""

from __future__ import annotations

import copy
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from imagepipe.config import RayOptions
from imagepipe.errors import RunFailed, UserError
from imagepipe.machine import Machine, from_ray


@contextmanager
def session(options: RayOptions, machine: Machine | None, *, verbose: bool) -> Iterator[None]:
    """Ray with `machine`'s CPUs and GPUs, or where `machine` is None the one at the address.

    Raises UserError where no Ray answers at `ray.address`. Ray Data's context is put back
    afterwards: it outlives a session and would leak into the next run of this process.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not verbose:  # what Ray's C++ core writes to this process's stderr
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray
    from ray.data import DataContext

    level = logging.INFO if verbose else logging.ERROR
    logging.getLogger("ray.data").setLevel(level)
    store = options.object_store_gb
    arguments = (
        {"address": options.address}
        if machine is None
        else {
            "address": "local",
            "num_cpus": machine.cpus,
            "num_gpus": machine.gpus,
            "_memory": machine.nodes[0].memory,
            "include_dashboard": False,
            "object_store_memory": int(store * 1e9) if store else None,
        }
    )
    try:
        with nullcontext() if verbose else _silent_stderr():
            ray.init(log_to_driver=verbose, logging_level=level, **arguments)
    except ConnectionError as error:
        raise UserError(
            field="ray.address",
            value=options.address,
            problem=f"no Ray cluster answers there ({error})",
            remedy="Start one with: ray start --head. Or use ray=local.",
        ) from error
    before = copy.copy(DataContext.get_current())
    context = copy.copy(before)
    context.enable_progress_bars = verbose
    context.print_on_execution_start = verbose
    context.wait_for_min_actors_s = int(options.start_timeout_s)
    DataContext._set_current(context)
    try:
        with warnings.catch_warnings():
            if not verbose:
                warnings.filterwarnings("ignore", module=r"ray\.")
            yield
    finally:
        DataContext._set_current(before)
        ray.shutdown()


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Ray's C++ core announces its log level on stderr, below Python's streams.

    What goes wrong while Ray starts is raised, not printed, so nothing is lost.
    """
    before = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(nowhere)


def cluster() -> Machine:
    """The nodes that the connected cluster has now."""
    import ray

    machine = from_ray(ray.nodes())
    if not machine.nodes:
        raise RunFailed("the Ray cluster has no living node")
    return machine
