"""`model_index.json`, in which a diffusers pipeline names its class and its parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imagepipe.errors import UserError
from imagepipe.stages import weights

FILE = "model_index.json"
# Parts that many pipelines leave out; other names without a folder may be of options.
OPTIONAL = ("feature_extractor", "image_encoder", "safety_checker")


def read(folder: Path) -> dict[str, Any]:
    """The content of the file. Raises UserError if it names no pipeline, or names a part
    wrongly.
    """
    file = folder / FILE
    index = weights.described("model.path", folder, file)
    named = index.get("_class_name")
    if not isinstance(named, str) and not _is_class(named):  # a list is code of the model's own
        raise weights.broken("model.path", folder, file, "it names no _class_name")
    for name, value in index.items():
        is_part = name in OPTIONAL or (folder / name).is_dir()
        usable = is_entry(value) or (not is_part and _is_option(value))
        if not name.startswith("_") and not usable:
            raise unnamed(folder, name)
    return index


def unnamed(folder: Path | str, name: str) -> UserError:
    """The error for a part `name` that is written as no part is."""
    cause = f"its {name!r} names no library and class"
    return weights.broken("model.path", folder, Path(folder, FILE), cause)


def parts(index: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """The parts that `model_index.json` names: library and class of each."""
    named = {name: value for name, value in index.items() if not name.startswith("_")}
    return {name: (value[0], value[1]) for name, value in named.items() if _is_class(value)}


def _is_class(value: Any) -> bool:
    """Whether it is as `["diffusers", "UNet2DConditionModel"]`."""
    return isinstance(value, list) and list(map(type, value)) == [str, str] and all(value)


def is_entry(value: Any) -> bool:
    """Whether it is a part, or one that is left out."""
    return isinstance(value, list) and (value[:1] == [None] or _is_class(value))


def _is_option(value: Any) -> bool:
    """Whether it may be an option of the pipeline: no list, or one of numbers."""
    if not isinstance(value, list):
        return True
    return bool(value) and all(isinstance(one, int | float) for one in value)
