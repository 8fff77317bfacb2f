"""Options of a diffusers pipeline (offload, VAE tiling, compile, ...), through diffusers' own
methods.

Each raises UserError if the pipeline does not have what the option changes.
"""

from __future__ import annotations

import inspect
from typing import Any

from imagepipe.compat import diffusers as compat
from imagepipe.config import Model
from imagepipe.diffusion import adapters, caches, inversions, lora, parts
from imagepipe.diffusion.refusals import refused
from imagepipe.diffusion.rows import LORA
from imagepipe.errors import did_you_mean


def configure(pipe: Any, model: Model) -> None:
    """Set all options that need no values of weights; so a pipeline on "meta" can be configured,
    too.
    """
    adapters.add(pipe, model)  # before what changes how layers attend: it brings its own
    _scheduler(pipe, model)
    _vae_memory(pipe, model)
    if model.channels_last:
        _channels_last(pipe)
    if model.attention_backend is not None:
        _attention(pipe, model)
    if model.cache is not None:
        caches.add(denoiser(pipe), model)
    if model.compile is not None:
        _check_compiler(pipe, model)
    if model.weights == "trained":
        inversions.add(pipe, model)
        lora.add(pipe, model)


def place(pipe: Any, model: Model, device: str) -> None:
    """Move it to the device, or, with `model.offload`, part by part when each is needed."""
    whole = not (model.quantization.quant_backend or parts.quantised(model))
    fused = model.loras and model.weights == "trained" and whole
    by_row = any(LORA.fullmatch(key) for key in model.columns)
    if fused and not by_row and (named := compat.lora_parts(pipe)):
        # Into the weights, so that the LoRAs cost no time; by default not those of a text encoder.
        pipe.fuse_lora(components=named)
        pipe.unload_lora_weights()
    if isinstance(pipe.hf_device_map, dict):  # of a model that is laid over several GPUs
        pass
    elif model.offload == "none":
        pipe.to(device)
    elif device == "cpu":
        raise refused(
            "offload", model.offload, "this process has no GPU to keep free", "Set it to none."
        )
    elif model.offload == "model":
        pipe.enable_model_cpu_offload()
    else:
        pipe.enable_sequential_cpu_offload()
    if model.compile is not None:
        _compile(pipe, model)


def device_map(gpus: int) -> str | None:
    """How diffusers places a pipeline on `gpus` of this process: whole parts, by size. Null for
    one GPU, and on the CPU.
    """
    return "balanced" if gpus > 1 else None


def denoiser(pipe: Any) -> Any:
    """The part that runs at every step."""
    part = getattr(pipe, "transformer", None)
    return pipe.unet if part is None else part


def _scheduler(pipe: Any, model: Model) -> None:
    """Another scheduler, or other settings of the model's own."""
    if model.scheduler is None and not model.scheduler_config:
        return
    import diffusers

    kind = getattr(diffusers, model.scheduler) if model.scheduler else type(pipe.scheduler)
    pipe.scheduler = scheduler(kind, pipe.scheduler.config, model.scheduler_config)


def scheduler(kind: Any, config: Any, settings: dict[str, Any]) -> Any:
    """A scheduler of class `kind` with the configuration of another one, changed by `settings`.

    Raises ImportError if it needs a package that is not installed.
    """
    kind.load_config  # noqa: B018 (diffusers' stand-in for a class that needs a package raises)
    known = list(inspect.signature(kind.__init__).parameters)[1:]
    for name, value in settings.items():
        if name not in known:
            raise refused(
                f"scheduler_config.{name}",
                value,
                f"{kind.__name__} has no such setting",
                f"{did_you_mean(name, known)}It has: {', '.join(known)}.",
            )
    return kind.from_config(config, **settings)


def _vae_memory(pipe: Any, model: Model) -> None:
    for option, method in (("vae_slicing", "enable_slicing"), ("vae_tiling", "enable_tiling")):
        if getattr(model, option):
            try:
                getattr(pipe.vae, method)()
            except (AttributeError, NotImplementedError) as error:
                kind = type(pipe.vae).__name__
                raise refused(option, True, f"{kind} does not offer it", "Set it to false.") from (
                    error
                )


def _channels_last(pipe: Any) -> None:
    import torch

    for part in (denoiser(pipe), pipe.vae):
        if any(parameter.ndim > 4 for parameter in part.parameters()):
            kind = type(part).__name__
            raise refused(
                "channels_last", True, f"{kind} works on frames of a video", "Set it to false."
            )
        part.to(memory_format=torch.channels_last)


def _attention(pipe: Any, model: Model) -> None:
    from diffusers.models.attention_dispatch import AttentionBackendName

    backend, part = str(model.attention_backend), denoiser(pipe)
    known = [one.value for one in AttentionBackendName]
    if backend not in known:
        guess = did_you_mean(backend, known)
        raise refused(
            "attention_backend",
            backend,
            "diffusers has no such backend",
            f"{guess}Choose one of: {', '.join(known)}.",
        )
    if "_hub" in backend and not model.trust_remote_code:
        raise refused(
            "attention_backend",
            backend,
            "fetches code from the hub and runs it",
            "Set model.trust_remote_code=true if you trust it.",
        )
    try:
        part.set_attention_backend(backend)
    except (RuntimeError, ValueError) as error:
        raise refused(
            "attention_backend", backend, f"cannot be used here ({error})", "Choose another."
        ) from error
    if not compat.draws_with(part, backend):
        raise refused(
            "attention_backend",
            backend,
            f"{type(part).__name__} does not offer the choice",
            "Set it to null.",
        )


def _check_compiler(pipe: Any, model: Model) -> None:
    import torch

    name = str(model.compile)
    if model.compile_whole and not hasattr(getattr(pipe, "vae", None), "decoder"):
        kind = type(pipe).__name__
        raise refused("compile_whole", True, f"{kind} has no decoder by itself", "Set it to false.")
    known = torch.compiler.list_backends(exclude_tags=())
    if name not in known:
        guess = did_you_mean(name, known)
        raise refused(
            "compile", name, "torch.compile has no such backend", f"{guess}inductor is the usual."
        )


def _compile(pipe: Any, model: Model) -> None:
    """Compile the repeated blocks, once for all of them; or the whole denoiser and decoder."""
    part = denoiser(pipe)
    if model.compile_whole:
        pipe.vae.decoder.compile(backend=model.compile)
        part.compile(backend=model.compile)
        return
    try:
        part.compile_repeated_blocks(backend=model.compile)
    except ValueError:  # it names no blocks that repeat
        part.compile(backend=model.compile)
