"""The parts for jobs side by side: whole GPUs of a machine, or whole nodes of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imagepipe.errors import UserError
from imagepipe.resources.machine import Machine, Node, from_ray

KEY = "sweep.jobs_at_once"
AUTO = "auto"


@dataclass(frozen=True)
class Part:
    """A part of a machine or cluster: `gpus` are GPU numbers on one machine, `nodes` ids in a
    cluster.
    """

    machine: Machine
    gpus: tuple[int, ...] = ()
    nodes: tuple[str, ...] = ()


def of_machine(machine: Machine, count: int) -> list[Part]:
    """`count` equal parts of one machine; what does not divide evenly is left out."""
    [node] = machine.nodes
    cpus, gpus = int(node.cpus) // count, node.gpus // count
    whole = Machine((Node(cpus, gpus, node.memory // count),))
    return [Part(whole, gpus=tuple(range(i * gpus, (i + 1) * gpus))) for i in range(count)]


def of_cluster(nodes: Sequence[Mapping[str, Any]], count: int) -> list[Part]:
    """`count` parts of a cluster; `nodes` are living ones of `ray.nodes()`."""
    able = [node for node in nodes if node["Resources"].get("CPU")]

    def size(node: Mapping[str, Any]) -> tuple[float, float, str]:
        has = node["Resources"]
        return -has.get("GPU", 0), -has["CPU"], node["NodeID"]

    dealt = sorted(able, key=size)
    each = [dealt[number::count] for number in range(count)]
    ids = [tuple(node["NodeID"] for node in those) for those in each]
    return [Part(from_ray(those), nodes=i) for those, i in zip(each, ids, strict=True)]


def most(machine: Machine, *, asked: bool) -> int:
    """The largest number of parts of `machine`: one per GPU if it has some.

    Without GPUs a machine's CPUs can be divided, too, if that is `asked` for.
    """
    if len(machine.nodes) > 1:
        with_gpus = sum(node.gpus > 0 for node in machine.nodes)
        return with_gpus or sum(node.cpus > 0 for node in machine.nodes)
    return machine.gpus or (int(machine.cpus) if asked else 1)


def divided(
    wanted: int | str,
    machine: Machine,
    divide: Callable[[int], list[Part]],
    fits: Callable[[Machine], bool],
    *,
    alike: bool,
) -> list[Part]:
    """The parts for `wanted` jobs side by side; for `auto` as many as have room for a job each
    (`fits`). `alike`: jobs compared by speed need equal parts. Raises UserError if there are not
    so many.
    """
    limit = most(machine, asked=wanted != AUTO)
    if wanted != AUTO:
        count = int(wanted)
        found = divide(count) if count <= limit else []
        if not found or (alike and not _are_alike(found)):
            raise _refused(count, machine, limit, found)
        return found
    for count in range(limit, 1, -1):
        found = divide(count)
        if (_are_alike(found) or not alike) and all(fits(part.machine) for part in found):
            return found
    return divide(1)


def _are_alike(parts: Sequence[Part]) -> bool:
    return len({str(part.machine) for part in parts}) == 1


def _refused(count: int, machine: Machine, limit: int, found: Sequence[Part]) -> UserError:
    whole = "nodes" if len(machine.nodes) > 1 else "GPUs" if machine.gpus else "CPUs"
    uneven = "the nodes are not alike, and jobs are compared by speed"
    return UserError(
        field=KEY,
        value=count,
        problem=uneven if found else f"each job gets whole {whole}, and there are {machine}",
        remedy="Use sweep.objective=score, or fewer." if found else f"At most {limit}.",
    )
