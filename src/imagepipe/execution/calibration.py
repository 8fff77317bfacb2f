"""How fast each stage is on this machine: measured on a few rows before a run, or stored earlier.

Nothing of it goes into a run's folder.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from imagepipe import __version__, sources
from imagepipe.config import Config, json_digest, scorer_stages
from imagepipe.errors import one_line
from imagepipe.execution import chain
from imagepipe.execution.bench import ROWS, Bench, probes
from imagepipe.resources.machine import Machine
from imagepipe.resources.tuning import Calibration, Point
from imagepipe.resources.workload import pools
from imagepipe.stages import engines
from imagepipe.store import write_whole

FOLDER = "calibrations"  # in `outputs`
DECIDE_SPEED = ("torch", "diffusers", "transformers", "vllm", "ray")
# What gives the columns of a stage that cannot be measured to the stages behind it.
STAND_INS = {"llm": "none", "model": "noop", "scorer": "none"}


def known(config: Config, machine: Machine) -> Calibration | None:
    """The calibration that an earlier run with the same models stored, on the same machine and
    under `outputs`.

    Null if there is none that can be read, or if it was made with other releases of libraries.
    """
    path = kept_at(config, machine)
    try:
        found = json.loads(path.read_text("utf-8"))
        if _changed(found):
            return None
        points = tuple(Point(**point) for point in found["points"])
        return Calibration(points, found["missing"], found["seconds"], str(path))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # whatever it holds
        return None


def calibrate(config: Config, machine: Machine) -> Calibration:
    """Measure the stages in a Ray session, within `resources.calibrate_s`, and store the result.

    If a stage breaks or takes too long, it ends there: `missing` says so, and nothing is stored.
    The run itself will show what is wrong.
    """
    began, path = time.monotonic(), kept_at(config, machine)
    until = began + (config.resources.calibrate_s or 0.0)
    tables = sources.scan(config.dataset, min(ROWS, config.limit or ROWS), config.model.columns)
    node = min(machine.nodes, key=lambda node: (node.gpus, node.cpus))
    missing = unmeasured(config)
    left = [stage for stage, _ in pools(config, config.resources) if stage not in missing]
    every = chain.stages(with_stand_ins(config, missing), tables)
    with probes(node) as started:
        bench = Bench(node, started, began, until)
        failed = bench.measure(every, tables, left)
    seconds = time.monotonic() - began
    found = {stage for stage, _, _ in bench.points}
    missing |= {stage: why for stage, why in failed.items() if stage not in found}
    made = Calibration(tuple(bench.points.values()), missing, seconds)
    return made if failed else _keep(made, path)


def unmeasured(config: Config) -> dict[str, str]:
    """The stages whose engines cannot be measured, each with the reason."""
    found = {stage: engine.unmeasured for stage, engine in engines.chosen(config).items()}
    return {stage: reason for stage, reason in found.items() if reason}


def with_stand_ins(config: Config, stages: Collection[str]) -> Config:
    """`config` with other engines for `stages`, which give the same columns in almost no time."""
    made: dict[str, Any] = {
        stage: replace(section, engine=STAND_INS[section.section]) if stage in stages else section
        for stage, section in config.sections.items()
    }
    scorers = {name: made[stage] for stage, name in scorer_stages(config.scorer).items()}
    return replace(config, llm=made["llm"], model=made["model"], scorer=scorers)


def stale(folder: Path) -> dict[Path, str]:
    """The calibrations in `folder` that were measured on this computer and are outdated, each
    with what has changed.
    """
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            said = json.loads(path.read_text("utf-8"))
            host = said.get("host", platform.node())
        except (OSError, ValueError, AttributeError) as error:
            found[path] = f"cannot be read ({one_line(error)})"
            continue
        if host == platform.node() and (why := _changed(said)):
            found[path] = why
    return found


def _changed(said: dict[str, Any]) -> str | None:
    """The versions that have changed since a stored calibration; null: none."""
    was, now = said.get("versions") or {}, versions()
    names = sorted(name for name in {*was, *now} if was.get(name) != now.get(name))
    return ", ".join(f"{n} {was.get(n)} -> {now.get(n)}" for n in names) or None


def versions() -> dict[str, str]:
    """The versions that decide how fast a stage is."""
    found = {}
    for name in DECIDE_SPEED:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _keep(made: Calibration, path: Path) -> Calibration:
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {**asdict(made), "host": platform.node(), "versions": versions()}
    write_whole(path, json.dumps(whole, indent=2).encode())
    return replace(made, kept=str(path))


def kept_at(config: Config, machine: Machine) -> Path:
    """The file for all runs whose stages should be equally fast."""
    whole = asdict(config)
    stages = (whole[key] for key in ("llm", "model", "scorer", "stages"))
    parts = [__version__, *stages, str(machine), platform.node()]
    return Path(config.outputs, FOLDER, f"{json_digest(parts)}.json").absolute()
