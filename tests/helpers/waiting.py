"""Waiting for what a test needs. How long that takes is the machine's business: what never comes is
ended by pytest's own timeout.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(true: Callable[[], Any]) -> None:
    while not true():
        time.sleep(0.02)
