"""Who may write into a run's folder: one command at a time, and no process that an older one left.

A driver that is killed leaves workers that may live on for minutes, in the middle of a batch. What
they still wrote after a resumed run has looked which rows are done would be there twice.
"""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from imagepipe.errors import RunFailed, UserError

BATCH_S = 60.0  # the longest that one batch is waited for to be written


@dataclass(frozen=True)
class Claim:
    """The right of one command's writers, who get a copy. It ends when its file is gone."""

    path: str

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the claim while a batch is written. Raises RunFailed where it has ended."""
        with ExitStack() as stack:
            try:
                file = stack.enter_context(open(self.path, "rb"))
            except FileNotFoundError:
                raise RunFailed(ENDED) from None
            fcntl.flock(file, fcntl.LOCK_SH)
            if os.fstat(file.fileno()).st_nlink == 0:  # it ended while this one waited
                raise RunFailed(ENDED)
            yield

    def end(self) -> None:
        """Wait for the batches that are being written, and let no other begin."""
        _end(Path(self.path))


ENDED = "this process belongs to a command that has ended; nothing is written"


@contextmanager
def claim(folder: Path, key: str = "hydra.run.dir") -> Iterator[Claim]:
    """Claim `folder`, which is made where it is not there; what was claimed before has ended.

    Raises UserError, which names the configuration's `key`, where another command holds it or
    nothing can be written there.
    """
    lock = FileLock(folder / ".lock", timeout=0)
    mine = folder / f".claim-{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        for old in folder.glob(".claim-*"):
            _end(old)
        mine.touch()
    except Timeout:
        raise UserError(
            field=key,
            value=folder,
            problem="is being written by another command right now",
            remedy="Wait for it, end it, or name another folder.",
        ) from None
    except OSError as error:
        raise UserError(
            field=key,
            value=folder,
            problem=f"cannot be written to ({error.strerror})",
            remedy="Name a folder that you may write to.",
        ) from error
    try:
        yield Claim(str(mine))
    finally:
        _end(mine)
        lock.release()


def _end(path: Path) -> None:
    if not path.exists():
        return
    until = time.monotonic() + BATCH_S
    with path.open("rb") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise RunFailed(f"a process still writes into {path.parent}; end it") from None
                time.sleep(0.02)
        path.unlink(missing_ok=True)
