"""Figures as a person reads them, in every report alike."""

from __future__ import annotations

import math

TOO_FEW = "too few for an interval"


def said(value: float, digits: int = 3, sign: str = "") -> str:
    """In so many digits, whole where it has more: 0.0425, 12.3, 12,345; what rounds to 0 is 0.

    `sign` is `+` where that is said too.
    """
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:{sign},.0f}"
    return f"{value:{sign}z.{digits}g}"


def between(
    value: float, low: float | None, high: float | None, digits: int = 3, sign: str = ""
) -> str:
    """A figure and between what the truth lies; `low` and `high` are null, or not finite, where so
    few were measured that nobody can say it."""
    return f"{said(value, digits, sign)} ({limits(low, high, digits, sign)})"


def limits(low: float | None, high: float | None, digits: int = 3, sign: str = "") -> str:
    """Between what the truth lies."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return TOO_FEW
    return f"{said(low, digits, sign)} to {said(high, digits, sign)}"
