"""Calls that are held to the permissions of files, also where the tests run as root."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from typing import Any

from imagepipe.cli.messages import plain_errors

# capabilities(7): reading and writing whatever the permissions say. capset(2): the version of its
# structures, and of each set its first word: effective, permitted, inheritable.
OVERRIDES, VERSION = 0b110, 0x20080522


def told(call: Callable[..., Any], *given: Any) -> str:
    """What a command that makes the call says on stderr, from a process of its own."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # whatever happens, it never comes back from here
        try:
            os.dup2(write, 2)
            sys.stderr = os.fdopen(2, "w", closefd=False)
            _obey()
            with plain_errors():
                call(*given)
        finally:
            sys.stderr.flush()
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as said:
        text = said.read()
    os.waitpid(child, 0)
    return text


def _obey() -> None:
    if os.geteuid() != 0 or sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    header, sets = (ctypes.c_uint32 * 2)(VERSION, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0
    for word in range(3):
        sets[word] &= ~OVERRIDES
    assert libc.capset(header, sets) == 0
