"""The Ray of this process of pytest, and which of its files use it."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from functools import cache
from pathlib import Path

_open = ExitStack()


@cache
def uses(file: Path) -> bool:
    return "ray_session" in file.read_text("utf-8")


def start() -> None:
    """On two CPUs, quiet; imagepipe starts it, so that its processes are forked of one that has
    loaded what they import.
    """
    from helpers.configs import composed

    from imagepipe.execution.loading import libraries
    from imagepipe.execution.session import SharedSession
    from imagepipe.resources.machine import this_machine

    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
        return
    shared = SharedSession()
    _open.callback(_set, dict(os.environ))
    _open.callback(shared.close)
    config = composed("ray.num_cpus=2", "llm=none", "model=noop", "scorer=none")
    with shared.session(config.ray, this_machine(config.ray), libraries(config), verbose=False):
        pass  # it stays for whoever is next


def _set(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)


def end() -> None:
    _open.close()
