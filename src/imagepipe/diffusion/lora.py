"""LoRAs: added to a pipeline, or refused if diffusers would ignore a part of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from imagepipe.config import Lora, Model
from imagepipe.diffusion import repository
from imagepipe.diffusion.refusals import found, refused, unusable
from imagepipe.errors import UserError, one_line
from imagepipe.stages import kinds, loading, weights

FILE = "pytorch_lora_weights.safetensors"  # where a LoRA is a folder or of the hub
UP = ("lora.up.weight", "_lora.up.weight", "lora_linear_layer.up.weight", "lora_B.weight")
# What files hold that diffusers does not take, by a part of their names, and what to do about it.
MOST_EMBEDDINGS = 2  # that a textual inversion holds: one for each text encoder of SDXL
SAVE = "Save it with the pipeline's save_lora_weights"
KINDS = {
    "hada_": ("is a LoHa of LyCORIS (hada_*)", "Merge it into the model with LyCORIS"),
    "lokr_": ("is a LoKr of LyCORIS (lokr_*)", "Merge it into the model with LyCORIS"),
    "oft_": ("is an OFT (oft_*)", "Merge it into the model"),
    "base_model.model.": ("has the names that peft saves (base_model.model.*)", SAVE),
    "model.diffusion_model.": ("is a whole model", "Name it as model.path, once it is converted"),
}


def add(pipe: Any, model: Model) -> None:
    """Add all LoRAs, each with its own weight."""
    if not model.loras:
        return
    if not hasattr(pipe, "load_lora_weights"):
        kind = type(pipe).__name__
        raise refused("loras", _paths(model), f"{kind} takes no LoRA", "Set it to [].")
    for name, lora in zip(adapters(model), model.loras, strict=True):
        _add_lora(pipe, model, name, lora)
    pipe.set_adapters(adapters(model), [lora.weight for lora in model.loras])


def adapters(model: Model) -> list[str]:
    """Their names in the pipeline."""
    return [f"lora_{number}" for number in range(len(model.loras))]


def _add_lora(pipe: Any, model: Model, name: str, lora: Lora) -> None:
    from safetensors import SafetensorError

    where = found("loras", lora.path)
    if lora.path.endswith(kinds.PICKLED) and model.use_safetensors:
        raise refused(
            "use_safetensors",
            True,
            f"{lora.path} is a pickle, which can run any code when it is read",
            "Set model.use_safetensors=false if you trust who made it.",
        )
    options: dict[str, Any] = {
        "weight_name": lora.weight_name,
        "revision": lora.revision,
        "use_safetensors": repository.safetensors_only(model),
    }
    try:
        pipe.load_lora_weights(where, adapter_name=name, **options)
    except OSError as error:
        raise unusable("loras", lora.path, lora.revision, error) from error
    except (KeyError, RuntimeError, ValueError, SafetensorError) as error:
        said = one_line(error)
        if "weight_name" in said:
            raise refused(
                "loras",
                lora.path,
                f"does not say which of its files to read ({said})",
                "Set the LoRA's weight_name.",
            ) from error
        raise _unfit(pipe, lora, f", or cannot be read ({said})") from error
    if not any(name in added for added in pipe.get_list_adapters().values()):
        raise _unfit(pipe, lora)
    _check_all_is_added(pipe, name, lora, options)


def _unfit(pipe: Any, lora: Lora, cause: str = "") -> UserError:
    """Why nothing of a file can be added: it is no LoRA, or one for another model."""
    names = _names(lora)
    if names and len(names) <= MOST_EMBEDDINGS and not any("lora" in name for name in names):
        said = "is not a LoRA: it looks like a textual inversion"
        remedy = f"Name it there: model.textual_inversions=[{{path: {lora.path}}}]."
        return refused("loras", lora.path, said, remedy)
    for part, (what, remedy) in KINDS.items():
        if any(part in name for name in names):
            takes = f"{type(pipe).__name__} takes LoRAs as diffusers saves them"
            return refused("loras", lora.path, f"{what}, and {takes}", f"{remedy}.")
    return refused(
        "loras",
        lora.path,
        f"was trained for another architecture than {type(pipe).__name__}{cause}",
        "Name one that was trained for this model.",
    )


def _check_all_is_added(pipe: Any, name: str, lora: Lora, options: dict[str, Any]) -> None:
    """Refuse a file of which diffusers would ignore a part; diffusers itself only warns."""
    scales = sum("dora_scale" in key for key in _names(lora))
    if scales:
        raise refused(
            "loras",
            lora.path,
            f"is a DoRA, and diffusers leaves its {scales} dora_scale out",
            "Name a LoRA, or merge this one into the model.",
        )
    if hasattr(pipe, "unet"):
        options = options | {"unet_config": pipe.unet.config}
    read = pipe.lora_state_dict(str(weights.locate(lora.path)), **options)
    held = _modules(read[0] if isinstance(read, tuple) else read)
    added = Counter({part: _added(getattr(pipe, part, None), name) for part in held})
    lacking = held - added
    if lacking:
        part, number = lacking.most_common(1)[0]
        raise refused(
            "loras",
            lora.path,
            f"changes {held[part]} layers of the {part}, of which {number} are not in this model "
            "or cannot be changed by diffusers",
            "Name one that was trained for this model.",
        )


def _modules(names: Iterable[str]) -> Counter[str]:
    """How many layers of each part of a pipeline a LoRA changes, by diffusers' names."""
    return Counter(name.partition(".")[0] for name in names if name.endswith(UP))


def _added(part: Any, name: str) -> int:
    modules = part.modules() if part is not None else ()
    return sum(name in getattr(module, "lora_B", {}) for module in modules)


def _names(lora: Lora) -> list[str]:
    """The names of the weights in its file; none if it is unclear which file that is."""
    where = weights.locate(lora.path)
    file: Path | str | None = where
    if isinstance(where, str):
        from huggingface_hub import try_to_load_from_cache

        said = lora.weight_name or FILE
        cached = try_to_load_from_cache(where, said, revision=lora.revision)
        file = cached if isinstance(cached, str) else None
    elif where.is_dir():
        file = where / (lora.weight_name or FILE)
    if file is None or not Path(file).is_file():
        return []
    return list(loading.shapes("model.loras", lora.path, Path(file)))


def _paths(model: Model) -> str:
    return ", ".join(lora.path for lora in model.loras)
