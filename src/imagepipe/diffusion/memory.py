"""An estimate of the memory that a drawing process needs, before anything is loaded.

The weights are counted from the headers of their files. The rest is an estimate: the largest amount
that is alive at once while a picture is decoded, found by running the decoder on tensors that have
shapes but no values. The parts of a pipeline work one after another, and the decoder is assumed to
need most: at 1024x1024 pixels and 16 bits it takes 1.6 GB, the denoiser of SDXL 0.3 GB, of FLUX
0.5 GB, of PixArt 0.2 GB, counted in the same way.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from imagepipe.config import Model
from imagepipe.diffusion import (
    adapters,
    checks,
    model_index,
    origin,
    parts,
    random_weights,
    repository,
)
from imagepipe.diffusion.origin import Source
from imagepipe.stages import loading, weights

GB = 1e9
BYTES = {"float16": 2, "bfloat16": 2, "float32": 4}  # of a number
PRESET = 2  # of one, as `model.weights_gb` counts


def weights_gb(model: Model, gpu: bool) -> float | None:
    """GB (1e9 bytes) of all parts in the dtype in which they are loaded; null if unknown.

    From their files if they are here, also for parts from elsewhere; otherwise from the preset.
    """
    if model.quantization.quant_backend is not None:
        return None
    number = BYTES[_dtype(model, gpu=gpu)]
    files = list(_files(model)) if model.weights == "trained" else [None]
    if None not in files:
        return sum(_bytes(model, file, number) for file in files if file) / GB or None
    if model.weights_gb is None or origin.own(model):
        return None
    return model.weights_gb * number / PRESET


def picture_gb(model: Model, gpu: bool) -> float | None:
    """GB (1e9 bytes) for one picture while it is decoded; null if unknown, and for the small
    embedded models.
    """
    if (model.path or "").startswith("asset:"):
        return None
    import torch

    repository.quiet()
    described = repository.describe(model)
    config = parts.configs(model, described).get("vae")
    if config is None:
        return None
    name = config.get("_class_name") or described.parts["vae"][1]
    vae = random_weights.filled(
        random_weights.part_class("diffusers", name),
        config,
        "meta",
        _decodes_in(model, config, gpu),
    )
    if model.vae_tiling:
        vae.enable_tiling()
    channels, scale = checks.latents(config)
    frames = (1,) if "temperal_downsample" in config else ()
    size = (1, channels, *frames, model.height // scale, model.width // scale)
    with torch.no_grad():
        try:
            return most_alive(vae.decode, torch.empty(size, dtype=vae.dtype, device="meta")) / GB
        except Exception:  # whatever a decoder does that needs the values
            return None


def most_alive(function: Any, *arguments: Any) -> int:
    """The most bytes of a function's tensors that are alive at once.

    Attention keeps no scores, as in the kernels that PyTorch chooses (Dao 2023, FlashAttention-2,
    arXiv:2307.08691).
    """
    from torch.nn.functional import scaled_dot_product_attention
    from torch.overrides import TorchFunctionMode

    alive: dict[int, int] = {}
    most = 0

    class Counted(TorchFunctionMode):
        def __torch_function__(
            self, called: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
        ) -> Any:
            nonlocal most
            given = kwargs or {}
            if called is scaled_dot_product_attention:
                made = (args[0] if args else given["query"]).clone()
            else:
                made = called(*args, **given)
            for one in made if isinstance(made, tuple | list) else (made,):
                _count(one, alive)
            most = max(most, sum(alive.values()))
            return made

    with Counted():
        function(*arguments)
    return most


def _count(made: Any, alive: dict[int, int]) -> None:
    import torch

    if not isinstance(made, torch.Tensor):
        return
    held = made.untyped_storage()
    if id(held) not in alive:  # a view has that of another tensor
        alive[id(held)] = held.nbytes()
        weakref.finalize(held, alive.pop, id(held), None)


def _dtype(model: Model, *, gpu: bool) -> str:
    return weights.dtype_name(model.dtype, "cuda" if gpu else "cpu")


def _decodes_in(model: Model, config: Mapping[str, Any], gpu: bool) -> Any:
    """torch's dtype; float32 for SDXL's VAE if it would overflow in 16 bits."""
    import torch

    index = repository.describe(model).index
    raised = hasattr(random_weights.pipeline_class(index, model), "upcast_vae")
    name = _dtype(model, gpu=gpu)
    if raised and name == "float16" and config.get("force_upcast", True):
        return torch.float32
    return getattr(torch, name)


def _files(model: Model) -> Iterator[Path | None]:
    """The files with all weights; a null for a part that is not here."""
    own = origin.own(model)
    looks = adapters.encoder(model)
    if looks:
        own[adapters.ENCODER] = looks
        yield weights.file_here(looks.path, adapters.file(model), looks.revision)
    for source in filter(None, (*own.values(), origin.controlnet(model))):
        yield from [source.file] if source.file else _in_folder(model, _here(source), None)
    if origin.is_single(model):
        yield Path(weights.locate(model.path or ""))
        return
    index = weights.file_here(model.path or "", model_index.FILE, model.revision)
    if index is None:
        yield None
        return
    for name in repository.read(index.parent).parts.keys() - own.keys():
        yield from _in_folder(model, index.parent, name)


def _in_folder(model: Model, folder: Path | None, name: str | None) -> Iterator[Path | None]:
    if folder is None:
        yield None
    else:
        yield from repository.weight_files(folder / (name or ""), model)


def _here(source: Source) -> Path | None:
    """The folder of a part, which may be in the hub's cache."""
    inside = f"{source.subfolder}/config.json" if source.subfolder else "config.json"
    found = weights.file_here(source.path, inside, source.revision)
    return found and found.parent


def _bytes(model: Model, file: Path, number: int) -> int:
    """The bytes of the weights in a file, once loaded; quantised ones stay as they are."""
    beside = file.parent / "config.json"
    if file.suffix == origin.GGUF or (
        beside.is_file()
        and "quantization_config" in weights.described("model.path", model.path, beside)
    ):
        return file.stat().st_size
    shapes = loading.shapes("model.path", model.path, file)
    return number * sum(map(math.prod, shapes.values()))
