"""Who gets which share of the machine: what is there, what `auto` chooses, and whether it fits.

Ray only counts shares. `bind` makes a stage's process keep to its own.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from imagepipe.config import STAGES, Config, Resources, Share
from imagepipe.errors import UserError
from imagepipe.resources.machine import GIB, Machine
from imagepipe.resources.packing import CPUS_FOR_TASKS, Misfit, Pools, candidates, free_cpus, pack
from imagepipe.resources.tuning import Calibration, choose
from imagepipe.stages import engines

# How `auto` divides a GPU among the stages that a run has. More than half of it for the model: Ray
# fills a GPU up before it begins another, and would put two halves on one.
GPU_PARTS = {"llm": 4, "model": 7, "scorer": 2}
WRITE_BYTES = 128 << 20  # Ray Data's own target for a block
BLOCK_BYTES = 8 << 20  # of raw pictures that a process hands on at a time
# Ray Data starts no task whose output may not fit: of each it expects two blocks. So a process that
# works on one block while the next waits needs four, and as many may wait behind it.
BLOCKS_OF_A_PROCESS = 8
BLOCKS_OF_A_WRITER = 1  # written, or waiting for the other writer of that CPU
# Ray Data looks ten times a second what is done. A writer that is through waits for that, and
# another of the same CPU has something to write meanwhile.
WRITERS_A_CPU = 2
WRITER_CPUS = 0.12
MOST_ROWS = 4096  # in a block, however small the pictures
CUT = ("pool", "num_cpus", "num_gpus", "memory_gb")  # what a refusal may name less of


def resolve(
    config: Config, machine: Machine, rows: int, measured: Calibration | None = None
) -> tuple[Resources, str]:
    """The shares to run with, checked to fit, and what they are and why.

    That is one line, and where the shares follow from a calibration its reasons in further lines.
    Raises UserError where they do not fit the machine, naming what would.
    """
    reasons: tuple[str, ...] = ()
    chosen = _choose(config, config.resources, machine, rows)
    if measured:
        choice = choose(dict(pools(config, chosen)), machine, rows, measured)
        shares: dict[str, Any] = choice.pools
        chosen, reasons = replace(chosen, **shares), choice.reasons
    if chosen.rows_per_block is None:
        chosen = replace(chosen, rows_per_block=_rows_per_block(config, chosen, rows))
    chosen = replace(chosen, sink=_writers(config, chosen, machine))
    _check_fits(config, chosen, machine, rows)
    said = ", ".join(_describe(stage, share) for stage, share in pools(config, chosen))
    why = "chosen for" if config.resources.auto else "as configured, on"
    return chosen, "\n".join([f"{said or 'no actors'} ({why} {machine})", *reasons])


def pools(config: Config, resources: Resources) -> Iterator[tuple[str, Share]]:
    """The stages that run as actors, with their shares."""
    for stage, engine in engines.chosen(config).items():
        if engine.actors:
            yield stage, getattr(resources, stage)


def _choose(config: Config, asked: Resources, machine: Machine, rows: int) -> Resources:
    """With `auto` one model process a core (a GPU where there are some), the others beside them.

    Two one-thread processes draw faster than one with two threads, and a process for which there
    is not a batch of rows would only cost its start. What is given by hand (not 0) stays, and the
    others share what it leaves: where that is too little there are fewer processes.
    """
    if not asked.auto:
        return asked
    batches = math.ceil(rows / asked.model.batch_size)
    most = _pool(asked.model, min(machine.gpus or max(1, int(machine.cpus)), batches))

    def fits(model: int) -> bool:
        return _fits(config, _divide(config, asked, machine, model), machine)

    model = most
    if not fits(most):
        model -= bisect_left(range(most), True, key=lambda fewer: fits(most - fewer))
    return _divide(config, asked, machine, model or most)


def _fits(config: Config, resources: Resources, machine: Machine) -> bool:
    return not isinstance(pack(dict(pools(config, resources)), machine), Misfit)


def _divide(config: Config, asked: Resources, machine: Machine, model: int) -> Resources:
    """`asked` with a place for `model` processes that draw, as far as it leaves that open."""
    waiting = {stage for stage, engine in engines.chosen(config).items() if engine.waits}
    beside = max(1, model // 4)
    best = {"llm": beside, "model": model, "scorer": beside} | dict.fromkeys(waiting, 1)
    shares = {
        stage: replace(share, pool=_pool(share, best[stage]))
        for stage, share in pools(config, asked)
    }
    held = sum(share.num_cpus * share.pool for share in shares.values())
    needy = {s: share for s, share in shares.items() if share.num_gpus or s not in waiting}
    cpus = _cpus_each(needy, held, machine)
    gpus = _gpus_each(needy, machine)
    chosen: dict[str, Any] = shares | {
        stage: replace(share, num_cpus=share.num_cpus or cpus, num_gpus=gpus.get(stage, 0.0))
        for stage, share in needy.items()
    }
    return replace(asked, **chosen)


def _pool(share: Share, best: int) -> int:
    """What is given by hand, or `best`, but never more than there may be."""
    return share.pool or min(best, share.pool_max or best)


def _cpus_each(shares: Pools, held: float, machine: Machine) -> float:
    """CPUs for each process that is given none, where those that are given some hold `held`.

    In hundredths and rounded down, so that the sum never exceeds what is free.
    """
    processes = sum(share.pool for share in shares.values() if not share.num_cpus)
    free = (free_cpus(_after_a_loss(machine)) - held) / max(1, processes)
    # All of them may sit on one node with GPUs, but on each of its GPUs only so many.
    everyone = sum(share.pool for share in shares.values())
    a_gpu = sum(_on_a_gpu(shares, machine).values())
    there = [n.cpus / min(everyone, n.gpus * a_gpu) for n in machine.nodes if n.gpus]
    return math.floor(100 * max(0.01, min(1.0, free, *there))) / 100


def _gpus_each(shares: Pools, machine: Machine) -> dict[str, float]:
    """The part of a GPU for a process of each stage: what is given by hand, or of the rest by
    GPU_PARTS.

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
    parts = sum(GPU_PARTS[stage] * on_a_gpu[stage] for stage in shares if stage not in counted)
    return by_hand | {
        stage: math.floor(100 * max(0.01, left * GPU_PARTS[stage] / parts)) / 100
        for stage in shares
        if stage not in by_hand
    }


def _on_a_gpu(shares: Pools, machine: Machine) -> dict[str, int]:
    """Of each stage how many processes have to sit on one GPU; empty where there is none."""
    gpus = machine.gpus
    return {stage: math.ceil(share.pool / gpus) for stage, share in shares.items() if gpus}


def _after_a_loss(machine: Machine) -> Machine:
    """What is left when the largest node is lost: its processes start again on the others, and
    must not hold every CPU there, or no task writes what they draw.
    """
    rest = Machine(tuple(sorted(machine.nodes, key=lambda node: node.cpus)[:-1]))
    return rest if rest.cpus else machine


def bytes_on_their_way(config: Config, resources: Resources) -> int:
    """What the object store holds of a run's rows at most, however many there are.

    Ray Data would fill half of the store with pictures that wait for their writers.
    """
    shares = [share for _, share in pools(config, resources)]
    processes = sum(share.pool_max or share.pool for share in shares)
    blocks = BLOCKS_OF_A_PROCESS * max(1, processes) + BLOCKS_OF_A_WRITER * resources.sink.pool
    rows = max([resources.rows_per_block or 1, *(share.batch_size for share in shares)])
    return blocks * max(BLOCK_BYTES, rows * _row_bytes(config))


def _row_bytes(config: Config) -> int:
    """Of a row's raw pictures."""
    return config.model.images_per_prompt * config.model.height * config.model.width * 3


def _rows_per_block(config: Config, resources: Resources, rows: int) -> int:
    """Rows that travel together: whole batches, and few enough to share out and to lose.

    A block is what a fault costs and what an actor takes at a time, so there should be many of
    them; each costs some 34 ms of scheduling, so not more than needed.
    """
    drawing = [share.batch_size for stage, share in pools(config, resources) if stage != "scorer"]
    batch = max(drawing, default=1)
    return batch * max(1, min(rows // 100, MOST_ROWS, BLOCK_BYTES // _row_bytes(config)) // batch)


def _writers(config: Config, resources: Resources, machine: Machine) -> Share:
    """The sink's share, chosen where it is not given. `MOST_ROWS` stand for a block as it comes,
    as long as its raw pictures stay below WRITE_BYTES.
    """
    sink, rows = resources.sink, resources.sink.batch_size
    if rows == MOST_ROWS:
        rows = max(1, min(resources.rows_per_block or 1, WRITE_BYTES // _row_bytes(config)))
    return replace(
        sink,
        num_cpus=sink.num_cpus or WRITER_CPUS,
        pool=_pool(sink, WRITERS_A_CPU * max(1, int(machine.cpus))),
        batch_size=rows,
    )


def _describe(stage: str, share: Share) -> str:
    gpu = f" + {share.num_gpus:g} GPU" if share.num_gpus else ""
    return f"{stage} {share.pool} x {share.num_cpus:g} CPU{gpu}, batches of {share.batch_size}"


def _check_fits(config: Config, resources: Resources, machine: Machine, rows: int) -> None:
    asked = dict(pools(config, resources))
    packed = pack(asked, machine)
    misfit = packed if isinstance(packed, Misfit) else _sink_misfit(resources.sink, machine)
    if not misfit:
        return
    fits = _nearest(config, asked, machine, rows)
    changes = list(_changes(config.resources, fits)) if fits else []
    field = f"resources.{misfit.stage}.{misfit.key}"
    value, problem = getattr(getattr(resources, misfit.stage), misfit.key), misfit.problem
    if changes and not getattr(getattr(config.resources, misfit.stage), misfit.key):
        field, value, _ = changes[0]  # the other was chosen, beside this one
        if misfit.stage not in field:
            problem = f"leaves too little for the {misfit.stage}: {problem}"
    remedy = " ".join(["Try", *(f"{key}={less:g}" for key, _, less in changes)])
    otherwise = "" if resources.auto else ", or resources=auto"
    raise UserError(
        field=field,
        value=value,
        problem=problem,
        remedy=f"{remedy if changes else 'Use a larger machine'}{otherwise}.\n"
        f"{_table(asked, machine)}",
    )


def _sink_misfit(share: Share, machine: Machine) -> Misfit | None:
    """Writing is done by tasks, in what the other stages leave them."""
    room = _room_to_write(machine)
    if share.num_cpus <= room:
        return None
    problem = f"a task that writes has {room:g} CPU at most beside the other stages"
    return Misfit("sink", "num_cpus", problem)


def _room_to_write(machine: Machine) -> float:
    return machine.cpus - free_cpus(machine)


def _nearest(config: Config, asked: Pools, machine: Machine, rows: int) -> Resources | None:
    """The configured shares, changed as little as makes `asked` fit.

    What they leave to `auto` stays open, and is chosen anew for each change.
    """
    given = config.resources
    sink = replace(given.sink, num_cpus=min(given.sink.num_cpus, _room_to_write(machine)))
    for shares in candidates(asked, machine):
        cut: dict[str, Any] = {
            stage: _cut(getattr(given, stage), share) for stage, share in shares.items()
        }
        changed = replace(given, sink=sink, **cut)
        if _fits(config, _choose(config, changed, machine, rows), machine):
            return changed
    return None


def _cut(given: Share, fits: Share) -> Share:
    less: dict[str, Any] = {key: min(getattr(given, key), getattr(fits, key)) for key in CUT}
    return replace(given, custom=fits.custom, **less)


def _changes(asked: Resources, fits: Resources) -> Iterator[tuple[str, float, float]]:
    """The keys to override that turn `asked` into `fits`, with what they are and would be."""
    for stage in STAGES:
        share, less = getattr(asked, stage), getattr(fits, stage)
        for key in CUT:
            if getattr(less, key) != getattr(share, key):
                yield f"resources.{stage}.{key}", getattr(share, key), getattr(less, key)
        for name, amount in less.custom.items():
            if amount != share.custom[name]:
                yield f"resources.{stage}.custom.{name}", share.custom[name], amount


def _table(asked: Pools, machine: Machine) -> str:
    lines = ["  asked:"]
    for stage, share in asked.items():
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
        memory = f", {node.memory / GIB:.3g} GiB" if node.memory else ""
        lines.append(f"    node {number}: {node.cpus:g} CPUs, {node.gpus:g} GPUs{memory}{more}")
    return "\n".join(lines)
