"""A share of memory that the model's weights and one picture do not fit into, before they load."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.configs import composed

from imagepipe.cli import doctor
from imagepipe.cli.checks import config_dir
from imagepipe.config import Config, Resources
from imagepipe.errors import UserError
from imagepipe.execution import share_memory
from imagepipe.execution.prepare import prepared
from imagepipe.resources.machine import Machine, Node

PRESETS = sorted(
    file.stem
    for file in (config_dir() / "model").glob("*.yaml")
    if "\nweights_gb:" in file.read_text()
)
OFTEN = {"sd_turbo", "sdxl", "flux_schnell", "qwen_image", "pixart_sigma"}  # the kinds that differ
GPUS, CPUS = Machine((Node(8, 4, 64 << 30),)), Machine((Node(8, 0, 10**10),))
CARD = 80 * 10**9  # bytes of one


def preset(name: str, *overrides: str) -> Config:
    return composed(f"model={name}", "llm=none", "model.weights=random", *overrides)


def complaint(config: Config, machine: Machine, **share: float) -> str | None:
    given: Resources = config.resources
    shares = replace(given, model=replace(given.model, **share))
    try:
        share_memory.check(config, shares, machine, gpu_bytes=CARD)
    except UserError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    "name",
    [one if one in OFTEN else pytest.param(one, marks=pytest.mark.faults) for one in PRESETS],
)
def test_of_every_preset_the_smallest_share_of_a_gpu_is_named(name: str):
    config = preset(name)
    said = complaint(config, GPUS, num_gpus=0.01)
    assert said is not None and said.startswith("resources.model.num_gpus=0.01: is 0.8 GB of 80")
    assert "and to decode one picture of" in said
    (least,) = re.findall(r"Try resources\.model\.num_gpus=([\d.]+), or more\.$", said)
    assert float(least) * CARD / 1e9 > config.model.weights_gb
    assert complaint(config, GPUS, num_gpus=float(least)) is None


def test_a_model_that_no_gpu_holds_is_laid_over_several():
    config = preset("qwen_image", "model.dtype=float32")
    said = str(complaint(config, GPUS, num_gpus=1))
    assert said.endswith("Try resources.model.num_gpus=2, or more.")
    assert complaint(config, GPUS, num_gpus=2) is None


def test_on_a_cpu_it_is_the_memory_of_the_machine_or_of_the_share():
    sdxl = preset("sdxl")
    said = str(complaint(sdxl, CPUS, num_gpus=0))
    assert "the weights take 13.8 GB, and to decode one picture of 1024x1024 about 3.2; " in said
    assert "processes have 10 GB here. Draw smaller pictures" in said
    said = str(complaint(sdxl, CPUS, num_gpus=0, memory_gb=4))
    assert said.startswith("resources.model.memory_gb=4: is too little")
    assert said.endswith("Try resources.model.memory_gb=15.9.")
    assert complaint(preset("sd_turbo"), CPUS, num_gpus=0, memory_gb=8) is None


@pytest.mark.parametrize(
    "overrides", [["model.offload=model"], ["model=noop"], ["model=tiny"]], ids=["off", "no", "own"]
)
def test_nothing_is_said_of_what_is_not_known_or_small(overrides: list[str]):
    assert complaint(preset("qwen_image", *overrides), CPUS, num_gpus=0) is None


def test_what_is_large_is_said_without_an_exponent():
    told = share_memory.Needs(1000.0, 1234.0, "8x8").told
    assert told == "the weights take 1,000 GB, and to decode one picture of 8x8 about 1,234"


def test_doctor_says_of_a_preset_what_a_run_would(tmp_path: Path):
    """On a CPU SDXL takes 13.8 GB, and 3.2 more to decode a picture of its size."""
    own = {
        "model/larger": "defaults: [sdxl_turbo, _self_]\nwidth: 1024\nheight: 1024\n",
        "model/typo": "path: asset:tiny\nengine: diffusers\nstepz: 3\n",
        "model/cut": "name: [\n",
        "llm/elsewhere": "engine: openai\npath: gpt\n",
    }
    for name, text in own.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.yaml").write_text(text)
    fits = {"sdxl": False, "sdxl_turbo": True, "sana_sprint": True}
    (tmp_path / "ours" / "model").mkdir(parents=True)
    for name in fits:
        shutil.copy(config_dir() / "model" / f"{name}.yaml", tmp_path / "ours" / "model")
    machine = Machine((Node(8, 0, 15 * 10**9),))
    said = {one.name: one for one in doctor.presets(machine, [tmp_path / "ours", tmp_path])}
    assert said["model=larger"].fits is False and "1024x1024" in said["model=larger"].why
    assert said["model=typo"].fits is None and "stepz: there is no such" in said["model=typo"].why
    assert said["model=cut"].fits is None and "llm=elsewhere" not in said
    for name, able in fits.items():
        assert said[f"model={name}"].fits is able
        assert (complaint(preset(name), machine, num_gpus=0) is None) == able
    assert said["model=sdxl"].why in str(complaint(preset("sdxl"), machine, num_gpus=0))


def test_doctor_does_not_say_what_fits_where_nobody_knows_the_memory(tmp_path: Path):
    (tmp_path / "llm").mkdir()
    (tmp_path / "llm" / "mine.yaml").write_text("engine: transformers\npath: a/b\nweights_gb: 2\n")
    [mine] = doctor.presets(Machine((Node(8, 0, 0),)), [tmp_path])
    assert (mine.fits, mine.weights_gb) == (None, 4)
    assert mine.why == "the weights take 4 GB; what processes have here is not known"


def test_a_run_is_refused_before_anything_starts(tmp_path: Path):
    config = preset("sd_turbo", "resources.model.memory_gb=1", "ray.num_gpus=0")
    with pytest.raises(UserError) as caught, prepared(config, tmp_path, ["model=sd_turbo"]):
        pass
    said = "resources.model.memory_gb=1.0: is too little: the weights take 5.2 GB"
    assert str(caught.value).startswith(said)
    assert not list(tmp_path.iterdir())
