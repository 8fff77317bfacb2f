"""How every report writes a figure with its interval."""

from __future__ import annotations

import math

from imagepipe.errors import figure

TOO_FEW = "too few for an interval"


def between(
    value: float, low: float | None, high: float | None, digits: int = 3, sign: str = ""
) -> str:
    """A figure and between what the truth lies; `low` and `high` are null, or not finite, where so
    few were measured that nobody can say it."""
    return f"{figure(value, digits, sign)} ({limits(low, high, digits, sign)})"


def limits(low: float | None, high: float | None, digits: int = 3, sign: str = "") -> str:
    """Between what the truth lies."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return TOO_FEW
    return f"{figure(low, digits, sign)} to {figure(high, digits, sign)}"
