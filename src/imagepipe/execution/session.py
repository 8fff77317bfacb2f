"""Ray sessions: started quietly, always stopped, shared by the jobs of a sweep."""

from __future__ import annotations

import atexit
import copy
import gc
import json
import logging
import os
import socket
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import imagepipe
from imagepipe.compat import say_what_is_lost
from imagepipe.compat.forkserver import executable, forkserver
from imagepipe.compat.ray import init, starting
from imagepipe.config import Config, RayOptions
from imagepipe.errors import RunFailed, UserError
from imagepipe.execution import preflight
from imagepipe.execution.loading import can_fork
from imagepipe.execution.nodes import kept_to_nodes
from imagepipe.execution.surroundings import environment, silence_stderr
from imagepipe.resources.machine import Machine, from_ray, object_store_bytes, this_machine
from imagepipe.resources.process import freeze_gc
from imagepipe.signals import defer_signals, hangup_is_ours_alone

CONNECT_S = 10.0  # for a cluster's head to take a connection
ENDING_S = 30.0  # for the processes of a job to go once nothing refers to them
# Processes that Ray keeps for the next task, and for a sweep's next job. Its own number is one a
# CPU, and it ends any other that was idle for a second: on a small machine, where starting one
# takes seconds of all there is, it would end and start some in the middle of a run's start.
IDLE_PROCESSES = 6


@contextmanager
def session(
    options: RayOptions,
    machine: Machine | None,
    libraries: Sequence[str] = (),
    *,
    script: str | None = None,
    verbose: bool,
) -> Iterator[None]:
    """Ray for one run: `machine`'s CPUs and GPUs, or where it is None the Ray at the address.

    Its processes have loaded `libraries` where they can be forked: by the `script` of `loading`,
    or of one process that begins to load them now. Raises UserError if no Ray answers at
    `ray.address`.
    """
    with _ray(options, machine, libraries, verbose, script), _data_context(options, verbose):
        yield


class SharedSession:
    """Ray for one job after another: starting it again takes seconds per job.

    No actor, model or setting goes from one job to the next; idle processes of tasks do. Where a
    job fails, its actors do not end, or nobody can tell (a cluster may have other users), the
    session ends with the job, and with it all that the job left.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._asked: tuple[RayOptions, Machine | None, bool] | None = None

    @contextmanager
    def session(
        self,
        options: RayOptions,
        machine: Machine | None,
        libraries: Sequence[str] = (),
        *,
        verbose: bool,
    ) -> Iterator[None]:
        """As the function `session`, with the Ray that the job before left where it asked alike.

        The libraries are then those of the job that started it; the others are loaded as needed.
        """
        asked = (copy.copy(options), machine, verbose)
        if asked != self._asked:
            self.close()
            self._stack.enter_context(_ray(options, machine, libraries, verbose))
            self._asked = asked
        try:
            with _data_context(options, verbose):
                yield
        except BaseException:  # its traceback may hold the executor, and so the processes
            self.close()
            raise
        gc.collect()  # Ray Data's executor and its actors go with the last reference
        if machine is None or not _all_free():
            self.close()

    def close(self) -> None:
        self._asked = None
        self._stack.close()


def cluster(options: RayOptions) -> Machine:
    """The nodes that the connected cluster has now, among those that the run uses."""
    import ray

    machine = from_ray(ray.nodes(), options.nodes)
    if not machine.nodes:
        raise RunFailed("the Ray cluster has no living node")
    return machine


def is_anothers() -> bool:
    """Whether a Ray runs in this process that no `session` started: it is used and left running."""
    ray = sys.modules.get("ray")
    return ray is not None and ray.is_initialized() and not _started


def started(config: Config, libraries: Sequence[str]) -> Machine:
    """The nodes of the Ray in this process, which is started if there is none.

    It ends with `ray.shutdown()`, or with the process, not with the caller.
    """
    if not is_anothers():
        joins = config.ray.address is not None
        machine = None if joins else this_machine(config.ray)
        _kept.close()
        _kept.enter_context(_ray(config.ray, machine, libraries, config.verbose))
        _started.clear()
        atexit.register(_kept.close)
    return cluster(config.ray)


_started: list[str] = []  # the Ray that a session has started and will end; none or one
_kept = ExitStack()


@contextmanager
def _ray(
    options: RayOptions,
    machine: Machine | None,
    libraries: Sequence[str],
    verbose: bool,
    script: str | None = None,
) -> Iterator[None]:
    if machine is None and is_anothers():
        yield
        return
    if not verbose:
        silence_ray()
    if machine is not None:
        kept_idle = max(IDLE_PROCESSES, int(machine.cpus))
        os.environ.setdefault("RAY_num_workers_soft_limit", str(kept_idle))
        # Ray Data's other choice rounds down the CPUs that its own requests leave: of two it kept
        # 1.45, and for seconds no task was allowed to write.
        os.environ.setdefault("RAY_DATA_CLUSTER_AUTOSCALER", "V2")
    with ExitStack() as stack:
        if machine is not None and script is None:  # whoever loads has checked it, and set it
            stack.enter_context(environment(preflight.environment(machine)))
        say_what_is_lost(verbose)
        with hangup_is_ours_alone(), _plain(options, machine):
            if script is None and can_fork(machine):
                script = stack.enter_context(forkserver(libraries, verbose=verbose))
            if script is not None:
                # Those that Ray starts before it is asked are not forked: nobody would use them.
                os.environ.setdefault("RAY_prestart_worker_first_driver", "0")
            # Ray may lose an interrupt while it starts, and then hangs. A cluster is not ours, and
            # one that is away may be waited for in vain.
            with defer_signals() if machine is not None else nullcontext():
                stack.callback(_init(options, machine, script, verbose))
        stack.callback(_started.clear)
        _started.append("started")
        yield


def _init(
    options: RayOptions, machine: Machine | None, script: str | None, verbose: bool
) -> Callable[[], None]:
    """Start Ray, its workers by `script`, or join it; returns the function that ends it."""
    # Not for a later session: what a failed job left would be kept too.
    with nullcontext() if "ray.data" in sys.modules else freeze_gc():
        import ray
        import ray.data  # sets its log level when it is imported, so before that is set here

    level = logging.INFO if verbose else logging.ERROR
    # Ray Data logs an error with its stack before it raises it; raised, it is told plainly.
    logging.getLogger("ray.data").setLevel(level if verbose else logging.CRITICAL)
    arguments = (
        {"address": options.address, "runtime_env": cluster_runtime_env(options)}
        if machine is None
        else {
            "address": "local",
            "num_cpus": machine.cpus,
            "num_gpus": machine.gpus,
            "object_store_memory": object_store_bytes(options),
            "runtime_env": {"py_executable": executable(script)} if script else None,
        }
    )
    memory = machine.nodes[0].memory if machine is not None else None
    with starting(script, verbose=verbose), nullcontext() if verbose else silence_stderr():
        if machine is None:
            _wait_for_port(str(options.address))
        init(memory, log_to_driver=verbose, logging_level=level, **arguments)
    return ray.shutdown


def silence_ray() -> None:
    """To be called before Ray is imported, because Ray reads it then."""
    # What Ray's C++ core writes to this process's stderr.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    # What Ray prints, in colours, of a try or a process that failed; the last one's error is
    # raised. A line that this matches is left out.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")


def _wait_for_port(address: str) -> None:
    """Raise OSError if nobody listens at HOST:PORT: Ray would wait there silently."""
    host, _, port = address.rpartition(":")
    if host:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()


@contextmanager
def _plain(options: RayOptions, machine: Machine | None) -> Iterator[None]:
    """Say plainly why Ray could not be started, or the cluster not be joined."""
    try:
        yield
    except Exception as error:
        said = " ".join(str(error).split())
        if machine is not None:
            raise RunFailed(preflight.start_message(said, os.environ["RAY_TMPDIR"])) from error
        if isinstance(error, OSError):
            raise UserError(
                field="ray.address",
                value=options.address,
                problem=f"no Ray cluster answers there ({said})",
                remedy="Start one with: ray start --head. Or use ray=local. Where it asks for a "
                "token, as it does where there was one in ~/.ray, set RAY_AUTH_MODE=token.",
            ) from error
        if "Version mismatch" in said:
            raise UserError(
                field="ray.address",
                value=options.address,
                problem=f"the cluster runs another Ray or Python. {said}",
                remedy="Install the cluster's versions here, or submit the run as a job (ray job "
                "submit), which runs there",
            ) from error
        raise


def cluster_runtime_env(options: RayOptions) -> dict[str, Any]:
    """The runtime environment of a cluster's processes: this package, with its embedded models.

    So a cluster that has only the packages that imagepipe needs, or another version of it, runs
    the code that is here. What the user asks for goes beside it. Where a submitted job brings
    modules of its own, Ray allows no others, and imagepipe must be among them.
    """
    asked = dict(options.runtime_env)
    job = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}"))
    if (job.get("runtime_env") or {}).get("py_modules"):
        return asked
    package = str(Path(imagepipe.__file__).parent)
    excludes = ["__pycache__", *asked.pop("excludes", [])]
    modules = [package, *asked.pop("py_modules", [])]
    return {"py_modules": modules, "excludes": excludes, **asked}


@contextmanager
def _data_context(options: RayOptions, verbose: bool) -> Iterator[None]:
    """Ray Data's settings for one run; they live longer than Ray itself, so they are reset."""
    from ray.data import DataContext

    context = copy.copy(DataContext.get_current())
    context.enable_progress_bars = verbose
    context.print_on_execution_start = verbose
    if options.nodes:
        context.execution_options = kept_to_nodes(context.execution_options, options.nodes)
    with DataContext.current(context), warnings.catch_warnings():
        if not verbose:
            warnings.filterwarnings("ignore", module=r"ray\.")
        yield


def _all_free() -> bool:
    """Whether all CPUs and GPUs of the session are free again, within `ENDING_S`."""
    import ray

    whole = ray.cluster_resources()
    until = time.monotonic() + ENDING_S
    while time.monotonic() < until:
        free = ray.available_resources()
        if all(free.get(name, 0) >= whole.get(name, 0) - 1e-3 for name in ("CPU", "GPU")):
            return True
        time.sleep(0.05)
    return False
