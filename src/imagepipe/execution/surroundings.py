"""What this process has around Ray while it starts or runs: variables, and a quiet stderr."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """The variables, for as long as Ray is there; those that are replaced come back."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def silence_stderr() -> Iterator[None]:
    """Ray's C++ core announces its log level on stderr, below Python's streams.

    What goes wrong while Ray starts is raised, not printed, so nothing is lost.
    """
    before = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(nowhere)
