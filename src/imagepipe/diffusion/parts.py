"""Parts of a pipeline that do not come from its own folder: a VAE, a text encoder or a denoiser
from elsewhere, and the parts of a checkpoint in one file.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from imagepipe.config import Model
from imagepipe.diffusion import (
    adapters,
    controlnets,
    fit,
    folders,
    origin,
    random_weights,
    repository,
    single_files,
)
from imagepipe.diffusion.origin import Source, own
from imagepipe.diffusion.refusals import refused
from imagepipe.errors import UserError, did_you_mean, one_line
from imagepipe.stages import kinds, weights

# What a part has to have alike with the one that it replaces, since other parts go by it.
AGREE = {
    "latent_channels": "latent channels",
    "in_channels": "channels in",
    "cross_attention_dim": "numbers a token of the prompt",
    "joint_attention_dim": "numbers a token of the prompt",
    "pooled_projection_dim": "numbers a prompt",
    "hidden_size": "numbers a token",
    "d_model": "numbers a token",
    "vocab_size": "tokens in its vocabulary",
}
DECODER = ("latent_channels",)  # of a decoder nothing else has to agree
# Parts that no prompt needs, which a checkpoint in one file lacks.
SPARE = ("safety_checker", "image_encoder")


def sources(model: Model, described: repository.Description) -> dict[str, Source]:
    """All parts that do not come from the pipeline's folder. Raises UserError for unknown names."""
    given = own(model)
    if not given and not origin.is_single(model):
        return {}
    held = [name for name in described.parts if _has_weights(described, name)]
    for name in model.parts:
        if name == "vae":
            raise refused("parts.vae.path", given[name].path, "has its own key", "Use model.vae.")
        if name not in held:
            told = f"{described.index['_class_name']} has no such part"
            remedy = f"{did_you_mean(name, held)}Its parts: {', '.join(held)}."
            raise refused(f"parts.{name}.path", given[name].path, told, remedy)
    if origin.is_single(model):
        whole = {name: Source("path", str(model.path)) for name in held if name not in SPARE}
        given = {**whole, **given}
    return given


def configs(model: Model, described: repository.Description) -> dict[str, Any]:
    """The configuration of each part, also of those from elsewhere."""
    apart = {
        name: _configured(source, name, described)[1]
        for name, source in sources(model, described).items()
        if source.file is None
    }
    return described.configs | apart


def _has_weights(described: repository.Description, name: str) -> bool:
    return hasattr(random_weights.part_class(*described.parts[name]), "named_parameters")


def quantised(model: Model) -> bool:
    """Whether a part is quantised, so that nothing can be added to its weights."""
    return any(source.is_gguf for source in own(model).values())


def check(model: Model, described: repository.Description) -> None:
    """Raise UserError if any part of the pipeline lacks weights, or has some of another shape.

    Files and folders are compared by their headers; what comes from the hub once it is loaded.
    """
    given = sources(model, described)
    fit.check(model, described, given)
    for name, source in given.items():
        if source.file is not None:
            _converted(source, name, described, _header(source))
        else:
            folders.check(model, source, *_configured(source, name, described))


def given(
    model: Model, described: repository.Description, device: str, dtype: Any
) -> dict[str, Any]:
    """The parts that replace the pipeline's own.

    With random weights, and on "meta" without values, those whose configuration may differ.
    """
    made: dict[str, Any] = {}
    read = cache(single_files.load)  # a file that has several parts once
    for name, source in sources(model, described).items():
        if source.file is None:
            kind, config = _configured(source, name, described)
            if model.weights == "random" or device == "meta":
                made[name] = random_weights.filled(kind, config, device, dtype)
            else:
                made[name] = folders.load(model, source, kind, dtype)
        elif model.weights == "trained" and device != "meta":
            made[name] = _from_file(source, name, described, read(source.file), dtype)
    if origin.is_single(model):
        made = {name: None for name in SPARE if name in described.parts} | made
    made |= controlnets.given(model, described, device, dtype)
    return made | adapters.given(model, described, device, dtype)


def _header(source: Source) -> dict[str, Any]:
    """The header of a file. Raises UserError if files of its kind are not read."""
    assert source.file is not None
    if source.file.suffix not in (kinds.SAFE, origin.GGUF):
        raise refused(source.field, source.path, *(kinds.told(source.file) or kinds.UNKNOWN))
    if kinds.is_pointer(source.file):
        raise weights.broken(f"model.{source.field}", source.path, source.file, "")
    if source.is_gguf:
        single_files.check_gguf(source.field, source.path)
    return single_files.header(f"model.{source.field}", source.path, source.file)


def _described(described: repository.Description, name: str) -> tuple[Any, dict[str, Any]]:
    """Class and configuration of the pipeline's own part."""
    return random_weights.part_class(*described.parts[name]), described.configs.get(name, {})


def _converted(
    source: Source, name: str, described: repository.Description, held: Mapping[str, Any]
) -> dict[str, Any]:
    """The weights of a part in a file, by the names of its class.

    Raises UserError if they are incomplete.
    """
    kind, config = _described(described, name)
    part = _empty(kind, config)
    needs = part.state_dict().keys()
    if source.is_gguf and hasattr(kind, "config_class"):
        told = f"is GGUF, which diffusers reads only for its own classes, not for a {kind.__name__}"
        raise refused(source.field, source.path, told, "Name a .safetensors file or a folder.")
    try:
        found = single_files.converted(name, kind, config, held, needs)
    except KeyError as error:
        raise _unfit(source, name, described, held, f"lacks {error.args[0]}") from error
    except Exception as error:  # whatever a conversion raises of a shape that it does not expect
        said = f"cannot be converted ({one_line(error)})"
        raise _unfit(source, name, described, held, said) from error
    shapes = {key: tuple(value.shape) for key, value in found.items()}
    if not needs & shapes.keys():
        raise _unfit(source, name, described, held, "holds nothing")
    try:
        fit.compare(f"model.{source.field}", source.path, f"its part {name}", part, shapes)
    except UserError as error:
        raise _unfit(source, name, described, held, "", error) from error
    return found


def _empty(kind: Any, config: Mapping[str, Any]) -> Any:
    import torch

    return random_weights.filled(kind, dict(config), "meta", torch.float32)


def _unfit(
    source: Source,
    name: str,
    described: repository.Description,
    held: Mapping[str, Any],
    said: str,
    error: UserError | None = None,
) -> UserError:
    """Why a file does not fit: by its architecture, if its names show another."""
    told, asked = kinds.checkpoint(held), str(described.index["_class_name"])
    if told and kinds.family(asked) not in (None, told):
        what = f"is of a {told}, and the model is a {asked}"
        return refused(source.field, source.path, what, "Name one made for this model.")
    if error is not None:
        return error
    remedy = "Name one made for this model."
    if source.field == "path":
        remedy = (
            f"Name that part as model.parts={{{name}: {{path: PATH}}}}, or the model's "
            "configuration as model.config."
        )
    return refused(source.field, source.path, f"{said} of the part {name}", remedy)


def _from_file(
    source: Source,
    name: str,
    described: repository.Description,
    held: Mapping[str, Any],
    dtype: Any,
) -> Any:
    kind, config = _described(described, name)
    if hasattr(kind, "config_class"):
        state = _converted(source, name, described, held)
        return kind.from_pretrained(
            None, config=kind.config_class.from_dict(dict(config)), state_dict=state, dtype=dtype
        )
    options: dict[str, Any] = {}
    if source.is_gguf:
        from diffusers import GGUFQuantizationConfig

        options["quantization_config"] = GGUFQuantizationConfig(compute_dtype=dtype)
    needs = _empty(kind, config).state_dict().keys()
    is_named = needs <= held.keys()  # beside others diffusers would take them for its maker's
    return kind.from_single_file(
        {key: held[key] for key in needs} if is_named else single_files.named(kind, held),
        config=str(described.folder),
        subfolder=name,
        dtype=dtype,
        local_files_only=True,
        **options,
    )


def _configured(
    source: Source, name: str, described: repository.Description
) -> tuple[Any, dict[str, Any]]:
    """Class and configuration of what a folder or the hub holds, which may be another class.

    Raises UserError if it does not go with the other parts.
    """
    own, config = _described(described, name)
    kind, read = folders.configured(source, own)
    _check_agrees(source, name, read, config)
    return kind, read


def _check_agrees(
    source: Source, name: str, other: Mapping[str, Any], own: Mapping[str, Any]
) -> None:
    types = [one.get("model_type") for one in (other, own)]  # of transformers
    if types[0] != types[1] and None not in types:
        said = f"is a {types[0]}, and this model's {name} a {types[1]}"
        raise refused(source.field, source.path, said, "Name one made for this model.")
    keys = DECODER if name == "vae" else AGREE
    for key in keys:
        theirs, ours = (_number(one, key) for one in (other, own))
        if theirs != ours and None not in (theirs, ours):
            raise refused(
                source.field,
                source.path,
                f"has {theirs} {AGREE[key]}, and this model's {name} {ours}",
                "Name one made for this model.",
            )


def _number(config: Mapping[str, Any], key: str) -> Any:
    """A decoder may say its channels by another name, or leave out diffusers' own 4."""
    if key != "latent_channels":
        return config.get(key)
    if "_class_name" in config and str(config["_class_name"]).startswith("Auto"):
        return config.get(key) or config.get("z_dim") or 4
    return None
