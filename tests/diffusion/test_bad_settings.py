"""Settings that a diffusion model does not take, each with the line that a person reads."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers
import pytest
import torch
from helpers.refusals import refusal

from imagepipe.config import Model, Quantization, TextualInversion
from imagepipe.diffusion import (
    caches,
    checks,
    controlnets,
    image_request,
    inversions,
    openai,
    options,
    quantization,
    repository,
    schedulers,
    tasks,
)

MODEL = Model("mine", "diffusers", "me/mine", steps=4, width=64, height=64)


def changed(**more: Any) -> Model:
    return replace(MODEL, **more)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cache": "NoCache"}, "model.cache=NoCache: is not a cache of diffusers. Choose one of: "),
        (
            {"cache": "TaylorSeerCacheConfig", "cache_config": {"x": 3}},
            "model.cache_config.x=3: TaylorSeerCacheConfig has no such setting. It has: ",
        ),
    ],
    ids=["name", "setting"],
)
def test_a_cache(changes: dict[str, Any], said: str):
    part = SimpleNamespace(enable_cache=None)
    assert refusal(caches.add, part, changed(**changes)).startswith(said)


def test_a_picture_of_a_size_that_the_decoder_does_not_make():
    configs = {"vae": {"block_out_channels": [8, 8, 8, 8]}}
    assert refusal(checks.check_size, changed(height=63), configs) == (
        "model.height=63: cannot be divided by 8, as this model's picture decoder needs. Try 64."
    )


def test_a_mask_for_a_model_that_fills_none():
    asked = changed(columns={"image": "photo", "mask_image": "mask"})
    assert refusal(checks.check_mask, asked, {"in_channels": 8}) == (
        "model.columns.mask_image=mask: diffusers cannot inpaint with a UNet of 8 channels. "
        "Use a model with 4 channels, or an inpainting model with 9."
    )


class NoSeed:
    def __call__(self, prompt, num_inference_steps, guidance_scale, width, height, output_type):
        """Of a class that takes no generator."""


class Needy(NoSeed):
    def __call__(
        self,
        pose,
        prompt=None,
        num_inference_steps=1,
        guidance_scale=1,
        width=8,
        height=8,
        output_type="pt",
        generator=None,
    ):
        """Of a class that needs more than a prompt."""


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        (
            {"max_sequence_length": 99},
            "StableDiffusionPipeline",
            "model.max_sequence_length=99: StableDiffusionPipeline reads as many tokens as its "
            "text encoder has places. Set it to null.",
        ),
        (
            {"call_kwargs": {"prompt": "a cat"}},
            "StableDiffusionPipeline",
            "model.call_kwargs.prompt=a cat: is set by imagepipe. Use dataset.prompt.",
        ),
        (
            {"columns": {"generator": "g"}},
            "StableDiffusionPipeline",
            "model.columns.generator=g: is set by imagepipe. Use seed.",
        ),
        ({}, NoSeed, "model.path=me/mine: NoSeed takes no argument generator. Name another model."),
        ({}, Needy, "model.path=me/mine: Needy needs pose too. Name another model."),
    ],
    ids="tokens ours column seed needs".split(),
)
def test_what_a_call_does_not_take(changes: dict[str, Any], kind: str | type, said: str):
    pipeline = getattr(diffusers, kind) if isinstance(kind, str) else kind
    assert refusal(checks.check_call, changed(**changes), pipeline) == said


@pytest.mark.parametrize(
    ("pictures", "said"),
    [
        ({"mask_image": "mask"}, "mask_image=mask: needs an input picture, and there is none. "),
        (
            {"image": "photo", "control_image": "edges"},
            "control_image=edges: is a picture that servers do not accept. ",
        ),
    ],
    ids=["mask", "control"],
)
def test_pictures_for_a_server(pictures: dict[str, str], said: str):
    asked = changed(columns=pictures)
    assert refusal(openai.check_pictures, asked).startswith(f"model.columns.{said}")


@pytest.mark.parametrize("field", ["call_kwargs", "request"])
def test_a_request_that_says_another_seed(field: str):
    asked = changed(engine="openai_images", **{field: {"seed": "s"}})
    assert refusal(image_request.check, asked) == (
        f"model.{field}.seed=s: differs from what each picture's metadata would say. "
        "Use seed, or model.columns.seed."
    )


def test_settings_of_a_scheduler():
    kind = diffusers.DDIMScheduler
    assert refusal(options.scheduler, kind, {}, {"beta_strat": 1}).startswith(
        "model.scheduler_config.beta_strat=1: DDIMScheduler has no such setting. "
        'Did you mean "beta_start"? It has: num_train_timesteps, beta_start, '
    )
    nothing = SimpleNamespace(configs={})
    assert refusal(schedulers.check, changed(scheduler_config={"x": 1}), nothing) == (
        "model.scheduler_config={'x': 1}: this model has no scheduler that could be changed. "
        "Leave it out."
    )


@pytest.mark.parametrize("option", ["vae_slicing", "vae_tiling"])
def test_a_decoder_without_parts(option: str):
    pipe = SimpleNamespace(vae=object())
    assert refusal(options.configure, pipe, changed(**{option: True})) == (
        f"model.{option}=True: object does not offer it. Set it to false."
    )


def test_a_compiler_and_a_backend_that_are_not_there():
    pipe = SimpleNamespace(unet=object(), vae=None)
    assert refusal(options.configure, pipe, changed(compile="inducto")) == (
        "model.compile=inducto: torch.compile has no such backend. "
        'Did you mean "inductor"? inductor is the usual.'
    )
    whole = changed(compile="inductor", compile_whole=True)
    assert refusal(options.configure, pipe, whole) == (
        "model.compile_whole=True: SimpleNamespace has no decoder by itself. Set it to false."
    )
    assert refusal(options.configure, pipe, changed(attention_backend="nativ")).startswith(
        'model.attention_backend=nativ: diffusers has no such backend. Did you mean "native"? '
    )


def test_random_weights_are_not_quantised():
    asked = changed(weights="random", quantization=Quantization(quant_backend="bitsandbytes_4bit"))
    assert refusal(quantization.config, asked, None) == (
        "model.weights=random: random weights cannot be quantised. Choose one of the two."
    )


@pytest.mark.parametrize(
    ("part", "word", "shape", "said"),
    [
        ("text_encoder_2", "<w>", (1, 8), "has embeddings for a text_encoder_2, and "),
        (
            "text_encoder",
            "<w>",
            (1, 7),
            "has 7 numbers an embedding, and the text_encoder of ",
        ),
        ("text_encoder", "cat", (1, 8), "the model knows 'cat' already. Give another word as its "),
    ],
    ids=["part", "width", "word"],
)
def test_a_word_that_the_model_does_not_take(part: str, word: str, shape: tuple, said: str):
    embeddings = torch.nn.Embedding(4, 8)
    pipe = SimpleNamespace(
        text_encoder=SimpleNamespace(get_input_embeddings=lambda: embeddings),
        tokenizer=SimpleNamespace(get_vocab=lambda: {"cat": 1}),
    )
    one = TextualInversion("cat.safetensors")
    assert refusal(inversions.check_fits, pipe, one, part, word, shape).startswith(
        f"model.textual_inversions=cat.safetensors: {said}"
    )


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("UNet2DConditionModel", "is a UNet2DConditionModel, and no ControlNet. Name the folder "),
        ("MyNet", "is a MyNet, which diffusers has no class for. Name another."),
    ],
)
def test_a_folder_that_is_no_controlnet(tmp_path: Path, kind: str, said: str):
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": kind}))
    asked = changed(controlnet=str(tmp_path))
    assert refusal(controlnets.given, asked, None, "cpu", None).startswith(
        f"model.controlnet={tmp_path}: {said}"
    )


@pytest.mark.parametrize(
    ("files", "has_config", "said"),
    [
        (
            ["model.fp16.safetensors"],
            True,
            "model.variant=None: the weights in {0} are of a variant (unet/model.fp16.safetensors)."
            " Try model.variant=fp16.",
        ),
        ([], False, "model.path=me/mine: its part 'unet' is missing in {0}. Use a complete model."),
        (
            [],
            True,
            "model.path=me/mine: its part 'unet' has no weights in {0}/unet. Name a whole model, "
            "or set model.weights=random to measure without weights.",
        ),
    ],
    ids=["variant", "part", "weights"],
)
def test_a_folder_that_lacks_weights(tmp_path: Path, files: list, has_config: bool, said: str):
    if has_config:
        (tmp_path / "unet").mkdir()
        (tmp_path / "unet" / "config.json").write_text("{}")
    assert refusal(repository.refuse_missing, MODEL, {"unet": files}, tmp_path) == said.format(
        tmp_path
    )


@pytest.mark.parametrize(
    ("pictures", "said"),
    [
        ({}, "has no class of diffusers beside it that takes a ControlNet. Set it to null, "),
        (
            {"image": "photo"},
            "has no class of diffusers beside it that takes a ControlNet and image. ",
        ),
    ],
    ids=["text", "image"],
)
def test_a_family_without_controlnets(pictures: dict[str, str], said: str):
    asked = changed(controlnet="me/edges", columns=pictures)
    assert said in refusal(tasks.of_pictures, diffusers.LuminaPipeline, asked)
