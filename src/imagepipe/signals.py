"""Ctrl-C, SIGTERM and SIGHUP: the first lets a run finish what it has started, the second ends it.

SIGHUP, sent when a terminal closes or a connection is lost, acts like SIGTERM, unless the command
was started to survive it (`nohup`).
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

GRACE_S = 15.0  # after SIGTERM: a spot machine is gone 30 s after it, and there is more to close


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """A spot machine's SIGTERM ends the run as Ctrl-C does, so that it leaves right states."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with _handled(_terminations(), interrupt):
        yield


@contextmanager
def defer_signals() -> Iterator[None]:
    """Within it Ctrl-C and SIGTERM wait for its end: for steps that must not be half done."""
    came: list[int] = []
    with _handled([signal.SIGINT, *_terminations()], lambda number, _: came.append(number)):
        yield
    if came:
        signal.raise_signal(came[0])


@contextmanager
def graceful_stop(stop: Callable[[], None], say: Callable[[str], None]) -> Iterator[None]:
    """Within it the first Ctrl-C or SIGTERM calls `stop`, the next one raises KeyboardInterrupt.

    After SIGTERM and SIGHUP the next one comes by itself in GRACE_S.
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
        if number != signal.SIGINT:
            timer.start()
        say("stopping: the pictures under way are finished first; again to stop at once")

    with _handled([signal.SIGINT, *_terminations()], handle):
        try:
            yield
        finally:
            timer.cancel()


@contextmanager
def hangup_is_ours_alone() -> Iterator[None]:
    """Processes that are started within it never hear SIGHUP: a terminal sends it to them too, and
    they are to finish what this one lets them finish.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _terminations() -> list[signal.Signals]:
    """The signals that ask the command to end; SIGHUP is none where it is ignored."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGTERM] if ignored else [signal.SIGTERM, signal.SIGHUP]


@contextmanager
def _handled(numbers: Iterable[int], handler: Callable[[int, Any], None]) -> Iterator[None]:
    # Python runs handlers in the main thread, and sets them there alone.
    mine = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, handler) for number in numbers if mine}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
