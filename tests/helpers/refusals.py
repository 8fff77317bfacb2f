"""What is said where something cannot work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from imagepipe.errors import UserError


def refusal(call: Callable[..., Any], *given: Any, **more: Any) -> str:
    """The one line of the UserError that the call has to raise."""
    with pytest.raises(UserError) as caught:
        call(*given, **more)
    return str(caught.value)
