"""Many generated inputs for one check, the same ones for the same seed."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

MOST_BYTES = 2000  # of a message


def each(inputs: st.SearchStrategy[Any], number: int, begin: int, check: Callable[..., Any]) -> int:
    """`check` of `number` of `inputs`, or of all where there are fewer; how many those were.

    What fails is shown as small as it can be made, by hypothesis.
    """
    tried = 0

    @seed(begin)
    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        print_blob=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs)
    def one(given: Any) -> None:
        nonlocal tried
        tried += 1
        check(given)

    one()
    return tried


def is_plain(message: str) -> str:
    """`message`, made sure that a terminal may show it: short, and nothing that steers."""
    assert len(message.encode()) <= MOST_BYTES, f"{len(message.encode())} bytes: {message[:200]}"
    assert "Traceback" not in message, message
    steering = [sign for sign in message if _steers(sign)]
    assert not steering, (steering, message)
    assert message.strip()
    return message


def _steers(sign: str) -> bool:
    return sign not in "\n\t" and unicodedata.category(sign) in ("Cc", "Cf", "Cs")
