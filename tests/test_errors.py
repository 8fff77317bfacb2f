"""Any error as one line."""

from __future__ import annotations

import pytest
from ray.exceptions import RayTaskError

from imagepipe.errors import one_line, with_class

STACK = 'Traceback (most recent call last):\n  File "a.py", line 1\nValueError: no such thing\n'


@pytest.mark.parametrize(
    ("error", "line", "named"),
    [
        pytest.param(ValueError("wrong"), "wrong", "ValueError: wrong", id="one"),
        pytest.param(OSError("\n no file\n at all\n"), "no file", "OSError: no file", id="first"),
        pytest.param(KeyError(), "KeyError", "KeyError", id="silent"),
        pytest.param(
            RayTaskError("work", STACK, ValueError("no such thing\nof it")),
            "no such thing",
            "ValueError: no such thing",
            id="cause",
        ),
        pytest.param(
            RayTaskError("work", STACK, None),
            "ValueError: no such thing",
            "ValueError: no such thing",
            id="ray",
        ),
    ],
)
def test_an_error_is_one_line(error: Exception, line: str, named: str):
    assert one_line(error) == line
    assert with_class(error) == named


def test_a_long_one_is_cut():
    error = ValueError("x" * 99)
    assert one_line(error, limit=20) == f"{'x' * 17}..."
    assert with_class(error, limit=20) == f"ValueError: {'x' * 5}..."
