"""The Python API as docs/reference.md has it: the public names, from their docstrings."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

PLUG_INS = ("llm", "diffusion", "scoring", "scoring.features", "stages")


def lines() -> Iterator[str]:
    """A heading for what a script imports, and one for what a plug-in does."""
    yield "## Python"
    yield from _of("imagepipe")
    yield "## Plug-ins"
    for room in PLUG_INS:
        yield from _of(f"imagepipe.{room}")


def _of(name: str) -> Iterator[str]:
    module = importlib.import_module(name)
    for public in module.__all__:
        value = getattr(module, public)
        if not callable(value) or value.__name__ != public:  # a name before, or a constant
            continue
        head = f"class {name}.{public}" if inspect.isclass(value) else f"{name}.{public}"
        yield f"### `{head}`"
        if not (inspect.isclass(value) and issubclass(value, BaseException)):
            yield _signature(value)
        yield _text(value)
        yield from _methods(value) if inspect.isclass(value) else ()


def _methods(made: Any) -> Iterator[str]:
    said = [
        f"- `{name}{_signature(value).strip('`') if callable(value) else ''}`: {_text(value)}"
        for name, value in vars(made).items()
        if not name.startswith("_")
        and (callable(value) or isinstance(value, property | cached_property))
    ]
    if said:
        yield "\n".join(said)


def _signature(value: Any) -> str:
    """What it takes: annotations as they stand, without `self`."""
    if getattr(value, "_is_protocol", False):
        return ""
    found = inspect.signature(value)
    taken = [one for one in found.parameters.values() if one.name != "self"]
    text = str(found.replace(parameters=taken))
    plain = re.sub("['\"]", "", text)
    return f"`{plain}`"


def _text(value: Any) -> str:
    return " ".join((inspect.getdoc(value) or "").split())
