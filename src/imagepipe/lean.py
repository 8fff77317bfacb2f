"""Imports without what they pull in for tasks that nobody does here."""

from __future__ import annotations

import sys
from typing import Any

# transformers imports these where they are installed, for assisted generation and for training
# object detectors: 600 modules of the 5,000 that a process loads before it draws.
NOT_NEEDED = ("sklearn", "scipy")


def import_transformers() -> None:
    """Import the large parts of transformers as if NOT_NEEDED were not installed.

    Only transformers takes them for missing, and only in this process; whoever imports them later
    gets them. Does nothing once transformers is there.
    """
    if "transformers" in sys.modules:
        return
    there: dict[str, Any] = sys.modules  # null is not in its type, but in Python's reference
    hidden = {name: there.pop(name, None) for name in NOT_NEEDED}
    there.update(dict.fromkeys(NOT_NEEDED))  # null: as if it were not installed
    try:
        import transformers.generation.candidate_generator
        import transformers.loss.loss_utils  # noqa: F401
    finally:
        for name, module in hidden.items():
            del there[name]
            if module is not None:
                there[name] = module
