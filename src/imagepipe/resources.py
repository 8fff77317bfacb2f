"""Who gets which share of the machine: what is there, what `auto` chooses, and whether it fits.

Ray only counts shares. `bind` makes a stage's process keep to its own.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from imagepipe.config import Config, RayOptions, Resources, Share
from imagepipe.errors import UserError

# Engines that load weights run as actors, which keep them; the others run as stateless tasks.
LLM_ACTORS = ("transformers", "vllm", "openai")
MODEL_ACTORS = ("diffusers", "noop")
# What the tasks that read, join and write need: nothing moves while actors hold every CPU.
CPUS_FOR_TASKS = 1.0
WRITE_BYTES = 128 << 20  # Ray Data's own target for a block


@dataclass(frozen=True)
class Node:
    """One machine: CPUs and GPUs as Ray counts them."""

    cpus: float
    gpus: int


@dataclass(frozen=True)
class Machine:
    """All the nodes that a run may use."""

    nodes: tuple[Node, ...]

    @property
    def cpus(self) -> float:
        return sum(node.cpus for node in self.nodes)

    @property
    def gpus(self) -> int:
        return sum(node.gpus for node in self.nodes)

    def __str__(self) -> str:
        nodes = f" on {len(self.nodes)} nodes" if len(self.nodes) > 1 else ""
        return f"{self.cpus:g} CPUs, {self.gpus} GPUs{nodes}"


def this_machine(options: RayOptions) -> Machine:
    """What this computer has, or what `ray.num_cpus` and `ray.num_gpus` say, without asking Ray."""
    cpus = options.num_cpus or len(os.sched_getaffinity(0))
    gpus = _gpus() if options.num_gpus is None else options.num_gpus
    return Machine((Node(cpus, gpus),))


def _gpus() -> int:
    """NVIDIA GPUs that this process may use, counted without loading CUDA."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([one for one in visible.split(",") if one.strip() not in ("", "-1")])
    driver = Path("/proc/driver/nvidia/gpus")
    return len(list(driver.iterdir())) if driver.is_dir() else 0


def settle(config: Config, machine: Machine, rows: int) -> tuple[Resources, str]:
    """The shares to run with, checked to fit, and one line that says what they are and why.

    Raises UserError where they do not fit the machine, naming what would.
    """
    chosen = _choose(config, machine, rows) if config.resources.auto else config.resources
    if chosen.rows_per_block is None:
        chosen = replace(chosen, rows_per_block=_rows_per_block(chosen, rows))
    if config.resources.auto:
        sink = replace(chosen.sink, batch_size=_rows_per_write(config, chosen))
        chosen = replace(chosen, sink=sink)
    _check_fits(config, chosen, machine)
    shares = ", ".join(_describe(stage, share) for stage, share in pools(config, chosen))
    why = "chosen for" if config.resources.auto else "as configured, on"
    return chosen, f"{shares or 'no actors'} ({why} {machine})"


def pools(config: Config, resources: Resources) -> Iterator[tuple[str, Share]]:
    """The stages that run as actors, with their shares."""
    if config.llm.engine in LLM_ACTORS:
        yield "llm", resources.llm
    if config.model.engine in MODEL_ACTORS:
        yield "model", resources.model


def bind(share: Share) -> None:
    """Hold this process to its share: threads on the CPU, memory on the GPU.

    torch takes a share of one GPU's memory; a process with whole GPUs keeps all of them.
    """
    threads = max(1, round(share.num_cpus))
    os.environ["OMP_NUM_THREADS"] = str(threads)  # for what is imported from here on
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    if 0 < share.num_gpus < 1:
        import torch

        torch.cuda.set_per_process_memory_fraction(share.num_gpus)


def _choose(config: Config, machine: Machine, rows: int) -> Resources:
    """One model process a core (a GPU where there are some), the LLM beside them.

    Two one-thread processes draw faster than one with two threads, and a process for which there
    is not a batch of rows would only cost its start.
    """
    asked = config.resources
    batches = math.ceil(rows / asked.model.batch_size)
    llm = 1 if config.llm.engine in LLM_ACTORS else 0
    if config.llm.engine == "openai":  # its process only waits for answers
        llm = 0
    if machine.gpus:
        model = min(machine.gpus, batches)
        share_llm, share_model = (0.4, 0.6) if llm else (0.0, 1.0)
    else:
        model = min(max(1, int(machine.cpus)), batches)
        share_llm = share_model = 0.0
    llm *= max(1, model // 4)
    # In hundredths and rounded down, so that the sum never exceeds what is free.
    left = machine.cpus - min(CPUS_FOR_TASKS, machine.cpus / 2)
    cpus = math.floor(100 * min(1.0, left / (llm + model))) / 100
    return replace(
        asked,
        llm=replace(asked.llm, num_cpus=cpus if llm else 0.0, num_gpus=share_llm, pool=max(1, llm)),
        model=replace(asked.model, num_cpus=cpus, num_gpus=share_model, pool=model),
        sink=replace(asked.sink, num_cpus=0.25, pool=max(1, int(machine.cpus))),
    )


def _rows_per_block(resources: Resources, rows: int) -> int:
    """Rows that travel together: whole batches, and few enough to share out and to lose.

    A block is what a fault costs and what an actor takes at a time, so there should be many of
    them; each costs some 34 ms of scheduling, so not more than needed.
    """
    batch = max(resources.llm.batch_size, resources.model.batch_size)
    return batch * max(1, min(rows // 100, 1024) // batch)


def _rows_per_write(config: Config, resources: Resources) -> int:
    """A block as it comes, as long as its raw pictures stay below WRITE_BYTES."""
    model = config.model
    row = model.images_per_prompt * model.height * model.width * 3
    return max(1, min(resources.rows_per_block or 1, WRITE_BYTES // row))


def _describe(stage: str, share: Share) -> str:
    gpu = f" + {share.num_gpus:g} GPU" if share.num_gpus else ""
    return f"{stage} {share.pool} x {share.num_cpus:g} CPU{gpu}, batches of {share.batch_size}"


def _check_fits(config: Config, resources: Resources, machine: Machine) -> None:
    wanted = list(pools(config, resources))
    for stage, share in wanted:
        _check_one(stage, share, machine)
    cpus = sum(share.num_cpus * share.pool for _, share in wanted)
    free = machine.cpus - min(CPUS_FOR_TASKS, machine.cpus / 2)
    if cpus > free + 1e-9:
        scale = math.floor(100 * free / cpus) / 100
        remedy = ", ".join(
            f"resources.{stage}.num_cpus={math.floor(100 * share.num_cpus * scale) / 100:g}"
            for stage, share in wanted
        )
        raise UserError(
            field="resources",
            value=config.resources.name,
            problem=f"its actors hold {cpus:g} CPUs, and beside the tasks that read and write only "
            f"{free:g} of {machine.cpus:g} are free",
            remedy=f"Try {remedy}, smaller pools, or resources=auto.",
        )
    _pack_gpus(wanted, machine)


def _check_one(stage: str, share: Share, machine: Machine) -> None:
    for name, asked, most in (
        ("num_cpus", share.num_cpus, max(node.cpus for node in machine.nodes)),
        ("num_gpus", share.num_gpus, max(node.gpus for node in machine.nodes)),
    ):
        if asked > most:
            raise UserError(
                field=f"resources.{stage}.{name}",
                value=asked,
                problem=f"no machine here has that many; the largest has {most:g}",
                remedy=f"At most resources.{stage}.{name}={most:g}, or resources=auto.",
            )
    if share.num_gpus > 1 and share.num_gpus != int(share.num_gpus):
        raise UserError(
            field=f"resources.{stage}.num_gpus",
            value=share.num_gpus,
            problem="Ray gives a part of one GPU, or whole ones",
            remedy=f"resources.{stage}.num_gpus={int(share.num_gpus)} or less than 1.",
        )


def _pack_gpus(wanted: list[tuple[str, Share]], machine: Machine) -> None:
    """First fit, largest first: a share cannot straddle two GPUs."""
    free = [1.0] * machine.gpus
    shares = sorted(
        ((share.num_gpus, stage) for stage, share in wanted for _ in range(share.pool)),
        reverse=True,
    )
    for asked, stage in shares:
        for part in [min(asked, 1.0)] * max(1, math.ceil(asked)):
            place = next((i for i, left in enumerate(free) if left + 1e-9 >= part), None)
            if part and place is None:
                raise UserError(
                    field=f"resources.{stage}.num_gpus",
                    value=asked,
                    problem=f"not all actors fit on {machine.gpus} GPUs "
                    f"(asked in all: {sum(share for share, _ in shares):g}; a share cannot "
                    "straddle two)",
                    remedy="Ask for smaller shares or smaller pools.",
                )
            if part and place is not None:
                free[place] -= part
