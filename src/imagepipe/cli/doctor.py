"""`imagepipe doctor ...`: what this machine has, what is wrong with it, and how to mend it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import requires
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from imagepipe import resources
from imagepipe.cli import commands
from imagepipe.cli.checks import config_dir
from imagepipe.cli.composing import composed
from imagepipe.cli.messages import plainly
from imagepipe.config import Config
from imagepipe.execution.surroundings import environment
from imagepipe.resources.machine import Machine, this_machine
from imagepipe.stages import weights

if TYPE_CHECKING:
    from imagepipe.execution.health import Finding

ROWS = 100  # of the run that each preset is tried for


@dataclass(frozen=True)
class Preset:
    """Whether a model would run here: by what shares, or why not. GB are of its weights."""

    name: str
    weights_gb: float | None
    cached: bool
    fits: bool | None  # null: nobody knows its size
    why: str


@plainly
def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 nothing hinders a run, 1 something does, 2 what was typed is wrong."""
    meant = "of the run that is meant: model=sdxl_turbo"
    parser = commands.run_parser("doctor", meant, "one JSON object instead of lines")
    asked = parser.parse_intermixed_args(arguments)
    from imagepipe.execution import health

    config = composed(asked.overrides, asked.config_dir)
    machine = this_machine(config.ray)
    found = [*health.findings(config, machine), *_packages()]
    with environment({"HF_HUB_OFFLINE": "1"}):  # nothing is fetched for it
        found += _run(config, machine)
        presets = list(_presets(machine, asked.config_dir))
    well = not any(one.hinders for one in found)
    if asked.json:
        whole = {"well": well, "findings": list(map(asdict, found))}
        print(json.dumps({**whole, "presets": list(map(asdict, presets))}, indent=2))
    else:
        print("\n".join([*_lines(found), *_table(presets)]))
    return 0 if well else 1


def _packages() -> Iterator[Finding]:
    from imagepipe.execution import health

    needed = requires("imagepipe") or []
    yield from health.packages(needed, health.installed(sys.path), _locked())


def _locked() -> dict[str, str]:
    """What requirements.lock pins, in a checkout; it is not in the wheel."""
    from packaging.requirements import Requirement

    file = config_dir().parent / "requirements.lock"
    if not file.is_file():
        return {}
    pins = [Requirement(one) for one in file.read_text().splitlines() if one[:1] not in ("#", "")]
    now = [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]
    return {pin.name: str(pin.specifier).removeprefix("==") for pin in now}


def _run(config: Config, machine: Machine) -> Iterator[Finding]:
    """Whether the engines that are meant can work, and their processes find a place."""
    from imagepipe.execution import health, pipeline

    yield health.of_check("engines", "can work", lambda: pipeline.check_engines(config))
    yield health.of_check(
        "shares", "", lambda: resources.resolve(config, machine, ROWS)[1].partition("\n")[0]
    )


def _presets(machine: Machine, own: str | None) -> Iterator[Preset]:
    """The models and LLMs of the package and of `own`, by what their weights take."""
    from imagepipe.execution import health

    folders = [config_dir(), *([Path(own)] if own else [])]
    memory = health.gpu_memory() if machine.gpus else machine.nodes[0].memory
    for kind in ("model", "llm"):
        for file in sorted(file for folder in folders for file in (folder / kind).glob("*.yaml")):
            said: Any = OmegaConf.load(file)
            path, revision = said.get("path"), said.get("revision")
            if path in (None, "???"):
                continue
            cached = weights.size_gb(path, revision)
            gb = said.get("weights_gb") or cached
            yield _preset(f"{kind}={file.stem}", gb, cached, memory, machine)


def _preset(
    name: str, gb: float | None, cached: float | None, memory: int, machine: Machine
) -> Preset:
    if gb is None:
        return Preset(name, None, False, None, "known once it is fetched")
    # On a CPU they are float32, twice the bytes of the 16 bits that presets count.
    needs = gb if machine.gpus or cached else 2 * gb
    where = "a GPU" if machine.gpus else "the memory for processes"
    has = f"{memory / 1e9:.1f} GB of {where}"
    fits = needs * 1e9 <= memory
    why = f"needs {needs:.1f} GB and some to draw with, of {has}"
    return Preset(name, gb, bool(cached), fits, why if gb >= 0.1 else "small")


def _lines(found: Sequence[Finding]) -> Iterator[str]:
    for one in found:
        mark = "WRONG" if one.hinders else "note" if one.trouble else "ok"
        yield f"{mark:<6} {one.name:<14} {one.found}"
        if one.trouble:
            yield f"{'':<21} {one.trouble}"
            yield f"{'':<21} {one.remedy}"


def _table(presets: Sequence[Preset]) -> Iterator[str]:
    yield ""
    for one in presets:
        fits = {True: "fits", False: "does not fit", None: "unknown"}[one.fits]
        yield f"{one.name:<22} {fits:<13} {'here' if one.cached else '':<5} {one.why}"
