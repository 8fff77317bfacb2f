"""Whether all processes of a run fit on the nodes, and if not, which settings would.

Ray waits silently for what it can never place. So the processes are packed here first, as Ray would
do it: a process on one node, a share of a GPU on one GPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from imagepipe.config import Share
from imagepipe.errors import figure
from imagepipe.resources.machine import GIB, Machine, Node

# What the tasks that read, join and write need: nothing moves while actors hold every CPU.
CPUS_FOR_TASKS = 1.0
LEAST_CPUS = 0.1  # sooner than to cut a process's share below it, there are fewer processes
_ROUNDING = 1e-9

Pools = dict[str, Share]


@dataclass(frozen=True)
class Placed:
    """One process of a pool, with its node and its GPUs there."""

    stage: str
    node: int
    gpus: tuple[int, ...]


@dataclass(frozen=True)
class Misfit:
    """The first process that does not fit. `key` is the field of its share that is too large."""

    stage: str
    key: str
    problem: str


class _Room:
    """What is free on a node while it is filled."""

    def __init__(self, number: int, node: Node) -> None:
        self.number, self.node = number, node
        self.cpus = node.cpus
        self.memory = float(node.memory)
        self.gpus = [1.0] * node.gpus
        self.custom = dict(node.custom)

    def place(self, share: Share) -> tuple[int, ...] | None:
        """The GPUs that a process of `share` gets here, or None if it does not fit."""
        gpus = self._free_gpus(share.num_gpus)
        memory = share.memory_gb * GIB
        if gpus is None or self.cpus + _ROUNDING < share.num_cpus or self.memory < memory:
            return None
        if any(self.custom.get(name, 0) < amount for name, amount in share.custom.items()):
            return None
        self.cpus -= share.num_cpus
        self.memory -= memory
        for gpu in gpus:
            self.gpus[gpu] -= min(1.0, share.num_gpus)
        for name, amount in share.custom.items():
            self.custom[name] = self.custom.get(name, 0) - amount
        return gpus

    def _free_gpus(self, requested: float) -> tuple[int, ...] | None:
        if not requested:
            return ()
        each, count = min(1.0, requested), max(1, math.ceil(requested))
        free = [i for i, left in enumerate(self.gpus) if left + _ROUNDING >= each]
        return tuple(free[:count]) if len(free) >= count else None


def pack(pools: Pools, machine: Machine) -> list[Placed] | Misfit:
    """A place for every process, largest first; or the first that does not fit.

    `CPUS_FOR_TASKS` (half of them on a smaller machine) stay free.
    """
    for stage, share in pools.items():
        misfit = _alone(stage, share, machine)
        if misfit:
            return misfit
    rooms = [_Room(i, node) for i, node in enumerate(machine.nodes)]
    placed = []
    for stage, share in sorted(pools.items(), key=_size, reverse=True):
        for number in range(share.pool):
            place = _first(rooms, share, stage)
            if place is None:
                return _crowded(stage, share, number, machine)
            placed.append(place)
    held = sum(share.num_cpus * share.pool for share in pools.values())
    if held > free_cpus(machine) + _ROUNDING:
        return Misfit(
            max(pools, key=lambda stage: pools[stage].num_cpus * pools[stage].pool),
            "num_cpus",
            f"all processes together hold {held:g} CPUs, and beside the tasks that read and write "
            f"only {free_cpus(machine):g} of {machine.cpus:g} are free",
        )
    return placed


def free_cpus(machine: Machine) -> float:
    """The CPUs that processes may hold during the whole run."""
    return machine.cpus - min(CPUS_FOR_TASKS, machine.cpus / 2)


def candidates(pools: Pools, machine: Machine) -> Iterator[Pools]:
    """`pools` changed more and more, until they fit where the machine has room at all.

    Each share is first cut to what a node has, then all CPU shares are scaled, then those of the
    GPUs, then the largest pools shrink.
    """
    changed = {stage: _clipped(share, machine) for stage, share in pools.items()}
    yield changed
    cpus = scaled_cpus(changed, machine)
    yield cpus
    for parts in range(2, 11):
        yield {s: _gpu_at_most(share, math.floor(100 / parts) / 100) for s, share in cpus.items()}
    while any(share.pool > 1 for share in changed.values()):
        largest = max(changed, key=lambda stage: changed[stage].pool)
        changed[largest] = replace(changed[largest], pool=changed[largest].pool - 1)
        yield dict(changed)
        yield scaled_cpus(changed, machine)
    for parts in range(2, 11):
        limit = math.floor(100 / parts) / 100
        least = {stage: _gpu_at_most(share, limit) for stage, share in changed.items()}
        yield scaled_cpus(least, machine)


def _clipped(share: Share, machine: Machine) -> Share:
    gpus = min(share.num_gpus, max(node.gpus for node in machine.nodes))
    memory = max(node.memory for node in machine.nodes) / max(1, share.pool) / GIB
    return replace(
        share,
        num_cpus=min(share.num_cpus, max(node.cpus for node in machine.nodes)),
        num_gpus=gpus if gpus <= 1 else float(int(gpus)),
        memory_gb=min(share.memory_gb, math.floor(10 * memory / 2) / 10),
        custom={name: min(a, _most(machine, name)) for name, a in share.custom.items()},
    )


def scaled_cpus(pools: Pools, machine: Machine) -> Pools:
    """`pools` with the part of their CPU shares above LEAST_CPUS reduced alike, if their sum
    exceeds what is free.
    """
    least = {stage: min(LEAST_CPUS, share.num_cpus) for stage, share in pools.items()}
    kept = sum(least[stage] * share.pool for stage, share in pools.items())
    more = sum(share.num_cpus * share.pool for share in pools.values()) - kept
    factor = min(1.0, max(0.0, free_cpus(machine) - kept) / more) if more > 0 else 1.0
    return {
        stage: replace(share, num_cpus=_cut(share.num_cpus, least[stage], factor))
        for stage, share in pools.items()
    }


def _cut(share: float, least: float, factor: float) -> float:
    """In hundredths and rounded down, so that the sum never exceeds what is free."""
    return max(least, math.floor(100 * (least + factor * (share - least)) + _ROUNDING) / 100)


def _gpu_at_most(share: Share, limit: float) -> Share:
    return replace(share, num_gpus=min(share.num_gpus, limit))


def _alone(stage: str, share: Share, machine: Machine) -> Misfit | None:
    """Why not even one process of this pool fits."""
    nodes = machine.nodes
    requested = {
        "num_cpus": (share.num_cpus, max(node.cpus for node in nodes), "CPUs"),
        "num_gpus": (share.num_gpus, max(node.gpus for node in nodes), "GPUs"),
        "memory_gb": (share.memory_gb, max(node.memory for node in nodes) / GIB, "GiB of memory"),
    }
    for key, (wanted, most, what) in requested.items():
        if wanted > most + _ROUNDING:
            return Misfit(
                stage, key, f"no machine here has {wanted:g} {what}; at most {figure(most)}"
            )
    for name, amount in share.custom.items():
        most = _most(machine, name)
        if amount > most:
            problem = f"no machine here has {amount:g} of the resource {name!r}; at most {most:g}"
            return Misfit(stage, "custom", problem)
    if share.num_gpus > 1 and share.num_gpus != int(share.num_gpus):
        return Misfit(stage, "num_gpus", "Ray gives a part of one GPU, or whole ones")
    return None


def _most(machine: Machine, custom: str) -> float:
    return max(node.custom.get(custom, 0.0) for node in machine.nodes)


def _crowded(stage: str, share: Share, number: int, machine: Machine) -> Misfit:
    key = "num_gpus" if share.num_gpus else "memory_gb" if share.memory_gb else "num_cpus"
    straddle = "; a share cannot straddle two GPUs" if 0 < share.num_gpus < 1 else ""
    return Misfit(
        stage,
        key,
        f"only {number} of its {share.pool} processes fit on {machine} beside the other "
        f"stages{straddle}",
    )


def _first(rooms: list[_Room], share: Share, stage: str) -> Placed | None:
    for room in rooms:
        gpus = room.place(share)
        if gpus is not None:
            return Placed(stage, room.number, gpus)
    return None


def _size(pool: tuple[str, Share]) -> tuple[float, ...]:
    share = pool[1]
    return (share.num_gpus, share.num_cpus, share.memory_gb)
