"""A plugin of pytest: the ids and the parameters of all tests, as JSON in the file $COLLECTED.

COLLECTED=ids.json python -m pytest -p helpers.collected --collect-only
"""

from __future__ import annotations

import json
import os
import re
from hashlib import sha256
from pathlib import Path
from pprint import pformat
from typing import Any

import pytest

COLLECTED = pytest.StashKey[dict[str, str]]()


def pytest_collection_finish(session: pytest.Session) -> None:
    found = {item.nodeid: parameters(item) for item in session.items}
    Path(os.environ["COLLECTED"]).write_text(json.dumps(found))


def parameters(item: pytest.Item) -> str:
    """Sets in order, and objects without their addresses."""
    given = item.callspec.params if hasattr(item, "callspec") else {}
    return re.sub(r" at 0x[0-9a-f]+", "", pformat(_in_order(given)))


def _in_order(value: Any) -> Any:
    """A set wherever it is as a list, since pformat leaves small ones as they come; long bytes as
    their digest, which takes it seconds to write down.
    """
    if isinstance(value, bytes):
        return sha256(value).hexdigest()
    if isinstance(value, set | frozenset):
        return sorted(map(_in_order, value), key=repr)
    if isinstance(value, dict):
        return {key: _in_order(one) for key, one in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_in_order, value))
    return value
