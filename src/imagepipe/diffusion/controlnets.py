"""A ControlNet beside a model, which follows a picture of edges, depth or a pose."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imagepipe.config import Model
from imagepipe.diffusion import fit, random_weights, repository
from imagepipe.diffusion.refusals import found, refused, unusable
from imagepipe.stages import kinds, loading, weights

# What a ControlNet has to share with the model beside it, in the configurations of both.
SHARED = ("cross_attention_dim", "joint_attention_dim", "pooled_projection_dim", "in_channels")


def given(model: Model, beside: repository.Description, device: str, dtype: Any) -> dict[str, Any]:
    """The part `controlnet` of a pipeline, which `model.controlnet` names; none where it is null.

    Raises UserError where it is not there, or was made for another model.
    """
    if model.controlnet is None:
        return {}
    config = _config(model)
    _check_shared(model, config, beside)
    if model.weights == "random" or device == "meta":
        if model.weights == "trained":
            _check_files(model, config)
        return {"controlnet": random_weights.one_part(config, device, dtype)}
    return {"controlnet": _loaded(model, config, dtype)}


def described(model: Model) -> dict[str, Any] | None:
    """The configuration of a well-known one, which comes with the package; null for others."""
    file = repository.ARCHITECTURES / f"{(model.controlnet or '').replace('/', '--')}.json"
    return json.loads(file.read_text("utf-8"))["controlnet"] if file.is_file() else None


def _config(model: Model) -> dict[str, Any]:
    """Its configuration; with random weights that of a well-known one comes with the package."""
    import diffusers

    path = model.controlnet or ""
    known = described(model)
    if model.weights == "random" and known:
        return known
    where = found("controlnet", path)
    told = kinds.told(Path(where)) if Path(where).is_file() else None
    if told:
        raise refused("controlnet", path, *told)
    try:
        config = diffusers.AutoModel.load_config(where, revision=model.controlnet_revision)
    except OSError as error:
        raise unusable("controlnet", path, model.controlnet_revision, error) from error
    if "ControlNet" not in str(config.get("_class_name")):
        raise refused(
            "controlnet",
            path,
            f"is a {config.get('_class_name')}, and no ControlNet",
            "Name the folder or the hub id of one.",
        )
    return dict(config)


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


def _check_files(model: Model, config: dict[str, Any]) -> None:
    """Of a folder; what comes from the hub is compared once it is loaded."""
    import diffusers

    where = weights.locate(model.controlnet or "")
    if isinstance(where, Path):
        kind = getattr(diffusers, config["_class_name"])
        files = repository.weight_files(where, model)
        fit.check_part("model.controlnet", model.controlnet, where, kind, config, files)


def _loaded(model: Model, config: Mapping[str, Any], dtype: Any) -> Any:
    import diffusers

    path, revision = model.controlnet or "", model.controlnet_revision
    where = found("controlnet", path)
    folder = Path(where)
    try:
        part, report = getattr(diffusers, config["_class_name"]).from_pretrained(
            where,
            revision=revision,
            variant=repository.variant_of(folder, model) if folder.is_dir() else model.variant,
            dtype=dtype,
            use_safetensors=repository.safetensors_only(model),
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    except OSError as error:
        raise unusable("controlnet", path, revision, error) from error
    loading.refuse_unfit("model.controlnet", path, where, part, report)
    return part
