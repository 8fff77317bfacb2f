"""`model_index.json`, in which a diffusers pipeline names its class and its parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
        is_part = isinstance(value, list) or name in OPTIONAL or (folder / name).is_dir()
        if is_part and not name.startswith("_") and not _is_entry(value):
            cause = f"its {name!r} names no library and class"
            raise weights.broken("model.path", folder, file, cause)
    return index


def parts(index: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """The parts that `model_index.json` names: library and class of each."""
    named = {name: value for name, value in index.items() if not name.startswith("_")}
    return {name: (value[0], value[1]) for name, value in named.items() if _is_class(value)}


def _is_class(value: Any) -> bool:
    """Whether it is as `["diffusers", "UNet2DConditionModel"]`."""
    return isinstance(value, list) and list(map(type, value)) == [str, str] and all(value)


def _is_entry(value: Any) -> bool:
    """Whether it is a part, one that is left out, or an option of the pipeline: of numbers."""
    if not isinstance(value, list):
        return False
    numbers = bool(value) and all(isinstance(one, int | float) for one in value)
    return numbers or value[:1] == [None] or _is_class(value)
