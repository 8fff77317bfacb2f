"""Whether the files of a diffusers model hold all that its parts need, from their headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imagepipe.config import Model
from imagepipe.diffusion import random_weights, repository
from imagepipe.stages import kinds, loading, weights

# What diffusers calls the four matrices of an attention today, by the names in older files.
RENAMED = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
OLD_NAME = re.compile(rf"\.({'|'.join(RENAMED)})\.(weight|bias)$")


def check(model: Model, described: repository.Description) -> None:
    """Raise UserError where a part lacks weights, or has some of another shape.

    transformers' parts would draw random values for them, and diffusers' parts fail once they are
    moved to the device that draws. What ships with the package is whole: a test holds that.
    """
    folder = described.folder
    if folder is None or (model.path or "").startswith("asset:"):
        return
    repository.quiet()
    for name, (library, class_name) in described.parts.items():
        kind = random_weights.part_class(library, class_name)
        config = described.configs.get(name, {})
        is_left = name == "vae" and model.vae is not None  # for the one that model.vae names
        if is_left or "quantization_config" in config or not hasattr(kind, "named_parameters"):
            continue  # quantised weights have other names and shapes
        files = repository.weight_files(folder / name, model)
        for file in filter(kinds.is_pointer, files):
            raise weights.broken("model.path", model.path, file, "a pointer of Git LFS")
        if hasattr(kind, "config_class"):
            _check_transformers(model, folder / name, kind)
        else:
            check_part("model.path", model.path, folder / name, kind, config, files)


def _check_transformers(model: Model, folder: Path, kind: Any) -> None:
    loading.load(
        "model.path",
        model.path or "",
        kind,
        where=folder,
        device_map="meta",
        variant=repository.variant_of(folder, model),
        use_safetensors=repository.safetensors_only(model),
    )


def check_part(
    field: str,
    path: str | None,
    where: Path,
    kind: Any,
    config: Mapping[str, Any],
    files: list[Path],
) -> None:
    """Compare a model of diffusers of class `kind` and `config` with its `files` in `where`."""
    import torch

    part = random_weights.filled(kind, dict(config), "meta", torch.float32)
    needs = {name: tuple(value.shape) for name, value in part.state_dict().items()}
    held: dict[str, tuple[int, ...]] = {}
    for file in files:
        held |= loading.shapes(field, path, file)
    held = {_today(name): shape for name, shape in held.items()} if needs.keys() - held else held
    both = needs.keys() & held
    report = {
        "missing_keys": needs.keys() - held,
        "unexpected_keys": held.keys() - needs,
        "mismatched_keys": [(n, held[n], needs[n]) for n in both if held[n] != needs[n]],
    }
    loading.refuse_unfit(field, path, f"{where}", part, report)


def _today(name: str) -> str:
    return OLD_NAME.sub(lambda found: f".{RENAMED[found[1]]}.{found[2]}", name)
