"""`imagepipe doctor ...`: what this machine has, what is wrong with it, and how to fix it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import requires
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from imagepipe import resources
from imagepipe.cli import commands
from imagepipe.cli.checks import config_dir
from imagepipe.cli.composing import composed, composing
from imagepipe.cli.messages import COMPOSING, explain, plainly
from imagepipe.config import Config, Model
from imagepipe.errors import UserError, figure, one_line
from imagepipe.execution.surroundings import environment
from imagepipe.resources.machine import Machine, this_machine
from imagepipe.stages import engines, weights

if TYPE_CHECKING:
    from imagepipe.execution.health import Finding

UNKNOWN = "known once it is fetched"
UNREADABLE = (*COMPOSING, UserError, UnicodeDecodeError)
SMALL_GB = 0.1
ROWS = 100  # of the run that each preset is tried for


@dataclass(frozen=True)
class Preset:
    """Whether a model would run here, and why. GB are 1e9 bytes: of its weights as they are
    loaded here, and of one picture while it is decoded.
    """

    name: str
    weights_gb: float | None
    picture_gb: float | None
    cached: bool
    fits: bool | None  # null: its size is not known, or what there is
    why: str


@plainly
def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 nothing prevents a run, 1 something does, 2 what was typed is wrong."""
    meant = "settings of the run to check for, such as model=sdxl_turbo"
    parser = commands.run_parser("doctor", meant, "print one JSON object")
    told = "skip the list of models that fit here; faster, for a container's health check"
    parser.add_argument("--no-presets", action="store_true", help=told)
    asked = parser.parse_intermixed_args(arguments)
    from imagepipe.execution import health

    config = composed(asked.overrides, asked.config_dir)
    machine = this_machine(config.ray)
    found = [*health.findings(config, machine), *_packages()]
    with environment({"HF_HUB_OFFLINE": "1"}):  # nothing is fetched for it
        found += _run(config, machine)
        folders = [config_dir(), *([Path(asked.config_dir)] if asked.config_dir else [])]
        fitting = [] if asked.no_presets else list(presets(machine, folders))
    well = not any(one.hinders for one in found)
    if asked.json:
        whole = {"well": well, "findings": list(map(asdict, found))}
        print(json.dumps({**whole, "presets": list(map(asdict, fitting))}, indent=2))
    else:
        print("\n".join([*_lines(found), "", *_table(fitting)]).rstrip())
    return 0 if well else 1


def _packages() -> Iterator[Finding]:
    from imagepipe.execution import health

    needed = requires("imagepipe") or []
    yield from health.packages(needed, health.installed(sys.path), _locked())


def _locked() -> dict[str, str]:
    """The versions in requirements.lock, in a checkout; the wheel does not have it."""
    from packaging.requirements import Requirement

    file = config_dir().parent / "requirements.lock"
    if not file.is_file():
        return {}
    pins = [
        Requirement(one) for one in file.read_text("utf-8").splitlines() if one[:1] not in ("#", "")
    ]
    now = [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]
    return {pin.name: str(pin.specifier).removeprefix("==") for pin in now}


def _run(config: Config, machine: Machine) -> Iterator[Finding]:
    """Whether the engines of this configuration work, and their processes fit."""
    from imagepipe.execution import health, pipeline

    yield health.of_check("engines", "can work", lambda: pipeline.check_engines(config))
    yield health.of_check(
        "shares", "", lambda: resources.resolve(config, machine, ROWS)[1].partition("\n")[0]
    )


def presets(machine: Machine, folders: Sequence[Path]) -> Iterator[Preset]:
    """The models and LLMs with weights among the presets in `folders`."""
    from imagepipe.execution import health

    memory = (health.gpu_memory() if machine.gpus else machine.nodes[0].memory) / 1e9
    for kind, made in (("model", _model), ("llm", _llm)):
        for file in sorted(file for folder in folders for file in (folder / kind).glob("*.yaml")):
            name = f"{kind}={file.stem}"
            try:
                yield from made(name, _read(name, file), memory, gpu=machine.gpus > 0)
            except UNREADABLE as error:
                yield Preset(name, None, None, False, None, one_line(explain(error)))


def _read(name: str, file: Path) -> Any:
    """A preset, with the presets that it is based on."""
    said: Any = OmegaConf.load(file)
    if "defaults" not in said:
        return said
    folder = file.parents[1]
    with composing([name], None if folder == config_dir() else str(folder)) as whole:
        return whole[name.partition("=")[0]]


def _model(name: str, said: Any, memory: float, *, gpu: bool) -> Iterator[Preset]:
    """As a run checks it: by the size of its weights and of one picture."""
    from imagepipe.diffusion import model_index
    from imagepipe.execution.share_memory import needs

    if said.get("path") in (None, "???"):
        return
    model: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Model), said))
    if not engines.of("model", model).weights:
        return
    path, revision = model.path, model.revision
    cached = weights.is_file(path) or weights.file_here(path, model_index.FILE, revision)
    try:  # of one that is not here the package has the configuration
        found = needs(model if cached else replace(model, weights="random"), gpu=gpu)
    except UserError:
        found = None
    if found is None:
        yield Preset(name, None, None, bool(cached), None, UNKNOWN)
        return
    why = _why(found.told, memory, gpu) if found.weights >= SMALL_GB else "small"
    yield Preset(name, found.weights, found.picture, bool(cached), _fits(found.gb, memory), why)


def _llm(name: str, said: Any, memory: float, *, gpu: bool) -> Iterator[Preset]:
    """By the size of its weights."""
    if said.get("path") in (None, "???") or not engines.of("llm", said).weights:
        return
    cached = weights.size_gb(said.path, said.get("revision"))
    gb = said.get("weights_gb") or cached
    if gb is None:
        yield Preset(name, None, None, False, None, UNKNOWN)
        return
    # On a CPU they are float32, twice the bytes of the 16 bits that presets count.
    takes = gb if gpu or cached else 2 * gb
    why = _why(f"the weights take {figure(takes)} GB", memory, gpu) if gb >= SMALL_GB else "small"
    yield Preset(name, takes, None, bool(cached), _fits(takes, memory), why)


def _fits(gb: float, memory: float) -> bool | None:
    """Null if the driver or the system does not say what there is."""
    return gb <= memory if memory else None


def _why(told: str, memory: float, gpu: bool) -> str:
    if not memory:
        return f"{told}; what {'a GPU has' if gpu else 'processes have'} here is not known"
    return f"{told}; {'a GPU has' if gpu else 'processes have'} {figure(memory)} GB here"


def _lines(found: Sequence[Finding]) -> Iterator[str]:
    for one in found:
        mark = "WRONG" if one.hinders else "note" if one.trouble else "ok"
        yield f"{mark:<6} {one.name:<14} {one.found}"
        if one.trouble:
            yield f"{'':<21} {one.trouble}"
            yield f"{'':<21} {one.remedy}"


def _table(presets: Sequence[Preset]) -> Iterator[str]:
    for one in presets:
        fits = {True: "fits", False: "does not fit", None: "unknown"}[one.fits]
        yield f"{one.name:<22} {fits:<13} {'here' if one.cached else '':<5} {one.why}"
