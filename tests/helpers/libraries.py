"""What libraries hold, which no collection of garbage needs to go through again and again."""

from __future__ import annotations

import gc
import sys

MANY = 200  # modules: a library with what it needs
_left_out: set[int] = set()  # numbers of modules


def leave_out() -> None:
    """Where many modules were imported since: what is held now is held as long as the process."""
    if len(sys.modules) - max(_left_out, default=0) < MANY:
        return
    _left_out.add(len(sys.modules))
    gc.collect()
    gc.freeze()
