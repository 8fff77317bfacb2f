"""Weights in single files: with the names that the model's makers gave, or as GGUF."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from imagepipe.diffusion.origin import GGUF
from imagepipe.diffusion.refusals import refused
from imagepipe.stages import loading, weights

UNET = "model.diffusion_model."  # before the names of a UNet, as diffusers wants them
# What stands before the names of a text encoder in a checkpoint, by the part of the pipeline.
# Those that end in .model. stand before the names of open_clip's own layers.
ENCODERS = {
    "text_encoder": (
        "cond_stage_model.transformer.",
        "conditioner.embedders.0.transformer.",
        "text_encoders.clip_l.transformer.",
        "cond_stage_model.model.",
    ),
    "text_encoder_2": (
        "conditioner.embedders.1.model.",
        "conditioner.embedders.0.model.",
        "text_encoders.clip_g.transformer.",
        "text_encoders.t5xxl.transformer.",
    ),
    "text_encoder_3": ("text_encoders.t5xxl.transformer.",),
}
OPEN_CLIP = ".model."  # how the prefix of such ends


def header(field: str, path: str, file: Path) -> dict[str, Any]:
    """The names in a file, each with a tensor of its shape that holds no values."""
    import torch

    read = _gguf_shapes if file.suffix == GGUF else loading.shapes
    shapes = read(field, path, file)
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def load(file: Path) -> dict[str, Any]:
    """All tensors of a file."""
    if file.suffix == GGUF:
        from diffusers.models.model_loading_utils import load_gguf_checkpoint

        return load_gguf_checkpoint(str(file))
    from safetensors.torch import load_file

    return load_file(file)


def check_gguf(field: str, path: str) -> None:
    """Raises UserError if the package that reads GGUF is not installed."""
    from importlib.util import find_spec

    if find_spec("gguf") is None:
        needed = "is GGUF, which is read by a package that is not installed here"
        raise refused(field, path, needed, "pip install 'imagepipe[gguf]'")


def _gguf_shapes(field: str, path: str | None, file: Path) -> dict[str, tuple[int, ...]]:
    import gguf

    try:
        tensors = gguf.GGUFReader(file).tensors
    except Exception as error:  # whatever its reader raises for a file that is broken
        raise weights.broken(field, path, file, str(error)) from error
    return {one.name: tuple(map(int, reversed(one.shape))) for one in tensors}


def named(kind: Any, held: Mapping[str, Any]) -> dict[str, Any]:
    """`held` as diffusers' conversion for `kind` takes it: a UNet's names may lack their prefix."""
    is_alone = kind.__name__ == "UNet2DConditionModel" and "input_blocks.0.0.weight" in held
    return {f"{UNET}{name}": value for name, value in held.items()} if is_alone else {**held}


def converted(
    name: str, kind: Any, config: Mapping[str, Any], held: Mapping[str, Any], needs: Iterable[str]
) -> dict[str, Any]:
    """Of a checkpoint what the part `name` takes, under the names that its class `kind` has.

    `needs` are these names; a file that has most of them needs no conversion. Empty where the
    checkpoint has none of it. Raises KeyError and other errors where it lacks what others need.
    """
    needs = set(needs)
    if 2 * len(needs & held.keys()) > len(needs):
        return {**held}
    if name.startswith("text_encoder"):
        return _of_encoder(name, kind, config, held, needs)
    from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES as LOADABLE

    ways = [LOADABLE[one.__name__] for one in kind.__mro__ if one.__name__ in LOADABLE]
    if not ways:
        return {**held}
    return ways[0]["checkpoint_mapping_fn"](config=dict(config), checkpoint=named(kind, held))


def _of_encoder(
    name: str, kind: Any, config: Mapping[str, Any], held: Mapping[str, Any], needs: set[str]
) -> dict[str, Any]:
    found = [one for one in ENCODERS[name] if any(key.startswith(one) for key in held)]
    prefix = found[0] if found else ""
    if prefix.endswith(OPEN_CLIP):
        own = _of_open_clip(prefix, kind, config, held)
    else:
        own = {key.removeprefix(prefix): held[key] for key in held if key.startswith(prefix)}
    if needs & own.keys():
        return own
    return {key.removeprefix("text_model."): value for key, value in own.items()}


def _of_open_clip(
    prefix: str, kind: Any, config: Mapping[str, Any], held: Mapping[str, Any]
) -> dict[str, Any]:
    from types import SimpleNamespace

    from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint

    like = SimpleNamespace(config=kind.config_class.from_dict(dict(config)))
    return convert_open_clip_checkpoint(like, dict(held), prefix=prefix)
