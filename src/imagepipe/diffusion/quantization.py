"""Quantisation through diffusers' own configurations."""

from __future__ import annotations

import importlib.util
import inspect
from typing import Any

from imagepipe.config import Model
from imagepipe.diffusion import origin, repository
from imagepipe.diffusion.refusals import refused
from imagepipe.errors import did_you_mean

# The package that a backend of quantisation comes in, where its name does not say so.
PACKAGES = {
    "bitsandbytes_4bit": "bitsandbytes",
    "bitsandbytes_8bit": "bitsandbytes",
    "quanto": "optimum.quanto",
    "auto-round": "auto_round",
}
# What both have one class of configuration for, which without it is 4 bits.
BITS = {"bitsandbytes_4bit": {"load_in_4bit": True}, "bitsandbytes_8bit": {"load_in_8bit": True}}


def config(model: Model, described: repository.Description, device: str | None = None) -> Any:
    """diffusers' `PipelineQuantizationConfig`, or null if nothing is quantised.

    A config for each part, since those of diffusers and of transformers may take different
    arguments. By default the denoiser and the text encoders, which hold most of the weights.
    On the `device` that will draw, torchao's kinds are tried: some need what not all have.
    """
    asked = model.quantization
    if asked.quant_backend is None:
        return None
    if model.weights == "random":
        raise refused(
            "weights", "random", "random weights cannot be quantised", "Choose one of the two."
        )
    from diffusers import PipelineQuantizationConfig
    from diffusers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING as of_diffusers
    from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING as of_transformers

    _check_backend(asked.quant_backend, sorted(set(of_diffusers) & set(of_transformers)))
    parts, own = described.parts, origin.own(model)
    chosen = asked.components_to_quantize or [
        name
        for name in parts
        if name.startswith(("transformer", "unet", "text_encoder"))
        and not (name in own and own[name].is_gguf)
    ]
    arguments = BITS.get(asked.quant_backend, {}) | asked.quant_kwargs
    mapping = {}
    for name in chosen:
        if name not in parts:
            raise refused(
                "quantization.components_to_quantize",
                name,
                "the pipeline has no such part",
                f"Its parts: {', '.join(parts)}.",
            )
        if origin.is_single(model) or name in own:
            raise refused(
                "quantization.components_to_quantize",
                name,
                "is not of the pipeline's own folder, and would be left as it is",
                "Name others, or a pipeline whose folder has it.",
            )
        kinds = of_diffusers if parts[name][0] == "diffusers" else of_transformers
        mapping[name] = _quantizer(kinds[asked.quant_backend], arguments)
    if device is not None and asked.quant_backend == "torchao":
        _try(asked.quant_kwargs, device)
    return PipelineQuantizationConfig(quant_mapping=mapping)


def _check_backend(backend: str, known: list[str]) -> None:
    if backend not in known:
        raise refused(
            "quantization.quant_backend",
            backend,
            "diffusers and transformers have no such quantisation",
            f"{did_you_mean(backend, known)}Choose one of: {', '.join(known)}.",
        )
    package = PACKAGES.get(backend, backend)
    if importlib.util.find_spec(package.partition(".")[0]) is None:
        raise refused(
            "quantization.quant_backend",
            backend,
            "its package is not installed",
            f"pip install {package.replace('.', '-').replace('_', '-')}",
        )


def _quantizer(kind: Any, arguments: dict[str, Any]) -> Any:
    """`kind(**arguments)`; torchao's own configurations are given by their name."""
    if isinstance(arguments.get("quant_type"), str):
        arguments = {**arguments, "quant_type": _of_torchao(arguments["quant_type"])}
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        raise refused(
            "quantization.quant_kwargs",
            arguments,
            f"{kind.__name__} does not take that ({error})",
            f"It takes: {', '.join(list(inspect.signature(kind.__init__).parameters)[1:])}.",
        ) from error


def _of_torchao(name: str) -> Any:
    from torchao import quantization

    known = [one for one in quantization.__all__ if one.endswith("Config")]
    if name not in known:
        raise refused(
            "quantization.quant_kwargs.quant_type",
            name,
            "torchao has no such configuration",
            f"{did_you_mean(name, known)}It has: {', '.join(known)}.",
        )
    return getattr(quantization, name)()


def _try(arguments: dict[str, Any], device: str) -> None:
    """Quantise one layer. A pipeline would say what this cannot do in a report, if at all."""
    import torch
    from torchao.quantization import quantize_

    layer = torch.nn.Linear(256, 256, device=device, dtype=torch.bfloat16)
    try:
        quantize_(layer, _of_torchao(arguments["quant_type"]))
    except Exception as error:
        raise refused(
            "quantization.quant_kwargs.quant_type",
            arguments["quant_type"],
            f"cannot be used here ({error})",
            "Choose another.",
        ) from error
