"""Signals that wait."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from imagepipe.signals import defer_signals, hangup_is_ours_alone, termination_as_interrupt


def steps(number: int, done: list[str]) -> None:
    """Two steps, with a signal that comes between them."""
    with defer_signals():
        done.append("first")
        os.kill(os.getpid(), number)
        done.append("second")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_held_is_done_before_the_signal_is_heard(number: int):
    done: list[str] = []
    with termination_as_interrupt():
        before = signal.getsignal(number)
        with pytest.raises(KeyboardInterrupt):
            steps(number, done)
        assert done == ["first", "second"]
        assert signal.getsignal(number) is before


def test_without_a_signal_nothing_is_raised():
    with defer_signals():
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_ends_a_command_ends_it_as_ctrl_c_does(number: int):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), termination_as_interrupt():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_a_command_that_was_started_to_survive_its_terminal_does():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with termination_as_interrupt(), defer_signals():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_terminals_end_is_not_heard_by_what_is_started(tmp_path):
    script = "import os, signal; os.kill(os.getpid(), signal.SIGHUP); print('lives')"
    with hangup_is_ours_alone():
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "lives\n"
