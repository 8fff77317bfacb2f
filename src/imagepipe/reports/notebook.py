"""A progress bar in a notebook's cell; the saved notebook keeps its last state."""

from __future__ import annotations

from html import escape
from typing import Any


class NotebookBar:
    """Only for a process that IPython runs in; elsewhere it cannot be made."""

    def __init__(self) -> None:
        from IPython.display import display

        # Null if no notebook is behind the kernel.
        self._line: Any = display({"text/plain": ""}, raw=True, display_id=True)

    def say(self, rows: int, total: int, text: str) -> None:
        """`rows` of `total` are done."""
        if self._line is None:
            return
        said = f"{rows} of {total} rows{', ' + text if text else ''}"
        bar = f'<progress value="{rows}" max="{max(1, total)}"></progress> {escape(said)}'
        self._line.update({"text/plain": said, "text/html": bar}, raw=True)
