"""Private names of other libraries, looked up only here and never required.

The functions `find...` are the only way to them. Each caller says what is lost if a release lacks
the name, and works without it. With `verbose=true` each loss is printed once.
"""

from __future__ import annotations

import inspect
import os
import pkgutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path
from typing import Any

NONE_FOUND = "IMAGEPIPE_NO_PRIVATE_NAMES"  # for tests: as if no library had any of the names
SAY = "IMAGEPIPE_SAY_WHAT_IS_LOST"  # a variable, for the processes that this one starts say it too

LOST: dict[str, str] = {}  # by name, in this process
SAID: set[str] = set()


def find(owner: object, name: str, lost: str) -> Any:
    """The attribute `name` of `owner`; null if there is none.

    `owner` is an object, or says where one is: "module", "module:Class". `name` may be dotted.
    `lost` says what does not work without it, as a sentence.
    """
    where = owner if isinstance(owner, str) else type(owner).__name__

    def get() -> Any:
        return attrgetter(name)(pkgutil.resolve_name(owner) if isinstance(owner, str) else owner)

    return _look_up(f"{where}.{name}", lost, get)


def find_file(package: str, path: str, lost: str) -> Path | None:
    """The file at `path` in the folder of `package`, told without importing it."""

    def get() -> Path:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise ImportError(package)
        file = Path(spec.origin).parent / path
        if not file.is_file():
            raise AttributeError(path)
        return file

    return _look_up(f"{package}/{path}", lost, get)


def find_option(function: Callable[..., Any], name: str, lost: str) -> str | None:
    """`name`, where the documentation of `function` has such a hidden option."""

    def get() -> str:
        if name not in (function.__doc__ or ""):
            raise AttributeError(name)
        return name

    return _look_up(f"{function.__module__}.{function.__name__}({name})", lost, get)


def find_source(kind: type, lost: str) -> str | None:
    """The code of a class."""

    def get() -> str:
        try:
            return inspect.getsource(kind)
        except (OSError, TypeError) as error:
            raise AttributeError(kind) from error

    return _look_up(f"the code of {kind.__module__}.{kind.__name__}", lost, get)


def say_what_is_lost(verbose: bool) -> None:
    """Whether a loss is said: those so far and those to come, here and in processes to start."""
    if verbose:
        os.environ[SAY] = "1"
        _say()
    else:
        os.environ.pop(SAY, None)


def _look_up(name: str, lost: str, get: Callable[[], Any]) -> Any:
    try:
        if NONE_FOUND in os.environ:
            raise AttributeError(name)
        return get()
    except (AttributeError, ImportError):
        miss(name, lost)
        return None


def miss(name: str, lost: str) -> None:
    """Note that there is no `name`."""
    LOST[name] = lost
    if SAY in os.environ:
        _say()


def _say() -> None:
    for name in LOST.keys() - SAID:
        print(f"imagepipe: {name} is not there. {LOST[name]}", file=sys.stderr)
    SAID.update(LOST)
