"""IP-Adapters: a picture as an additional prompt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imagepipe.config import Model
from imagepipe.diffusion import folders, random_weights, repository, single_files
from imagepipe.diffusion.origin import Source
from imagepipe.diffusion.refusals import found, refused, unusable
from imagepipe.errors import one_line
from imagepipe.stages import kinds, weights

ENCODER = "image_encoder"
# By the name of the weight that reads what the encoder says of a picture how the configuration of
# the encoder calls the length of that.
READS = {
    "proj.weight": "projection_dim",
    "proj.0.weight": "hidden_size",
    "proj_in.weight": "hidden_size",
}
FACES = "perceiver_resampler.proj_in.weight"  # of a FaceID, which has proj.0.weight too
REMEDY = "Name one that was made for this model."
SUCH = "Name the one to take of model.ip_adapter.path, such as ip-adapter_sd15.safetensors."


def encoder(model: Model) -> Source | None:
    """Where the image encoder is, as diffusers looks for it; null without an adapter."""
    asked = model.ip_adapter
    if asked.path is None:
        return None
    beside = "" if "/" in asked.image_encoder_folder else f"{asked.subfolder}/"
    inside = f"{beside}{asked.image_encoder_folder}".strip("/")
    return Source("ip_adapter.path", asked.path, asked.revision, inside)


def file(model: Model) -> str:
    """The name of the adapter's file, in its folder or repository."""
    return f"{model.ip_adapter.subfolder}/{model.ip_adapter.weight_name or ''}".strip("/")


def given(model: Model, beside: repository.Description, device: str, dtype: Any) -> dict[str, Any]:
    """The part `image_encoder` for a pipeline without one.

    Raises UserError if it does not exist, or its files are incomplete.
    """
    from transformers import CLIPVisionModelWithProjection

    source = encoder(model)
    if source is None or ENCODER in beside.configs:
        return {}
    kind, config = folders.configured(source, CLIPVisionModelWithProjection)
    if model.weights == "random" or device == "meta":
        if model.weights == "trained":
            folders.check(model, source, kind, config)
        return {ENCODER: random_weights.filled(kind, config, device, dtype)}
    return {ENCODER: folders.load(model, source, kind, dtype)}


def add(pipe: Any, model: Model) -> None:
    """Add the adapter to the pipeline's UNet; for a pipeline on "meta" only the file's header is
    compared.

    Raises UserError if the pipeline accepts none, or the file was not made for it.
    """
    asked = model.ip_adapter
    if asked.path is None:
        return
    kind = type(pipe).__name__
    if not (hasattr(pipe, "load_ip_adapter") and hasattr(pipe, "unet")):
        told = f"{kind} has no UNet that diffusers adds an IP-Adapter to"
        raise refused("ip_adapter.path", asked.path, told, "Set it to null.")
    held = _held(model, on_meta=pipe.unet.device.type == "meta")
    _check_encoder(model, held["image_proj"], pipe.image_encoder.config)
    try:
        # The names of a file matter no more once it is read.
        pipe.load_ip_adapter(held, subfolder="", weight_name="", image_encoder_folder=None)
    except (KeyError, RuntimeError, ValueError) as error:
        said = f"does not fit {kind} ({one_line(error)})"
        raise refused("ip_adapter.path", asked.path, said, REMEDY) from error
    added = sum(hasattr(one, "to_k_ip") for one in pipe.unet.attn_processors.values())
    layers = sum(name.endswith("to_k_ip.weight") for name in held["ip_adapter"])
    if added != layers:
        said = f"has {layers} layers, and {kind} here takes {added}"
        raise refused("ip_adapter.path", asked.path, said, REMEDY)
    pipe.set_ip_adapter_scale(asked.scale)


def _held(model: Model, *, on_meta: bool) -> dict[str, dict[str, Any]]:
    """The content of its file, in diffusers' form. Raises UserError if it is no IP-Adapter."""
    asked, where = model.ip_adapter, _where(model)
    header = single_files.header("model.ip_adapter.path", asked.path or "", where)
    read = header if on_meta else single_files.load(where)
    parts: dict[str, dict[str, Any]] = {"image_proj": {}, "ip_adapter": {}}
    for name, value in read.items():
        part, _, own = name.partition(".")
        if part in parts:
            parts[part][own] = value
    if not all(parts.values()):
        said = f"{where.name} is not an IP-Adapter, which has image_proj.* and ip_adapter.*"
        remedy = "Name the file of one: model.ip_adapter.weight_name."
        raise refused("ip_adapter.path", asked.path, said, remedy)
    return parts


def _where(model: Model) -> Path:
    """The file; a hub file in the cache, after a download if needed."""
    asked, name = model.ip_adapter, file(model)
    if not name.endswith(kinds.SAFE):
        told = "is not a safetensors file"
        raise refused("ip_adapter.weight_name", asked.weight_name, told, SUCH)
    path = found("ip_adapter.path", asked.path or "")
    here = weights.file_here(path, name, asked.revision)
    if here is not None:
        return here
    if isinstance(weights.locate(path), Path):
        lacks = f"there is no {name} in it"
        raise refused("ip_adapter.path", asked.path, lacks, "Name another file.")
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(path, name, revision=asked.revision))
    except (OSError, ValueError) as error:
        raise unusable("ip_adapter.path", path, asked.revision, error) from error


def _check_encoder(model: Model, held: Mapping[str, Any], config: Any) -> None:
    """Raise UserError if the adapter does not fit the output of the image encoder."""
    path, own = model.ip_adapter.path, [name for name in READS if name in held]
    if not own or FACES in held:
        told = "needs face embeddings from another library (FaceID), not pictures"
        raise refused("ip_adapter.path", path, told, "Name an IP-Adapter without FaceID.")
    reads, gives = held[own[0]].shape[1], getattr(config, READS[own[0]])
    if reads != gives:
        said = f"reads {reads} numbers a picture, and its image encoder gives {gives}"
        remedy = "Name the encoder: model.ip_adapter.image_encoder_folder."
        raise refused("ip_adapter.path", path, said, remedy)


def check(model: Model) -> None:
    """Raise UserError if there is an adapter without a column of pictures, or the reverse."""
    column = model.pictures.get("ip_adapter_image")
    if model.ip_adapter.path is not None and column is None:
        remedy = "Name their column: model.columns.ip_adapter_image=COLUMN."
        raise refused("ip_adapter.path", model.ip_adapter.path, "gets no pictures", remedy)
    if model.ip_adapter.path is None and column is not None:
        said = "is for an IP-Adapter, and there is none"
        raise refused("columns.ip_adapter_image", column, said, "Set model.ip_adapter.path too.")
