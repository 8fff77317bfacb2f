"""Where a model's weights are: in the package, in a local folder, or on the hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from imagepipe.assets import folder
from imagepipe.errors import UserError

HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")  # owner/name


def locate(path: str) -> Path | str:
    """The local folder, or the hub id where the text looks like one and is no folder here."""
    where = folder(path)
    local = Path(where).expanduser()
    if isinstance(where, Path) or local.exists() or not HUB_ID.fullmatch(where):
        return local
    return where


def dtype(name: str, device: str) -> Any:
    """The torch dtype that `name` says; "auto" is float16 on a GPU and float32 on a CPU, where
    half precision is slow.
    """
    import torch

    automatic = "float16" if device == "cuda" else "float32"
    return getattr(torch, automatic if name == "auto" else name)


def check(field: str, path: str | None, revision: str | None, index: str) -> Path | str:
    """`locate(path)`, made sure that a model is there: `index` is the file that every one has.

    Raises UserError where a folder lacks that file, and where a model of the hub is neither in
    the cache nor given by the hub.
    """
    if not path:
        raise UserError(
            field=field,
            value=path,
            problem="this engine needs a model",
            remedy="Name a local folder, or a model of the hub as owner/name.",
        )
    where = locate(path)
    if isinstance(where, str):
        _check_hub(field, where, revision, index)
    elif not (where / index).is_file():
        raise UserError(
            field=field,
            value=path,
            problem=f"no model is there ({where / index} does not exist)",
            remedy="Name a folder that holds one, or a model of the hub as owner/name.",
        )
    return where


def _check_hub(field: str, name: str, revision: str | None, index: str) -> None:
    from huggingface_hub import HfApi, try_to_load_from_cache

    if isinstance(try_to_load_from_cache(name, index, revision=revision), str):
        return
    try:
        HfApi().model_info(name, revision=revision, timeout=5)
    except Exception as error:  # whatever the reason, the hub does not give it
        raise UserError(
            field=field,
            value=name,
            problem="is no folder here, not in the hub's cache, and the hub does not give it "
            f"({type(error).__name__})",
            remedy=f"Fetch it where the hub can be reached: hf download {name}. "
            "Or name a local folder.",
        ) from error
