"""Values in the JSON of a model that would fail each row, told before a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import diffusers
import pytest
from helpers.fuzz_models import CHECKS, copy

from imagepipe.diffusion import random_weights
from imagepipe.diffusion.repository import ARCHITECTURES
from imagepipe.errors import UserError
from imagepipe.stages import numbers

FILE = Path("unet", "config.json")
UNET, SCHEDULER = "UNet2DConditionModel", "DPMSolverMultistepScheduler"


def said(config: dict[str, Any], kind: Any = None) -> str:
    """What is wrong with it, without what surrounds it."""
    with pytest.raises(UserError) as caught:
        numbers.check("model.path", "m", FILE, config, kind)
    start, _, cause = caught.value.problem.partition(" is broken (")
    assert start == str(FILE)
    return cause.removesuffix(")")


@pytest.mark.parametrize(
    ("kind", "config", "cause"),
    [
        (UNET, {"norm_eps": "1\x1b"}, "norm_eps is '1\\x1b', and no number"),
        (UNET, {"norm_eps": None}, "norm_eps is None, and no number"),
        (UNET, {"freq_shift": [1]}, "freq_shift is [1], and no number"),
        (UNET, {"attention_head_dim": []}, "attention_head_dim is [], and no number"),
        (UNET, {"norm_num_groups": True}, "norm_num_groups is True, and no number"),
        (UNET, {"mid_block_scale_factor": {"a": 1}}, "is {'a': 1}, and no number"),
        (UNET, {"attention_head_dim": -1}, "attention_head_dim is -1, and less than 0"),
        (UNET, {"downsample_padding": 1.5}, "is 1.5, and no whole number"),
        (UNET, {"downsample_padding": 1e30}, "is 1e+30, and no whole number"),
        (UNET, {"_diffusers_version": 1}, "_diffusers_version is 1, and no version"),
        (UNET, {"_diffusers_version": "x"}, "_diffusers_version is 'x', and no version"),
        ("AutoencoderKL", {"scaling_factor": [1]}, "scaling_factor is [1], and no number"),
        (SCHEDULER, {"beta_end": "x" * 99}, "xxx ... xxx', and no number"),
        (SCHEDULER, {"num_train_timesteps": {}}, "num_train_timesteps is {}, and no number"),
    ],
)
def test_a_class_of_diffusers_takes_numbers(kind: str, config: dict[str, Any], cause: str):
    told = said(config, getattr(diffusers, kind))
    begin, _, end = cause.partition(" ... ")
    assert begin in told and told.endswith(end)


@pytest.mark.parametrize(
    ("config", "cause"),
    [
        ({"num_hidden_layers": -1}, "num_hidden_layers is -1, and less than 0"),
        ({"text_config": {"num_attention_heads": -2}}, "num_attention_heads is -2, and less"),
        ({"vision_config": {"patch_size": -16}}, "patch_size is -16, and less than 0"),
        ({"layer_norm_eps": None}, "layer_norm_eps is None, and no number"),
        ({"rms_norm_eps": "1e-5"}, "rms_norm_eps is '1e-5', and no number"),
    ],
)
def test_no_model_has_less_than_nothing(config: dict[str, Any], cause: str):
    assert said(config).startswith(cause)


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (UNET, {"attention_head_dim": [5, 10, 20], "norm_num_groups": None}),
        (UNET, {"mid_block_scale_factor": 1, "norm_eps": 1, "cross_attention_dim": 768}),
        (UNET, {"sample_size": None, "dropout": 0, "made_by": "me", "layers_per_block": [1, 2]}),
        (UNET, {"_diffusers_version": "0.40.0.dev0"}),
        ("AutoencoderKL", {"shift_factor": None, "latents_mean": [0.1], "force_upcast": 1}),
        ("ZImageTransformer2DModel", {"norm_eps": 1e-6, "rope_theta": 256.5, "n_heads": None}),
        (SCHEDULER, {"lambda_min_clipped": -5.1, "trained_betas": None, "steps_offset": 1}),
    ],
)
def test_what_models_hold_is_taken(kind: str, config: dict[str, Any]):
    numbers.check("model.path", "m", FILE, config, getattr(diffusers, kind))


@pytest.mark.parametrize("path", sorted(ARCHITECTURES.glob("*.json")), ids=lambda path: path.stem)
def test_the_real_architectures_are_taken(path: Path):
    described = json.loads(path.read_text("utf-8"))
    index = described.pop("model_index", {})
    assert described
    for name, config in described.items():
        library, class_name = index.get(name, ("diffusers", "ControlNetModel"))
        kind = random_weights.part_class(library, class_name)
        numbers.check("model.path", "m", FILE, config, kind if library == "diffusers" else None)


@pytest.mark.parametrize(
    ("kind", "file", "change", "cause"),
    [
        ("tiny", "tokenizer/tokenizer_config.json", {"model_max_length": [2]}, "no number of tok"),
        ("tiny", "tokenizer/tokenizer_config.json", {"model_max_length": "32"}, "is '32', and no"),
        ("tiny", "tokenizer/tokenizer_config.json", {"model_max_length": 1.5}, "is 1.5, and no"),
        ("tiny", "tokenizer/tokenizer_config.json", {"model_max_length": -1}, "is -1, and no"),
        ("tiny", "tokenizer/tokenizer_config.json", {"model_input_names": 0}, "cannot be used ("),
        ("tiny", "scheduler/scheduler_config.json", {"beta_end": [1]}, "beta_end is [1], and no"),
        ("tiny", "text_encoder/config.json", {"eos_token_id": [1]}, "eos_token_id is [1], and not"),
        ("tiny", "text_encoder/config.json", {"num_attention_heads": -1}, "less than 0"),
        ("tiny", "unet/config.json", {"norm_eps": [1]}, "norm_eps is [1], and no number"),
        ("tiny", "vae/config.json", {"up_block_types": []}, "that its config.json does not count"),
        ("tiny_llm", "tokenizer_config.json", {"model_max_length": "x"}, "no number of tokens"),
        ("tiny_llm", "tokenizer_config.json", {"model_input_names": ["x"]}, "cannot be used ("),
        ("tiny_llm", "generation_config.json", {"eos_token_id": 1e30}, "is 1e+30, and not the num"),
        ("tiny_llm", "generation_config.json", {"eos_token_id": [1, "x"]}, "is 'x', and not the"),
        ("tiny_llm", "config.json", {"num_hidden_layers": -1}, "num_hidden_layers is -1, and less"),
        ("tiny_llm", "config.json", {"num_hidden_layers": 0}, "that its config.json does not coun"),
        ("tiny_clip", "tokenizer_config.json", {"model_max_length": {}}, "no number of tokens"),
        ("tiny_clip", "tokenizer_config.json", {"pad_token": None}, "cannot be used ("),
        ("tiny_clip", "tokenizer_config.json", {"unk_token": ""}, "'', which is none of its tok"),
        ("tiny_clip", "tokenizer_config.json", {"model_input_names": None}, "cannot be used ("),
    ],
)
def test_a_model_with_it_is_refused_before_a_run(kind: str, file: str, change: Any, cause: str):
    with copy(kind) as folder:
        held = json.loads((folder / file).read_text("utf-8"))
        (folder / file).unlink()
        (folder / file).write_text(json.dumps(held | change))
        with pytest.raises(UserError) as caught:
            CHECKS[kind](str(folder))
    assert caught.value.field.endswith(".path") and cause in caught.value.problem
    assert str(folder) in caught.value.problem and caught.value.remedy
