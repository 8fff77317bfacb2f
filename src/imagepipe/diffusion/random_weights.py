"""The architecture of a diffusers model without its weights, to measure or to check it.

Speed and memory do not depend on the values of weights, so both can be measured on a machine before
anything is downloaded. The pictures are noise.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagepipe.assets import folder as asset
from imagepipe.config import Model
from imagepipe.diffusion import processors, repository, tasks
from imagepipe.errors import UserError

if TYPE_CHECKING:
    import torch

STAND_IN = asset("asset:tiny/tokenizer")  # a tokenizer, where a model comes without its own
SEED = 0  # the same weights in every process of a run


def pipeline(model: Model, device: str, dtype: torch.dtype, **given: Any) -> Any:
    """The pipeline with random weights on `device`; on "meta" they have shapes and no values.

    `given` are parts to take instead of its own.

    Raises UserError if neither the package nor the model's folder or hub page describes it.
    """
    described = repository.describe(model)
    kind = pipeline_class(described.index, model)
    known = inspect.signature(kind.__init__).parameters
    needed = [name for name, one in known.items() if one.default is one.empty]
    parts = dict.fromkeys(needed[1:]) | given  # but for self: an index need not name all
    for name, (library, class_name) in described.parts.items():
        if name in known and name not in given:
            folder = described.folder / name if described.folder else None
            config = described.configs.get(name)
            parts[name] = _part(name, library, class_name, config, folder, device, dtype)
    if described.parts.get(processors.PART, ("", ""))[1] == processors.QWEN:
        own = parts.get(processors.PART)
        parts[processors.PART] = own or processors.stand_in(
            parts["tokenizer"], parts["text_encoder"]
        )
    arguments = described.index | parts  # an index also holds flags that pipelines take
    return kind(**{name: value for name, value in arguments.items() if name in known})


def pipeline_class(index: dict[str, Any], model: Model) -> Any:
    """The class of diffusers that draws, of the family that `model_index.json` names. Raises
    UserError where there is none.
    """
    import diffusers

    kind = getattr(diffusers, str(index["_class_name"]), None)
    if kind is None or "prompt" not in inspect.signature(kind.__call__).parameters:
        raise UserError(
            field="model.path",
            value=model.path,
            problem=f"{index['_class_name']} is not a text-to-image pipeline of diffusers "
            f"{diffusers.__version__}",
            remedy="Name another model.",
        )
    return tasks.of_pictures(kind, model)


def _part(
    name: str,
    library: str,
    class_name: str,
    config: dict[str, Any] | None,
    folder: Path | None,
    device: str,
    dtype: torch.dtype,
) -> Any:
    if name.startswith("tokenizer"):
        return tokenizer(folder, class_name)
    kind = part_class(library, class_name)
    if kind is None or config is None:
        return None  # a safety checker or a feature extractor, which no prompt needs
    if hasattr(kind, "named_parameters"):
        return filled(kind, config, device, dtype)
    return kind.from_config(config)


def part_class(library: str, class_name: str) -> Any:
    """The class of a part; null if neither diffusers nor transformers has it."""
    import diffusers
    import transformers

    return getattr({"diffusers": diffusers}.get(library, transformers), class_name, None)


def tokenizer(folder: Path | None, class_name: str) -> Any:
    """The model's own tokenizer, or where nothing was downloaded a stand-in.

    The stand-in is the embedded model's: CLIP's kind, for the toy world's words, and it splits
    others into bytes. An encoder pads to its full length whatever the words, so it costs the same.
    """
    from transformers import AutoTokenizer

    if folder is not None:
        return AutoTokenizer.from_pretrained(folder)
    longest = 77 if class_name.startswith("CLIP") else 1 << 20
    stand_in = AutoTokenizer.from_pretrained(STAND_IN, model_max_length=longest)
    stand_in.chat_template = "{% for message in messages %}{{ message.content }}{% endfor %}"
    return stand_in


def filled(kind: Any, config: dict[str, Any], device: str, dtype: torch.dtype) -> Any:
    """Built without memory for its parameters, which are then made on the device in the needed
    dtype.
    """
    import torch
    from accelerate import init_empty_weights

    with init_empty_weights(include_buffers=False):
        if hasattr(kind, "config_class"):  # transformers
            part = kind(kind.config_class.from_dict(config))
        else:
            part = kind.from_config(config)
    if device == "meta":
        for parameter in part.parameters():
            parameter.data = parameter.data.to(dtype)
    else:
        rng = torch.Generator(device).manual_seed(SEED)
        named = part.named_parameters()
        values = {name: _values(name, one, rng, device, dtype) for name, one in named}
        part.load_state_dict(values, strict=False, assign=True)
    if hasattr(part, "tie_weights"):
        part.tie_weights()
    return part.to(device).eval().requires_grad_(False)


def _values(
    name: str, like: torch.Tensor, rng: Any, device: str, dtype: torch.dtype
) -> torch.Tensor:
    """Values that keep activations near 1, so that pictures stay finite in 16 bits too.

    Matrices and kernels are normal with variance 1 / inputs (LeCun et al., 1998, Efficient
    BackProp), scales are 1 and biases 0.
    """
    import torch

    if like.ndim > 1:
        drawn = torch.randn(like.shape, generator=rng, device=device, dtype=dtype)
        return drawn.mul_(like[0].numel() ** -0.5)
    fill = torch.zeros if "bias" in name else torch.ones
    return fill(like.shape, device=device, dtype=dtype)
