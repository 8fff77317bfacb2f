"""How `auto` divides a machine among the stages, around shares that are set by hand."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import replace

from imagepipe.config import Resources, Share
from imagepipe.resources.machine import Machine
from imagepipe.resources.packing import Misfit, Pools, free_cpus, pack
from imagepipe.resources.workload import Workload


def choose(load: Workload, requested: Resources, machine: Machine) -> Resources:
    """With `auto` one model process per core (or per GPU), and the other stages beside them.

    Two processes with one thread draw faster than one with two, and a process without a full batch
    of rows would only cost its start. What is set by hand (not 0) stays, and the others share the
    rest; if that is too little, there are fewer processes.
    """
    if not requested.auto:
        return requested
    batches = math.ceil(load.rows / requested.model.batch_size)
    best = 1 if "model" in load.waiting else machine.gpus or max(1, int(machine.cpus))
    most = pool(requested.model, min(best, batches))

    def fits(model: int) -> bool:
        return fits_machine(load, _divide(load, requested, machine, model), machine)

    model = most
    if not fits(most):
        model -= bisect_left(range(most), True, key=lambda fewer: fits(most - fewer))
    return _divide(load, requested, machine, model or most)


def fits_machine(load: Workload, resources: Resources, machine: Machine) -> bool:
    return not isinstance(pack(load.pools(resources), machine), Misfit)


def _divide(load: Workload, requested: Resources, machine: Machine, model: int) -> Resources:
    """`requested`, completed for `model` drawing processes where it leaves values open."""
    beside = max(1, model // 4) if "model" in load.pooled else model
    best = {"model": model} | dict.fromkeys(load.waiting - {"model"}, 1)
    shares = {
        stage: replace(share, pool=pool(share, best.get(stage, beside)))
        for stage, share in load.pools(requested).items()
    }
    held = sum(share.num_cpus * share.pool for share in shares.values())
    needy = {s: share for s, share in shares.items() if share.num_gpus or s not in load.waiting}
    cpus = _cpus_each(needy, held, machine)
    gpus = _gpus_each(load, needy, machine)
    chosen = shares | {
        stage: replace(share, num_cpus=share.num_cpus or cpus, num_gpus=gpus.get(stage, 0.0))
        for stage, share in needy.items()
    }
    return requested.changed(chosen)


def pool(share: Share, best: int) -> int:
    """The number set by hand, or `best`, but never more than allowed."""
    return share.pool or min(best, share.pool_max or best)


def _cpus_each(shares: Pools, held: float, machine: Machine) -> float:
    """The CPUs for each process without a number of its own; the others together hold `held`.

    In hundredths and rounded down, so that the sum never exceeds what is free.
    """
    processes = sum(share.pool for share in shares.values() if not share.num_cpus)
    free = (free_cpus(_after_a_loss(machine)) - held) / max(1, processes)
    # All of them may sit on one node with GPUs, but on each of its GPUs only so many.
    everyone = sum(share.pool for share in shares.values())
    a_gpu = sum(_on_a_gpu(shares, machine).values())
    there = [n.cpus / min(everyone, n.gpus * a_gpu) for n in machine.nodes if n.gpus]
    return math.floor(100 * max(0.01, min(1.0, free, *there))) / 100


def _gpus_each(load: Workload, shares: Pools, machine: Machine) -> dict[str, float]:
    """The part of a GPU for a process of each stage: what is given by hand, or of the rest by
    `load.gpu_parts`.

    What is given is counted on every GPU, unless it fills them or no stage has a process for each
    of them: then there is one without it.
    """
    by_hand = {stage: share.num_gpus for stage, share in shares.items() if share.num_gpus}
    if not machine.gpus:
        return by_hand
    on_a_gpu = _on_a_gpu(shares, machine)
    left = 1 - sum(on_a_gpu[stage] * share for stage, share in by_hand.items())
    everywhere = max(share.pool for share in shares.values()) >= machine.gpus
    counted = by_hand if everywhere and left > 0 else {}
    left = left if counted else 1.0
    parts = sum(load.gpu_parts[stage] * on_a_gpu[stage] for stage in shares if stage not in counted)
    return by_hand | {
        stage: math.floor(100 * max(0.01, left * load.gpu_parts[stage] / parts)) / 100
        for stage in shares
        if stage not in by_hand and load.gpu_parts[stage]
    }


def _on_a_gpu(shares: Pools, machine: Machine) -> dict[str, int]:
    """How many processes of each stage share one GPU; empty without GPUs."""
    gpus = machine.gpus
    return {stage: math.ceil(share.pool / gpus) for stage, share in shares.items() if gpus}


def _after_a_loss(machine: Machine) -> Machine:
    """What is left after the loss of the largest node: its processes start again on the others,
    and must leave CPUs there for the tasks that write.
    """
    rest = Machine(tuple(sorted(machine.nodes, key=lambda node: node.cpus)[:-1]))
    return rest if rest.cpus else machine
