"""Private names of Ray: how it starts on this machine."""

from __future__ import annotations

import pkgutil
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from imagepipe.compat import find, find_file, find_option

NOT_FORKED = "Each process imports its libraries by itself: a run starts later."
IDLE = {
    "start_monitor": "Ray starts an autoscaler, which can add no machine here: a second more.",
    "start_api_server": "Ray starts the server of a dashboard that is not there: a second more.",
}
LOGS = {"start_log_monitor": "Ray reads logs that nobody is shown: a later start."}
OWN_SIGTERM = "SIGTERM ends the command without a word while Ray starts."
OWN_MEMORY = (
    "Ray gives processes the memory that is free when it starts: with resources.*.memory_gb fewer "
    "may start than fit."
)


def starts_workers_by_script() -> bool:
    """Whether Ray starts its workers by a script that another can stand in for.

    Told without importing Ray: that takes a second, in which what they need can be loaded.
    """
    return find_file("ray", "_private/workers/setup_worker.py", NOT_FORKED) is not None


@contextmanager
def starting(script: str | None, *, verbose: bool) -> Iterator[None]:
    """The Ray that is started meanwhile starts its workers by `script`, or in its own way.

    It leaves SIGTERM alone, on which it would end this process without a word. And it is without
    processes that do nothing here, which take a second of CPU to start and are given another to
    end. Ray has no setting for any of it. It joins the name of its own script to a folder, so that
    a whole path replaces both.
    """
    constants, node = "ray._private.ray_constants", "ray._private.node:Node"
    before = signal.getsignal(signal.SIGTERM)
    with ExitStack() as stack:
        if script is not None:
            stack.enter_context(_replaced(constants, "SETUP_WORKER_FILENAME", script, NOT_FORKED))
        for name, lost in (IDLE if verbose else IDLE | LOGS).items():
            stack.enter_context(_replaced(node, name, lambda *_, **__: None, lost))
        utils, handler = "ray._private.utils", "set_sigterm_handler"
        stack.enter_context(_replaced(utils, handler, lambda _: None, OWN_SIGTERM))
        try:
            yield
        finally:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, before)


def init(memory: int | None, **arguments: Any) -> None:
    """`ray.init`, whose processes may have `memory` bytes together; null leaves that to Ray."""
    import ray

    option = None if memory is None else find_option(ray.init, "_memory", OWN_MEMORY)
    ray.init(**({option: memory} if option else {}), **arguments)


@contextmanager
def _replaced(owner: str, name: str, value: object, lost: str) -> Iterator[None]:
    before = find(owner, name, lost)
    if before is None:
        yield
        return
    holder = pkgutil.resolve_name(owner)
    setattr(holder, name, value)
    try:
        yield
    finally:
        setattr(holder, name, before)
