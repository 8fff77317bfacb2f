"""Shares that do not fit the machine: which one is too large, and what would fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from imagepipe.config import Resources, Share
from imagepipe.errors import UserError, figure
from imagepipe.resources.division import choose, fits_machine
from imagepipe.resources.machine import GIB, Machine
from imagepipe.resources.packing import CPUS_FOR_TASKS, Misfit, Pools, candidates, free_cpus, pack
from imagepipe.resources.workload import Workload

CUT = ("pool", "num_cpus", "num_gpus", "memory_gb")  # what a refusal may name less of


def check(
    load: Workload, resources: Resources, machine: Machine, clipped: Callable[[Pools], Pools]
) -> None:
    """Raise UserError if `resources` do not fit the machine, naming what would.

    `clipped` cuts pools to what is useful.
    """
    wanted = load.pools(resources)
    packed = pack(wanted, machine)
    misfit = packed if isinstance(packed, Misfit) else sink_misfit(resources.sink, machine)
    if not misfit:
        return
    fits = _nearest(load, clipped(wanted), machine)
    changes = list(_changes(load.requested, fits)) if fits else []
    key = resources.key(misfit.stage)
    field = f"{key}.{misfit.key}"
    value, problem = getattr(resources.share(misfit.stage), misfit.key), misfit.problem
    if changes and not getattr(load.requested.share(misfit.stage), misfit.key):
        field, value, _ = changes[0]  # the other was chosen, beside this one
        if not field.startswith(key):
            problem = f"leaves too little for the {misfit.stage}: {problem}"
    remedy = " ".join(["Try", *(f"{key}={less:g}" for key, _, less in changes)])
    otherwise = "" if resources.auto else ", or resources=auto"
    raise UserError(
        field=field,
        value=value,
        problem=problem,
        remedy=f"{remedy if changes else 'Use a larger machine'}{otherwise}.\n"
        f"{_table(wanted, machine)}",
    )


def sink_misfit(share: Share, machine: Machine) -> Misfit | None:
    """Writing is done by tasks, with the CPUs that the other stages leave."""
    room = _room_to_write(machine)
    if share.num_cpus <= room:
        return None
    problem = f"the other stages leave at most {room:g} CPU to a task that writes"
    return Misfit("sink", "num_cpus", problem)


def _room_to_write(machine: Machine) -> float:
    return machine.cpus - free_cpus(machine)


def _nearest(load: Workload, wanted: Pools, machine: Machine) -> Resources | None:
    """The requested shares with the smallest changes that make `wanted` fit.

    What they leave to `auto` stays open, and is chosen again for each change.
    """
    given = load.requested
    sink = replace(given.sink, num_cpus=min(given.sink.num_cpus, _room_to_write(machine)))
    for shares in candidates(wanted, machine):
        cut = {stage: _cut(given.share(stage), share) for stage, share in shares.items()}
        changed = given.changed({**cut, "sink": sink})
        if fits_machine(load, choose(load, changed, machine), machine):
            return changed
    return None


def _cut(given: Share, fits: Share) -> Share:
    less: dict[str, Any] = {key: min(getattr(given, key), getattr(fits, key)) for key in CUT}
    return replace(given, custom=fits.custom, **less)


def _changes(requested: Resources, fits: Resources) -> Iterator[tuple[str, float, float]]:
    """The keys to override to turn `requested` into `fits`, with old and new values."""
    for stage, share in requested.shares().items():
        less, at = fits.share(stage), requested.key(stage)
        for key in CUT:
            if getattr(less, key) != getattr(share, key):
                yield f"{at}.{key}", getattr(share, key), getattr(less, key)
        for name, amount in less.custom.items():
            if amount != share.custom[name]:
                yield f"{at}.custom.{name}", share.custom[name], amount


def _table(wanted: Pools, machine: Machine) -> str:
    lines = ["  requested:"]
    for stage, share in wanted.items():
        more = "".join(f", {amount:g} {name}" for name, amount in share.custom.items())
        memory = f", {share.memory_gb:g} GiB" if share.memory_gb else ""
        lines.append(
            f"    {stage}: {share.pool} x {share.num_cpus:g} CPUs, {share.num_gpus:g} GPUs"
            f"{memory}{more}"
        )
    lines.append(f"    reading and writing: {CPUS_FOR_TASKS:g} CPU (half of a smaller machine)")
    lines.append("  there:")
    for number, node in enumerate(machine.nodes):
        more = "".join(f", {amount:g} {name}" for name, amount in node.custom.items())
        memory = f", {figure(node.memory / GIB)} GiB" if node.memory else ""
        lines.append(f"    node {number}: {node.cpus:g} CPUs, {node.gpus:g} GPUs{memory}{more}")
    return "\n".join(lines)
