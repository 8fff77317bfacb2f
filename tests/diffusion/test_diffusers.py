"""Every preset's pipeline at a tiny size, and where its prompts are cut."""

from __future__ import annotations

import json
import re
from bisect import bisect
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import ROOT
from helpers.configs import composed
from helpers.tiny_pipelines import (
    FLUX,
    PIXART,
    PROMPTS,
    QWEN,
    SD,
    SIZE,
    painter,
    small,
    write_controlnet,
)

from imagepipe.cli.checks import config_dir
from imagepipe.config import Model
from imagepipe.diffusion import checks, limits, random_weights, repository
from imagepipe.diffusion.diffusers import DiffusersGenerator, arguments

PRESETS = sorted(
    file.stem
    for file in (config_dir() / "model").glob("*.yaml")
    if "engine: diffusers" in file.read_text() and not file.stem.startswith("tiny")
)


SLOW = ("qwen_image_edit",)  # its pipeline makes what goes in a million pixels large
# Of presets whose pictures choose another class than the model's own.
OTHER = {
    "sdxl_turbo_img2img": "StableDiffusionXLImg2ImgPipeline",
    "sdxl_canny": "StableDiffusionXLControlNetPipeline",
}


def noise(seed: int) -> np.ndarray:
    """A picture that is in no model."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return coarse.repeat(SIZE // 4, 0).repeat(SIZE // 4, 1)


def preset(name: str, *changes: str) -> Model:
    return composed(f"model={name}", *changes).model


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.faults) if n in SLOW else n for n in PRESETS]
)
def test_every_preset_draws_with_its_own_pipeline_at_a_tiny_size(
    name, untrained, trained, tmp_path
):
    """With random weights, and the same pictures from a folder that holds those weights."""
    asked = preset(name)
    tiny = {
        "revision": None,
        "variant": None,
        "width": SIZE,
        "height": SIZE,
        "dtype": "float32",
        "steps": min(asked.steps, 2),
        "loras": [],
    }
    if name == "flux_kontext":
        tiny |= {"call_kwargs": {"_auto_resize": False}}  # else a million pixels go in
    if asked.controlnet:
        tiny |= {"controlnet": str(write_controlnet(tmp_path)), "controlnet_revision": None}
    random = replace(asked, path=str(untrained(asked.path)), weights="random", **tiny)
    first = painter(random)
    index = json.loads((untrained(asked.path) / "model_index.json").read_text())
    assert type(first.pipe).__name__ == OTHER.get(name, index["_class_name"])
    going_in = [{key: noise(seed) for key in asked.pictures} for seed in (5, 6)]
    pictures = first.paint(PROMPTS, [1, 2], None, going_in)
    assert pictures.shape == (2, SIZE, SIZE, 3) and pictures.dtype == np.uint8
    assert all(picture.std() > 5 for picture in pictures)
    alone = np.abs(first.paint(PROMPTS[1:], [2], None, going_in[1:])[0].astype(int) - pictures[1])
    assert alone.max() <= 2  # its own prompt, seed and pictures decide, not its neighbours
    if asked.pictures:
        changed = first.paint(PROMPTS, [1, 2], None, going_in[::-1])
        assert all(np.abs(one.astype(int) - pictures).max() > 5 for one in changed)
    if asked.controlnet:
        first.pipe.controlnet.save_pretrained(tmp_path)
    there = painter(replace(random, path=str(trained(asked.path)), weights="trained"))
    same = there.paint(PROMPTS, [1, 2], None, going_in)
    assert np.abs(same.astype(int) - pictures).max() <= 2


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_says_what_it_is(name):
    """A pinned revision for whatever is fetched, a licence, and the size of the weights."""
    asked = preset(name)
    pinned = [asked.revision, *(lora.revision for lora in asked.loras)]
    pinned += [asked.controlnet_revision] if asked.controlnet else []
    assert all(len(revision or "") == 40 for revision in pinned)
    assert asked.licence
    not_free = ("flux_kontext", "sana_sprint", "sd_turbo", "sdxl_turbo", "sdxl_turbo_img2img")
    assert asked.non_commercial == (name in not_free)
    page = (ROOT / "docs" / "how" / "model.md").read_text()
    facts = (f"`{name}`", f"`{asked.path}`", asked.steps, asked.width, asked.weights_gb)
    assert f"| {' | '.join(map(str, facts))} | {asked.licence.partition(' (')[0]}" in page
    described = repository.describe(replace(asked, weights="random"))
    assert described.folder is None
    factor = checks.size_factor(described.configs)
    assert asked.width % factor == asked.height % factor == 0


def test_qwen_image_without_its_lora_has_its_own_schedule():
    """As the preset's file says how; Hydra merges settings, and {} would clear none."""
    text = (config_dir() / "model" / "qwen_image.yaml").read_text()
    changes = re.findall(r"'(model\.[^']+)'|(model\.\S+)", text.partition("\nname:")[0])
    changed = preset("qwen_image", *("".join(change) for change in changes))
    assert (changed.loras, changed.steps, changed.guidance) == ([], 50, 4)
    own = repository.describe(replace(changed, weights="random")).configs["scheduler"]
    assert changed.scheduler_config == {name: own[name] for name in changed.scheduler_config}


@pytest.mark.parametrize("name", ["sdxl_turbo", "flux2_klein", "z_image_turbo", "pixart_sigma"])
def test_the_size_of_the_weights_is_that_of_the_architecture(name):
    asked = preset(name)
    pipe = random_weights.pipeline(replace(asked, weights="random"), "meta", torch.float16)
    models = [part for part in pipe.components.values() if isinstance(part, torch.nn.Module)]
    values = sum(value.numel() for part in models for value in part.parameters())
    assert asked.weights_gb == pytest.approx(2 * values / 1e9, abs=0.05)


def test_random_weights_of_a_preset_need_no_download(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    model = replace(preset("sdxl_turbo"), weights="random")
    checks.check(model)
    assert limits.load(model).cuts("cat " * 76)
    assert not limits.load(model).cuts("cat " * 75)
    assert list(tmp_path.rglob("*.json")) == []


@pytest.mark.parametrize(
    ("hub_id", "reads"),
    [
        (SD, None),  # CLIP alone
        (FLUX, None),  # T5 reads on after CLIP
        ("stabilityai/stable-diffusion-3.5-large-turbo", None),
        (PIXART, 40),
        ("Efficient-Large-Model/Sana_Sprint_1.6B_1024px_diffusers", 40),  # after an instruction
        ("black-forest-labs/FLUX.2-klein-4B", 40),  # in a chat
        ("Tongyi-MAI/Z-Image-Turbo", 40),
        (QWEN, 40),
    ],
)
def test_a_prompt_is_cut_exactly_where_the_pipeline_no_longer_reads_it(hub_id, reads, untrained):
    model = small(untrained(hub_id), weights="random", steps=2, max_sequence_length=reads)
    one, before = painter(model), limits.load(model)
    if hub_id == QWEN:  # its own tokenizer makes 34 tokens of the template, the tiny one more
        template = one.pipe.prompt_template_encode.split("{}")[0]
        one.pipe.prompt_template_encode_start_idx = len(one.pipe.tokenizer(template).input_ids)
        one.pipe.tokenizer_max_length = 1 << 20

    def text(tokens: int, last: str) -> str:
        return " ".join(["x"] * (tokens - 1) + [last])

    longest = bisect(range(1, 600), False, key=lambda n: before.cuts(text(n, "y")))
    assert longest > 10
    for tokens in (longest, longest + 1):
        two = [text(tokens, last) for last in "yz"]
        assert [one.is_cut(prompt) for prompt in two] == [tokens > longest] * 2
        first, second = (_latents(one, prompt) for prompt in two)
        assert np.array_equal(first, second) == (tokens > longest)


def _latents(one: DiffusersGenerator, prompt: str) -> np.ndarray:
    """What is drawn from the same noise, as it is before the decoder and before rounding."""
    rng = torch.Generator().manual_seed(0)
    told = {"output_type": "latent", **arguments([one.model], one.takes)}
    return np.asarray(one.pipe(prompt=[prompt], generator=rng, **told).images)
