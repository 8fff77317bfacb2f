"""Ctrl-C and SIGTERM: the first lets a run finish what it has begun, the second ends it at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

GRACE_S = 15.0  # after SIGTERM: a spot machine is gone 30 s after it, and there is more to close


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """A spot machine's SIGTERM ends the run as Ctrl-C does, so that it leaves right states."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def defer_signals() -> Iterator[None]:
    """Within it Ctrl-C and SIGTERM wait for its end: for steps that must not be half done.

    Only in the main thread.
    """
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {n: signal.signal(n, lambda number, _: came.append(number)) for n in numbers}
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, before[number])
    if came:
        signal.raise_signal(came[0])


@contextmanager
def graceful_stop(stop: Callable[[], None], say: Callable[[str], None]) -> Iterator[None]:
    """Within it the first Ctrl-C or SIGTERM calls `stop`, the next one raises KeyboardInterrupt.

    After SIGTERM the next one comes by itself in GRACE_S. Only in the main thread.
    """
    asked = False
    timer = threading.Timer(GRACE_S, os.kill, [os.getpid(), signal.SIGTERM])
    timer.daemon = True

    def handle(number: int, _: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        stop()
        if number == signal.SIGTERM:
            timer.start()
        say("stopping: the pictures under way are finished first; again to stop at once")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
