"""How many processes of a stage can do useful work: each needs a thread, and memory for its
weights.

Ray only counts, so it would also accept fifty processes with 0.01 CPU each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pkgutil import resolve_name
from typing import Any

from imagepipe.config import Config, Resources
from imagepipe.errors import UserError, figure
from imagepipe.resources.division import choose
from imagepipe.resources.machine import Machine
from imagepipe.resources.packing import Pools
from imagepipe.resources.workload import Workload
from imagepipe.stages import engines
from imagepipe.stages.engine import Engine
from imagepipe.stages.weights import size_gb


@dataclass(frozen=True)
class Most:
    """The largest useful pool, and why no larger one is."""

    pool: int
    why: str


def check(config: Config, resources: Resources, machine: Machine) -> None:
    """Raise UserError for a pool of which a part could do nothing, or for a process with more
    GPUs than its engine uses; it names the largest useful value.
    """
    if found := list(_idle(config, resources, machine)):
        key, value, _, problem = found[0]
        raise UserError(
            field=key,
            value=f"{value:g}",
            problem=problem,
            remedy=f"Try {' '.join(f'{key}={most:g}' for key, _, most, _ in found)}.",
        )


def _idle(
    config: Config, resources: Resources, machine: Machine
) -> Iterator[tuple[str, float, float, str]]:
    """A value that is too large to be useful: its key, the value, the largest useful one, and
    why.
    """
    for stage, engine in engines.chosen(config).items():
        share = resources.share(stage)
        if _uses_one_gpu(engine) and share.num_gpus > 1:
            why = "each process uses one GPU, and the others would stand idle"
            yield f"{resources.key(stage)}.num_gpus", share.num_gpus, 1, why
    least: dict[str, Most] = {}
    for stage, most in _limits(config, machine):
        least[stage] = min(most, least.get(stage, most), key=lambda one: one.pool)
    for stage, most in least.items():
        for key in ("pool", "pool_max"):
            given = getattr(resources.share(stage), key) or 0
            if given > most.pool:
                yield f"{resources.key(stage)}.{key}", given, most.pool, most.why


def _uses_one_gpu(engine: Engine) -> bool:
    return engine.weights and not (engine.processor or engine.spreads)


def clipped(config: Config, machine: Machine, pools: Pools) -> Pools:
    """`pools` without processes and GPUs that would do nothing."""
    made = dict(pools)
    for stage, most in _limits(config, machine):
        made[stage] = replace(made[stage], pool=min(made[stage].pool, most.pool))
    for stage, engine in engines.chosen(config).items():
        if _uses_one_gpu(engine) and stage in made:
            made[stage] = replace(made[stage], num_gpus=min(made[stage].num_gpus, 1.0))
    return made


def chosen(config: Config, load: Workload, machine: Machine) -> tuple[Resources, tuple[str, ...]]:
    """As `division.choose`, with no more processes than have room for their weights; and a line for
    each stage that has fewer for that.
    """
    requested, reasons = load.requested, []
    free = choose(load, requested, machine)
    for stage, most in _limits(config, machine):
        share, pool = requested.share(stage), free.share(stage).pool
        if requested.auto and not share.pool and pool > most.pool:
            reasons.append(f"{stage}: {most.pool} of {pool}; {most.why}")
            requested = requested.changed({stage: replace(share, pool=most.pool)})
    return (choose(load, requested, machine) if reasons else free), tuple(reasons)


def _limits(config: Config, machine: Machine) -> Iterator[tuple[str, Most]]:
    """For the stages whose processes compute here with imagepipe's own code."""
    threads = max(1, int(machine.cpus))
    for stage, engine in engines.chosen(config).items():
        if not engine.actors or engine.waits or engine.is_custom:
            continue
        yield stage, Most(threads, f"each process needs a thread of its own, of {threads} here")
        if machine.gpus or not engine.weights:
            continue
        gb = weights_gb(config.sections[stage], engine, machine)
        memory = sum(node.memory for node in machine.nodes) / 1e9
        if gb and memory:
            room = sum(int(node.memory / 1e9 / gb) for node in machine.nodes)
            why = f"the weights of each process need {figure(gb)} GB, of {figure(memory)} here"
            yield stage, Most(max(1, room), why)


def weights_gb(section: Any, engine: Engine, machine: Machine) -> float | None:
    """GB (1e9 bytes) of a process's weights; null if unknown. `section` is that of `engine`."""
    if engine.memory is None:
        return size_gb(section.path, section.revision)
    found: float | None = resolve_name(f"{engine.memory}:weights_gb")(section, machine.gpus > 0)
    return found
