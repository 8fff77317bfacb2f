"""Resolves the shares: what is requested, what `auto` chooses, and whether it fits.

Ray only counts shares. `process.bind` keeps a stage's process within its own.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from imagepipe.config import Config, Resources, Share
from imagepipe.resources import refusal, tuning, useful
from imagepipe.resources.division import pool
from imagepipe.resources.machine import Machine
from imagepipe.resources.tuning import Calibration
from imagepipe.resources.workload import Workload, workload

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


def resolve(
    config: Config, machine: Machine, rows: int, measured: Calibration | None = None
) -> tuple[Resources, str]:
    """The shares to run with, checked to fit, and what they are and why.

    That is one line, and where the shares follow from a calibration its reasons in further lines.
    Raises UserError if they do not fit the machine, naming what would.
    """
    load = workload(config, rows)
    chosen, reasons = useful.chosen(config, load, machine)
    if measured:
        choice = tuning.choose(load.pools(chosen), machine, rows, measured)
        chosen, reasons = chosen.changed(choice.pools), (*reasons, *choice.reasons)
    if chosen.rows_per_block is None:
        chosen = replace(chosen, rows_per_block=_rows_per_block(load, chosen))
    chosen = replace(chosen, sink=_writers(load, chosen, machine))
    refusal.check(load, chosen, machine, partial(useful.clipped, config, machine))
    useful.check(config, load.requested, machine)
    said = ", ".join(_describe(stage, share) for stage, share in load.pools(chosen).items())
    why = "chosen for" if load.requested.auto else "as configured, on"
    return chosen, "\n".join([f"{said or 'no actors'} ({why} {machine})", *reasons])


def bytes_on_their_way(config: Config, resources: Resources) -> int:
    """The most bytes of rows in the object store, whatever the number of rows.

    Otherwise Ray Data would fill half of the store with pictures that wait to be written.
    """
    load = workload(config, 0)
    shares = load.pools(resources).values()
    processes = sum(share.pool_max or share.pool for share in shares)
    blocks = BLOCKS_OF_A_PROCESS * max(1, processes) + BLOCKS_OF_A_WRITER * resources.sink.pool
    rows = max([resources.rows_per_block or 1, *(share.batch_size for share in shares)])
    return blocks * max(BLOCK_BYTES, rows * load.row_bytes)


def _rows_per_block(load: Workload, resources: Resources) -> int:
    """Rows per block: whole batches, and few enough to be shared out and to be lost.

    A block is what a fault costs and what an actor takes at a time, so there should be many; each
    costs about 34 ms of scheduling, so not more than needed.
    """
    pools = load.pools(resources)
    drawing = [share.batch_size for stage, share in pools.items() if stage in load.drawing]
    batch = max(drawing, default=1)
    return batch * max(1, min(load.rows // 100, MOST_ROWS, BLOCK_BYTES // load.row_bytes) // batch)


def _writers(load: Workload, resources: Resources, machine: Machine) -> Share:
    """The sink's share, chosen if it is not set. `MOST_ROWS` means each block as it comes, as
    long as its raw pictures stay below WRITE_BYTES.
    """
    sink, rows = resources.sink, resources.sink.batch_size
    if rows == MOST_ROWS:
        rows = max(1, min(resources.rows_per_block or 1, WRITE_BYTES // load.row_bytes))
    return replace(
        sink,
        num_cpus=sink.num_cpus or WRITER_CPUS,
        pool=pool(sink, WRITERS_A_CPU * max(1, int(machine.cpus))),
        batch_size=rows,
    )


def _describe(stage: str, share: Share) -> str:
    gpu = f" + {share.num_gpus:g} GPU" if share.num_gpus else ""
    return f"{stage} {share.pool} x {share.num_cpus:g} CPU{gpu}, batches of {share.batch_size}"
