"""The ids and the parameters of all tests, to compare them between the processes of pytest.

As a plugin it leaves them as JSON in the file $COLLECTED:
COLLECTED=ids.json python -m pytest -p helpers.collected --collect-only
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from helpers.asking import SHARED

COLLECTED = pytest.StashKey[dict[str, str]]()
WORKER = os.environ.get("PYTEST_XDIST_WORKER")  # null: pytest runs in one process
ELSEWHERE = {"TZ": "Pacific/Kiritimati", "LC_ALL": "POSIX"}


def pytest_collection_finish(session: pytest.Session) -> None:
    Path(os.environ["COLLECTED"]).write_text(json.dumps(found(session)))


def found(session: pytest.Session) -> dict[str, str]:
    """The parameters of each test by its id."""
    return {item.nodeid: parameters(item) for item in session.items}


@contextmanager
def elsewhere() -> Iterator[None]:
    """What must not decide what is collected, as in another process, place and second. Each
    process has a seed of its own for its hashes.
    """
    before = {name: os.environ.get(name) for name in ELSEWHERE}
    if WORKER not in (None, "gw0"):
        time.sleep(1.1)
        os.environ.update(ELSEWHERE)
        time.tzset()
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({name: value} if value is not None else {})
        time.tzset()


def leave(collected: dict[str, str]) -> None:
    """For the other processes of pytest, of which none runs a test before all have collected."""
    Path(os.environ[SHARED], f"{WORKER}.json").write_text(json.dumps(collected))


def others() -> list[dict[str, str]]:
    """What the other processes of pytest have collected."""
    files = sorted(Path(os.environ[SHARED]).glob("*.json"))
    return [json.loads(file.read_text()) for file in files if file.stem != str(WORKER)]


def parameters(item: pytest.Item) -> str:
    """Sets in order, and objects without their addresses."""
    given = item.callspec.params if hasattr(item, "callspec") else {}
    return re.sub(r" at 0x[0-9a-f]+", "", repr(_in_order(given)))


def _in_order(value: Any) -> Any:
    """Sets as lists, in order as mappings are, also within dataclasses; bytes, which may be long,
    as their digest.
    """
    if isinstance(value, bytes):
        return sha256(value).hexdigest()
    if isinstance(value, set | frozenset):
        return sorted(map(_in_order, value), key=repr)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        held = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
        return type(value).__name__, _in_order(held)
    if isinstance(value, dict):
        return {key: _in_order(value[key]) for key in sorted(value, key=repr)}
    if type(value) in (list, tuple):
        return type(value)(map(_in_order, value))
    return value
