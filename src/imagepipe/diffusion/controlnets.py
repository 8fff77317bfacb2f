"""ControlNets: the model follows edges, depth or a pose from an input picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from imagepipe.config import Model
from imagepipe.diffusion import folders, origin, random_weights, repository
from imagepipe.diffusion.origin import Source
from imagepipe.diffusion.refusals import refused
from imagepipe.stages import kinds

# What a ControlNet has to share with the model beside it, in the configurations of both.
SHARED = ("cross_attention_dim", "joint_attention_dim", "pooled_projection_dim", "in_channels")


def given(model: Model, beside: repository.Description, device: str, dtype: Any) -> dict[str, Any]:
    """The part `controlnet` of a pipeline, which `model.controlnet` names; none if it is null.

    Raises UserError if it does not exist, or was made for another model.
    """
    source = origin.controlnet(model)
    if source is None:
        return {}
    kind, config = _configured(model, source)
    _check_shared(model, config, beside)
    if model.weights == "random" or device == "meta":
        if model.weights == "trained":
            folders.check(model, source, kind, config)
        return {"controlnet": random_weights.filled(kind, config, device, dtype)}
    return {"controlnet": folders.load(model, source, kind, dtype)}


def described(model: Model) -> dict[str, Any] | None:
    """The configuration of a well-known ControlNet, which ships with the package; null for
    others.
    """
    file = repository.ARCHITECTURES / f"{(model.controlnet or '').replace('/', '--')}.json"
    return json.loads(file.read_text("utf-8"))["controlnet"] if file.is_file() else None


def _configured(model: Model, source: Source) -> tuple[Any, dict[str, Any]]:
    """Class and configuration; with random weights those of a well-known one come with the package.

    Raises UserError if it is no ControlNet.
    """
    known = described(model) if model.weights == "random" else None
    if known:
        return random_weights.part_class("diffusers", known["_class_name"]), known
    told = kinds.told(source.file) if source.file else None
    if told:
        raise refused(source.field, source.path, *told)
    kind, config = folders.configured(source)
    if "ControlNet" not in kind.__name__:
        said = f"is a {kind.__name__}, and no ControlNet"
        raise refused("controlnet", source.path, said, "Name the folder or the hub id of one.")
    return kind, config


def _check_shared(model: Model, config: Mapping[str, Any], beside: repository.Description) -> None:
    own = beside.configs.get("transformer") or beside.configs.get("unet", {})
    for name in SHARED:
        if name in config and config[name] != own.get(name, config[name]):
            raise refused(
                "controlnet",
                model.controlnet,
                f"is of another model: its {name} is {config[name]}, not {own[name]}",
                f"Name one that was made for {model.path}.",
            )
