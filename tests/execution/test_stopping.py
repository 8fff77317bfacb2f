"""Signals that wait."""

from __future__ import annotations

import os
import signal

import pytest

from imagepipe.signals import defer_signals, sigterm_as_interrupt


def steps(number: int, done: list[str]) -> None:
    """Two steps, with a signal that comes between them."""
    with defer_signals():
        done.append("first")
        os.kill(os.getpid(), number)
        done.append("second")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_held_is_done_before_the_signal_is_heard(number: int):
    done: list[str] = []
    with sigterm_as_interrupt():
        before = signal.getsignal(number)
        with pytest.raises(KeyboardInterrupt):
            steps(number, done)
        assert done == ["first", "second"]
        assert signal.getsignal(number) is before


def test_without_a_signal_nothing_is_raised():
    with defer_signals():
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
