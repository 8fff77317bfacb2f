"""`imagepipe plan ...`: shows what would run, without running it."""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from imagepipe import shell
from imagepipe.cli import commands
from imagepipe.cli.composing import composed
from imagepipe.cli.messages import plainly
from imagepipe.config import Config, RayOptions, Resources, Share
from imagepipe.errors import Interrupted, RunFailed, UserError
from imagepipe.execution import manifest
from imagepipe.reports.plan import table
from imagepipe.resources.machine import Machine, this_machine
from imagepipe.resources.tuning import Calibration
from imagepipe.signals import termination_as_interrupt

TRIAL_BATCHES = 6  # of each model process: enough for a steady rate, where each takes a while
MORE = 4  # times the rows for the next trial, where they were not enough


@dataclass(frozen=True)
class Expected:
    """Pictures per second in steady state, seconds for all rows, and where they come from."""

    images_per_s: float
    seconds: float
    source: str


@plainly
def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 it would run, 1 the trial failed, 2 it would be refused, 130 interrupted."""
    said = "settings of the run, such as model.steps=4"
    parser = commands.run_parser("plan", said, "print one JSON object")
    parser.add_argument(
        "--calibrate", action="store_true", help="draw a few rows to measure the speed"
    )
    asked = parser.parse_intermixed_args(arguments)
    try:
        with termination_as_interrupt():
            config = composed(asked.overrides, asked.config_dir)
            made = plan(config, calibrate=asked.calibrate)
    except Interrupted:  # what a trial's run says of itself is gone with its folder
        raise KeyboardInterrupt from None
    print(json.dumps(made, indent=2, default=str) if asked.json else "\n".join(table(made)))
    return 0


def plan(config: Config, *, calibrate: bool = False) -> dict[str, Any]:
    """What `run` would do with `config` on this machine: rows, stages, processes, places, rate.

    With `calibrate` the rate comes from a short trial, and before that `resources=tuned` measures
    the stages, which it keeps for the run; without, its shares are those of an earlier calibration,
    or where there is none of `resources=auto`.

    `stages` are in order, each with `reads`, `adds`, `runs` (actors or tasks), for actors the
    share of each and its `places` (node and GPUs), and `weights_gb` of each process where they are
    here or a preset tells. `waiting_gb` is what the object store holds of rows at most. `cluster`
    says that one was named and not asked, or is null. Raises UserError as `run` would before it
    starts, and with `config.resume`; RunFailed where a trial breaks.
    """
    from imagepipe import resources, sources, store, tracking
    from imagepipe.execution import pipeline, publishing, share_memory
    from imagepipe.resources.packing import Misfit, pack

    if config.resume is not None:
        _refuse_resume(Path(config.resume))
    store.check_url("sink.path", config.sink.path or "")
    tables = sources.scan(config.dataset, config.limit, config.model.columns)
    every = pipeline.check(config, tables)
    tracking.check(config.tracking, Path(config.outputs))
    machine = this_machine(config.ray)
    measured = _measured(config, machine, calibrate=calibrate)
    shares, why = resources.resolve(config, machine, tables.rows, measured)
    share_memory.check(config, shares, machine)
    publishing.check(config, tables.rows, shares.sink.batch_size)
    pools = dict(resources.pools(config, shares))
    packed = pack(pools, machine)
    assert not isinstance(packed, Misfit)  # `settle` has refused it
    weights = _weights_gb(config, machine)
    if calibrate:
        few = TRIAL_BATCHES * max(1, shares.model.pool) * shares.model.batch_size
        expected: Expected | None = _trial(config, shares, tables.rows, few)
    else:
        expected = from_earlier(config, shares, machine, tables.rows)
    stages = [
        {
            "name": stage.name,
            "reads": list(stage.reads),
            "adds": stage.adds.names,
            "runs": "actors" if stage.name in pools else "tasks",
            "share": asdict(pools[stage.name]) if stage.name in pools else None,
            "places": [asdict(place) for place in packed if place.stage == stage.name],
            "weights_gb": weights.get(stage.name),
        }
        for stage in every
    ]
    return {
        "rows": tables.rows,
        "columns": tables.columns,
        "joins": [join.reason for join in tables.joins],
        "notes": list(tables.notes),
        "stages": stages,
        "rows_per_block": shares.rows_per_block,
        "waiting_gb": resources.bytes_on_their_way(config, shares) / 1e9,
        "machine": str(machine),
        "cluster": _not_asked(config.ray),
        "resources": why,
        "expected": asdict(expected) if expected else None,
        "cost_per_1000_pictures": _cost(config, pools, len(machine.nodes), expected),
    }


def _refuse_resume(folder: Path) -> None:
    typed = manifest.read(folder.absolute()).typed
    raise UserError(
        field="resume",
        value=folder,
        problem="that run has already started, and a plan is for a whole run",
        remedy="Plan it with its own settings: "
        f"{shell.python()} -m imagepipe plan {shlex.join(typed)}",
    )


def _cost(
    config: Config, pools: dict[str, Share], machines: int, expected: Expected | None
) -> dict[str, Any] | None:
    from imagepipe.reports import cost

    if expected is None:
        return None
    price = config.resources.price_per_hour
    return cost.per_1000_pictures(expected.images_per_s, pools, price, machines)


def _not_asked(options: RayOptions) -> str | None:
    if options.address is None:
        return None
    return f"ray.address={options.address} is not asked; this is the plan for this machine alone"


def _weights_gb(config: Config, machine: Machine) -> dict[str, float | None]:
    from imagepipe.resources import useful
    from imagepipe.stages import engines

    return {
        stage: useful.weights_gb(config.sections[stage], engine, machine)
        for stage, engine in engines.chosen(config).items()
        if engine.weights
    }


def _measured(config: Config, machine: Machine, *, calibrate: bool) -> Calibration | None:
    from imagepipe.execution import calibration
    from imagepipe.execution.loading import libraries
    from imagepipe.execution.session import session

    if config.resources.calibrate_s is None:
        return None
    found = calibration.known(config, machine)
    if found or not calibrate:
        return found
    with session(config.ray, machine, libraries(config), verbose=config.verbose):
        return calibration.calibrate(config, machine)


def from_earlier(config: Config, shares: Resources, machine: Machine, rows: int) -> Expected | None:
    """The speed of the newest finished run under `outputs` with the same models and shares on
    this machine.
    """
    from imagepipe.reports.summary import speed_digest

    wanted = speed_digest(config, shares, str(machine))
    for path in _newest_first(Path(config.outputs)):
        summary = _read(path)
        if summary.get("speed_digest") != wanted or summary["status"] != "FINISHED":
            continue
        if any((summary.get("reused") or {}).values()):  # it did less than this one would
            continue
        if steady := summary["images_per_s"]["steady"]:
            return _expected(summary, steady, config, rows, f"the run in {path.parent}")
    return None


def _read(summary: Path) -> dict[str, Any]:
    """The summary of a run; empty if it cannot be read, or is another program's."""
    try:
        said = json.loads(summary.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _newest_first(outputs: Path) -> Iterator[Path]:
    found = outputs.rglob("summary.json") if outputs.is_dir() else ()
    found = (path for path in found if path.parent.name != "artifacts")  # those are MLflow's copies
    yield from sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def _expected(
    summary: dict[str, Any], steady: float, config: Config, rows: int, source: str
) -> Expected:
    pictures = rows * config.model.images_per_prompt
    return Expected(steady, summary["time_to_first_image_s"] + pictures / steady, source)


def _trial(config: Config, shares: Resources, rows: int, few: int) -> Expected:
    """Run a few rows on this machine, leaving nothing. If they are too few for a steady rate,
    run more, up to the whole table.

    Raises RunFailed as `run` does.
    """
    from imagepipe.execution.run import run

    few = min(rows, few)
    with tempfile.TemporaryDirectory(prefix="imagepipe-plan-") as folder:
        trial = replace(
            config,
            limit=few,
            outputs=folder,
            sink=replace(config.sink, path=None, hub=None),
            ray=replace(config.ray, address=None),
            tracking=replace(config.tracking, backend="none"),
            resources=replace(shares, auto=False, calibrate_s=None),
        )
        try:
            summary = run(trial, Path(folder, "trial")).summary
        except RunFailed as error:  # behind its first line it tells of a folder that is gone
            raise RunFailed(str(error).partition("\n")[0]) from error
    rates, source = summary["images_per_s"], f"a trial on {few} rows"
    if rates["steady"]:
        return _expected(summary, rates["steady"], config, rows, source)
    if few < rows:
        return _trial(config, shares, rows, MORE * few)
    return Expected(rates["end_to_end"], summary["seconds"], source)


if __name__ == "__main__":
    sys.exit(main())
