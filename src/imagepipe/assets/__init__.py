"""The files that ship with the package: example tables and embedded models."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

PREFIX = "asset:"  # how the path of a model that ships with imagepipe begins


def folder(path: str) -> Path | str:
    """Where `path` is: "asset:NAME" inside the installed package, anything else as it stands."""
    if not path.startswith(PREFIX):
        return path
    return Path(str(files(__name__))) / path.removeprefix(PREFIX)
