"""Which files of a hub repository a run loads, decided by their names; nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from fnmatch import fnmatch
from typing import Any

from imagepipe.config import Model
from imagepipe.diffusion.model_index import parts
from imagepipe.diffusion.repository import SMALL, chosen
from imagepipe.stages.kinds import PICKLED, SAFE

NAMED_SO = re.compile(r"(diffusion_pytorch_model|pytorch_model|model)[.-]")


def small_files(names: Iterable[str]) -> list[str]:
    """Configurations and tokenizers at the top of the repository, not in folders."""
    return [n for n in names if "/" not in n and any(fnmatch(n, pattern) for pattern in SMALL)]


def part_files(names: Iterable[str], model: Model, folder: str | None = None) -> list[str]:
    """The files of one part of a pipeline, such as its VAE: its configuration and its weights.

    The part is the whole repository, or a `folder` of it.
    """
    begin = f"{folder}/" if folder else ""
    beside = (name.removeprefix(begin) for name in names if name.startswith(begin))
    found = _part_files([name for name in beside if "/" not in name], model)
    return [f"{begin}{name}" for name in found]


def _part_files(inside: list[str], model: Model) -> list[str]:
    return [*small_files(inside), *_weights(inside, model)]


def _weights(inside: Iterable[str], model: Model) -> list[str]:
    usable = chosen(
        sorted(name for name in inside if name.endswith((SAFE, *PICKLED))), model.variant
    )
    safe = [name for name in usable if name.endswith(SAFE)]
    return safe or ([] if model.use_safetensors else usable)


def pipeline_files(
    names: Iterable[str], index: dict[str, Any], model: Model, apart: Collection[str] = ()
) -> list[str]:
    """Those that diffusers fetches of a pipeline whose `model_index.json` is `index`.

    Beside its parts that is what has the name of weights in other folders. Of the parts `apart` it
    is their configurations.
    """
    folders: dict[str, list[str]] = {}
    for name in names:
        folder, _, file = name.rpartition("/")
        folders.setdefault(folder, []).append(file)
    found = small_files(folders.pop("", []))
    for folder, inside in folders.items():
        if folder in apart:
            own = small_files(inside)
        elif folder in parts(index):
            own = _part_files(inside, model)
        else:
            own = _weights([file for file in inside if NAMED_SO.match(file)], model)
        found += [f"{folder}/{file}" for file in own]
    return found


def model_files(names: Iterable[str]) -> list[str]:
    """The files of a transformers model: configuration, tokenizer and safetensors."""
    inside = [name for name in names if "/" not in name]
    return [*small_files(inside), *(name for name in inside if name.endswith(SAFE))]
