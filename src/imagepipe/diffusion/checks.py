"""Checks before a run: is the model available, and does it accept the settings?"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from typing import Any

from imagepipe.config import Model
from imagepipe.diffusion import (
    adapters,
    options,
    origin,
    parts,
    quantization,
    random_weights,
    repository,
    rows,
    schedulers,
    tasks,
    weighted,
)
from imagepipe.diffusion.diffusers import arguments, guides_truly
from imagepipe.diffusion.refusals import refused
from imagepipe.errors import did_you_mean
from imagepipe.stages import weights

# Arguments of a pipeline's call that imagepipe gives by other keys, or always in one way.
OURS = {
    "prompt": "dataset.prompt",
    "num_inference_steps": "model.steps",
    "guidance_scale": "model.guidance",
    "true_cfg_scale": "model.guidance",
    "width": "model.width",
    "height": "model.height",
    "negative_prompt": "model.negative_prompt",
    "max_sequence_length": "model.max_sequence_length",
    "num_images_per_prompt": "model.images_per_prompt",
    "generator": "seed",
    "output_type": "sink",
    "return_dict": "sink",
}
# Those that take tensors, pictures or functions.
NO_VALUE = re.compile("embeds|latents|image|mask|callback|timesteps|sigmas|_kwargs")


def check(model: Model) -> None:
    """Downloads the model from the hub if it is not cached; reads only the names of its weights.

    Raises UserError for everything that would stop the drawing processes: the model is missing, or
    an option does not fit it.
    """
    if model.scheduler is not None:
        schedulers.check_name(model.scheduler)
    path = weights.check_path("model.path", model.path)
    if origin.is_single(model) or origin.own(model):
        repository.quiet()  # first: diffusers tells of which model a file is
    if model.weights == "trained":
        described = repository.read(repository.fetch(model))
    else:
        described = repository.describe(model)
    with weights.readable("model.path", path, described.folder or path):
        _check_described(model, described)


def _check_described(model: Model, described: repository.Description) -> None:
    check_size(model, parts.configs(model, described))
    if model.weights == "trained" and not described.is_known:  # its code comes with the model,
        if schedulers.is_changed(model):  # and is not read here
            schedulers.check(model, described)
        return
    plain = (model.path or "").startswith("asset:")  # which needs no library to tell
    asked = _has_options(model, described.configs)
    if asked or model.call_kwargs or model.columns or not plain:
        repository.quiet()
        check_call(model, random_weights.pipeline_class(described.index, model))
    if "mask_image" in model.pictures:
        check_mask(model, described.configs.get("unet", {}))
    if model.weights == "trained":
        parts.check(model, described)
    if asked:
        _check_options(model, described)
    if not (plain and schedulers.is_usual(model, described)):
        schedulers.check(model, described)


def row_limits(model: Model) -> tuple[int, rows.Strength]:
    """For a model that `check` has passed: its `size_factor`, and how it counts steps."""
    described = repository.describe(model)
    strength = rows.Strength()
    if model.pictures and described.is_known:
        strength = tasks.strength(random_weights.pipeline_class(described.index, model))
    return size_factor(parts.configs(model, described)), strength


def size_factor(configs: dict[str, Any]) -> int:
    """Width and height must be multiples of this: the VAE's scale times the denoiser's patch.

    A transformer either makes patches of latents itself or gets them packed, which shows in its
    channels: those of 2 x 2 latents are 4 times as many.
    """
    vae, denoiser = configs.get("vae", {}), configs.get("transformer") or configs.get("unet", {})
    channels, scale = latents(vae)
    packed = math.isqrt(denoiser.get("in_channels", channels) // channels)
    patch = denoiser.get("patch_size") or max(denoiser.get("all_patch_size") or [1])
    return scale * max(1, packed, patch)


def latents(vae: Mapping[str, Any]) -> tuple[int, int]:
    """The number of latent channels of a VAE with this configuration, and the pixels per side of
    one latent.
    """
    widths = vae.get("encoder_block_out_channels") or vae.get("block_out_channels") or [0] * 4
    halvings = len(vae["temperal_downsample"]) if "temperal_downsample" in vae else len(widths) - 1
    return vae.get("latent_channels") or vae.get("z_dim") or 4, 2**halvings


def check_mask(model: Model, unet: dict[str, Any]) -> None:
    """diffusers inpaints with a UNet with 4 channels, or with 9 if it was trained for it."""
    channels = unet.get("in_channels", 4)
    if channels not in (4, 9):
        raise refused(
            "columns.mask_image",
            model.pictures["mask_image"],
            f"diffusers cannot inpaint with a UNet of {channels} channels",
            "Use a model with 4 channels, or an inpainting model with 9.",
        )


def check_size(model: Model, configs: dict[str, Any]) -> None:
    factor = size_factor(configs)
    for field, pixels in (("width", model.width), ("height", model.height)):
        if pixels % factor:
            raise refused(
                field,
                pixels,
                f"cannot be divided by {factor}, as this model's picture decoder needs",
                f"Try {max(factor, round(pixels / factor) * factor)}.",
            )


def _has_options(model: Model, configs: dict[str, Any]) -> bool:
    """Whether any option is set that not every pipeline accepts."""
    for_video = "temperal_downsample" in configs.get("vae", {})
    return bool(
        model.negative_prompt is not None
        or model.max_sequence_length is not None
        or model.prompt_syntax
        or model.loras
        or model.textual_inversions
        or origin.own(model)
        or model.controlnet
        or model.ip_adapter.path
        or model.vae_slicing
        or model.vae_tiling
        or (model.channels_last and for_video)
        or model.attention_backend
        or model.cache
        or model.compile
        or model.quantization.quant_backend
    )


def _check_options(model: Model, described: repository.Description) -> None:
    """Tries the options on the pipeline without weights, which takes seconds and no memory."""
    import torch

    quantization.config(model, described)
    given = parts.given(model, described, "meta", torch.float32)
    options.configure(random_weights.pipeline(model, "meta", torch.float32, **given), model)


def check_call(model: Model, pipeline: Any) -> None:
    kind, takes = pipeline.__name__, inspect.signature(pipeline.__call__).parameters
    tasks.check(pipeline, model)
    adapters.check(model)
    if model.prompt_syntax is not None:
        weighted.check(model, pipeline)
    tasks.strength(pipeline).check(model)
    negative = model.negative_prompt
    guided_by_both = "true_cfg_scale" in takes and not guides_truly(takes)
    if negative is not None and ("negative_prompt" not in takes or guided_by_both):
        raise refused(
            "negative_prompt", negative, f"{kind} takes no negative prompt", "Set it to null."
        )
    if model.max_sequence_length is not None and "max_sequence_length" not in takes:
        raise refused(
            "max_sequence_length",
            model.max_sequence_length,
            f"{kind} reads as many tokens as its text encoder has places",
            "Set it to null.",
        )
    _check_arguments(model, kind, takes)
    always = {"prompt": None, "generator": None, "output_type": "pt", **arguments([model], takes)}
    always |= dict.fromkeys(tasks.names(pipeline, model.pictures).values())
    lacking = [name for name in always if name not in takes]
    if lacking:
        raise refused(
            "path", model.path, f"{kind} takes no argument {lacking[0]}", "Name another model."
        )
    needed = [name for name, one in takes.items() if _is_needed(one) and name not in always]
    if needed[1:]:  # the first is self
        raise refused("path", model.path, f"{kind} needs {needed[1]} too", "Name another model.")
    if "num_frames" in takes:
        raise refused("path", model.path, f"{kind} draws videos", "Name another model.")


def _check_arguments(model: Model, kind: str, takes: Mapping[str, Any]) -> None:
    """Check `model.call_kwargs` and `model.columns` against the call of the pipeline `kind`."""
    if "negative_prompt" in model.columns and "negative_prompt" not in takes:
        column = model.columns["negative_prompt"]
        raise refused(
            "columns.negative_prompt", column, f"{kind} takes no negative prompt", "Leave it out."
        )
    by_row = {key: f"columns.{key}" for key in model.columns if not rows.is_setting(key)}
    for name, field in {
        **{key: f"call_kwargs.{key}" for key in model.call_kwargs},
        **by_row,
    }.items():
        value = model.columns.get(name, model.call_kwargs.get(name))
        if name in OURS:
            raise refused(field, value, "is set by imagepipe", f"Use {OURS[name]}.")
        if name not in takes:
            guess = did_you_mean(name, takes)
            raise refused(field, value, f"{kind} takes no such argument", f"{guess}Leave it out.")
        if NO_VALUE.search(name):
            raise refused(
                field,
                value,
                "takes no number or text, and nothing else can be given",
                "Leave it out.",
            )


def _is_needed(parameter: inspect.Parameter) -> bool:
    named = parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    return named and parameter.default is inspect.Parameter.empty
