"""The libraries that a run's processes load first, and one process that loads them for all.

On a small machine this takes as long as everything else before the first picture. So it begins as
soon as the configuration is known, while the checks run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from imagepipe.compat.forkserver import forkserver
from imagepipe.compat.ray import starts_workers_by_script
from imagepipe.config import Config
from imagepipe.execution import preflight
from imagepipe.execution.surroundings import environment
from imagepipe.resources.machine import Machine, this_machine
from imagepipe.signals import hangup_is_ours_alone
from imagepipe.stages import engines

if TYPE_CHECKING:
    from imagepipe.config import Scoring

# The pipeline's own, and what Ray loads in each process.
ALWAYS = (
    *("imagepipe.execution.pipeline", "pandas", "pyarrow.dataset"),
    *("click", "jsonschema", "msgpack", "requests", "tqdm.auto", "asyncio", "logging.config"),
    *("google.protobuf.text_format", "google.protobuf.json_format", "google.protobuf.struct_pb2"),
    *("pydantic.main", "pydantic.dataclasses", "pydantic.v1", "starlette.datastructures"),
)


def libraries(config: Config | Scoring) -> list[str]:
    """The libraries that a run's processes need: `module`, or `module:name`."""
    chosen = engines.chosen(config).values()
    return list(dict.fromkeys([*ALWAYS, *(one for e in chosen for one in e.libraries)]))


def can_fork(machine: Machine | None) -> bool:
    """Whether Ray's processes on `machine` can be forked of one that has loaded their libraries.

    None is a cluster, whose processes others start. CUDA does not outlive a fork.
    """
    ours = machine is not None and machine.gpus == 0 and sys.platform == "linux"
    return ours and starts_workers_by_script()


@contextmanager
def loading(config: Config) -> Iterator[str | None]:
    """The script by which the session of a run forks its processes, which load from now on; null
    where they cannot be forked, or a Ray runs here already.

    Raises UserError if Ray could not start on this machine.
    """
    ray = sys.modules.get("ray")
    joins = config.ray.address is not None or (ray is not None and ray.is_initialized())
    machine = None if joins else this_machine(config.ray)
    if machine is None or not can_fork(machine):
        yield None
        return
    with ExitStack() as stack:
        stack.enter_context(environment(preflight.environment(machine)))
        with hangup_is_ours_alone():
            script = stack.enter_context(forkserver(libraries(config), verbose=config.verbose))
        yield script
