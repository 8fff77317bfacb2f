"""What a command prints never decides what it leaves, or how it ends."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from contextlib import suppress
from typing import IO, Any

from imagepipe.errors import RunFailed

GONE = (errno.EPIPE, errno.ECONNRESET)  # of a reader that reads no more
PATIENCE_S = 5.0  # with a reader that has stopped reading
PART = 1000  # characters, 4,000 bytes at most: a pipe that is ready takes as many at once


class Printed:
    """A stream of the terminal that may be closed, full or read by nobody any more.

    What cannot be printed is left out, as is all that follows: it decides neither what a run
    leaves nor how it ends. What a reader that pauses does not take in time is left out too. Where
    `needed`, as of the standard output, it is waited for, and only a reader that has gone
    (`| head`) is no error: RunFailed is raised for a full disk.
    """

    def __init__(self, stream: IO[str], *, needed: bool) -> None:
        self._stream, self._needed = stream, needed
        self._paused = False

    def write(self, text: str) -> int:
        if self._needed:
            self._try(self._stream.write, text)
            return len(text)
        for start in range(0, len(text), PART):
            if self._is_read():
                self._try(self._stream.write, text[start : start + PART])
                self._try(self._stream.flush)
        return len(text)

    def _is_read(self) -> bool:
        """Whether a part can be written without waiting for ever; later ones are not waited for."""
        try:
            stream = self._stream.fileno()
        except (OSError, ValueError):
            return True
        ready = select.poll()
        ready.register(stream, select.POLLOUT)
        self._paused = not ready.poll(0 if self._paused else PATIENCE_S * 1000)
        return not self._paused

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, what: Any, *arguments: str) -> None:
        try:
            what(*arguments)
        except OSError as error:
            # Also what is buffered, and what C++ writes below Python's stream.
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)
            if self._needed and error.errno not in GONE:
                raise RunFailed(f"the output cannot be written: {error.strerror}") from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def print_whatever_happens() -> None:
    """Put `Printed` around this process's streams; where one is closed, nothing else gets its
    number: a file of the run would hold what is printed.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, mode)  # the lowest number that is free
            os.set_inheritable(nowhere, True)  # or Ray's processes have it closed, and never start
    out: IO[str] = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    err: IO[str] = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    for stream in (out, err):
        if isinstance(
            stream, io.TextIOWrapper
        ):  # as `\u7ea2` where the terminal has no sign for it
            stream.reconfigure(errors="backslashreplace")
    sys.stdout = Printed(out, needed=True)
    sys.stderr = Printed(err, needed=False)
