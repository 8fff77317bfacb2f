"""The metadata of a picture: enough to draw it again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from imagepipe import __version__
from imagepipe.config import Config, Model, OwnStage, config_digest
from imagepipe.stages import engines

STAGES = "stages"  # the text that says which custom stages changed the picture
SETTINGS = "model_settings"  # the text in a picture that says all of its model's
# Settings that a picture does not say, with their values in its place.
ELSEWHERE: dict[str, Any] = {"offload": "none", "base_url": None, "api_key_env": None}


def parameters(prompt: str, seed: int, metadata: dict[str, str]) -> str:
    """One text in the form that Stable Diffusion web UIs write and image tools read.

    These tools tell the prompt from the settings by lines, and the settings by a sampler among
    them. So a prompt has one line here, and a model's own scheduler is named as such.
    """
    names = {
        "steps": "Steps",
        "scheduler": "Sampler",
        "guidance": "CFG scale",
        "size": "Size",
        "model": "Model",
        "weights": "Weights",
    }
    parts = [f"{shown}: {metadata[name]}" for name, shown in names.items() if name in metadata]
    if "scheduler" not in metadata:
        parts.insert(1 if "steps" in metadata else 0, "Sampler: the model's own")
    negative = " ".join(metadata.get("negative_prompt", "").split())
    lines = [" ".join(prompt.split()), *([f"Negative prompt: {negative}"] if negative else [])]
    return "\n".join([*lines, ", ".join([*parts, f"Seed: {seed}"])])


def of_picture(
    row: Mapping[str, Any], id_column: str, metadata: dict[str, str], shape: tuple[int, ...]
) -> dict[str, str]:
    """The metadata of a picture of `shape` (height, width, 3), with `parameters` for image
    tools.

    Its size is its own, because a stage after the model may have changed it.
    """
    metadata = metadata | {"size": f"{shape[1]}x{shape[0]}"}
    return {
        "parameters": parameters(row["prompt"], row["seed"], metadata),
        "id": str(row[id_column]),
        **{name: str(row[name]) for name in ("prompt", "base_prompt", "seed")},
        "image_index": str(row.get("image_index", 0)),
        **metadata,
    }


def settings(model: Model) -> str | None:
    """The settings of `model` that differ from the defaults, as JSON; null for a custom class.

    The options of a class may hold anything, and no picture should decide which code runs, or which
    server gets a key. Offloading changes no picture, and differs between machines.
    """
    if engines.of("model", model).is_custom:
        return None
    said, usual = replace(model, **ELSEWHERE), Model()
    both = {one.name: (getattr(said, one.name), getattr(usual, one.name)) for one in fields(Model)}
    changed = {name: value for name, (value, default) in both.items() if value != default}
    return json.dumps(changed, default=asdict)


def model_metadata(model: Model) -> dict[str, str | None]:
    """The metadata about the model for a picture that `model` drew; null: left out."""
    from imagepipe import diffusion  # which reads cells: a command's --help does not wait for that

    unsent = diffusion.unsent(model)
    return {
        "negative_prompt": model.negative_prompt,
        "steps": None if "steps" in unsent else str(model.steps),
        "guidance": None if "guidance" in unsent else f"{model.guidance:g}",
        "size": f"{model.width}x{model.height}",
        "scheduler": model.scheduler,
        "model": model.path or model.name,
        "model_revision": model.revision,
        "weights": "random (noise)" if model.weights == "random" else None,
        "loras": ", ".join(f"{lora.path} x {lora.weight:g}" for lora in model.loras) or None,
        "textual_inversions": ", ".join(one.path for one in model.textual_inversions) or None,
        "vae": model.vae,
        "parts": ", ".join(f"{name} {one.path}" for name, one in model.parts.items()) or None,
        "controlnet": model.controlnet,
        "ip_adapter": _adapter(model),
        "cache": model.cache,
        "seed_note": diffusion.seed_note(model),
        SETTINGS: settings(model),
        "imagepipe_version": __version__,
    }


def _adapter(model: Model) -> str | None:
    one = model.ip_adapter
    return None if one.path is None else f"{one.path} {one.weight_name} x {one.scale:g}"


def run_metadata(
    config: Config, mlflow_run_id: str | None, stages: Sequence[OwnStage] = ()
) -> dict[str, str]:
    """The metadata of every picture of the run; `stages` are those that changed it after the
    model.
    """
    changed_by = [{"_target_": one._target_, "arguments": one.arguments} for one in stages]
    said = {
        **model_metadata(config.model),
        "llm": config.llm.path or config.llm.name,
        "config_digest": config_digest(config),
        STAGES: json.dumps(changed_by) if changed_by else None,
        "mlflow_run_id": mlflow_run_id,
    }
    return {key: str(value) for key, value in said.items() if value is not None}
