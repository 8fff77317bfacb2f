"""What is logged while a test runs.

pytest has `caplog`, but its plug-in costs every test, and few ask for it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class Logged(logging.Handler):
    """All records, in order, and their text: of warnings and errors, where no level is set."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def text(self) -> str:
        return "\n".join(map(self.format, self.records))

    def clear(self) -> None:
        self.records.clear()

    def set_level(self, level: int) -> None:
        """Until the test ends."""
        logging.getLogger().setLevel(level)


@contextmanager
def kept() -> Iterator[Logged]:
    """Whatever others in this process made of the root logger's level."""
    root, logged = logging.getLogger(), Logged()
    before = root.level
    root.setLevel(logging.WARNING)
    root.addHandler(logged)
    try:
        yield logged
    finally:
        root.removeHandler(logged)
        root.setLevel(before)
