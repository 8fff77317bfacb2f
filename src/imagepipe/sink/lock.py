"""The run lock: one command at a time may write a run's rows, and no process of an older one.

A killed driver leaves workers that may live for minutes, in the middle of a batch. What they still
wrote after a resumed run had looked which rows are done would be there twice. A command ends locks
of its own run, and any in its own folder, whose lock it holds. The file `.run` says whose rows a
store holds, also while nobody writes.
"""

from __future__ import annotations

import fcntl
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from imagepipe.errors import RunFailed, UserError
from imagepipe.store import Store, reason

RUN, LOCK = ".run", ".lock"
BATCH_S = 60.0  # the longest that one batch is waited for to be written
ENDED = "this process belongs to a command that has ended; nothing is written"


@dataclass(frozen=True)
class RunLock:
    """The right to write, of one command's writers, who get a copy. It ends when its file is
    gone.

    In a folder, a batch that is being written holds the file's lock, so that `end` waits for it. An
    object store has no locks: there the run lock is checked before each part of the table, and a
    part that a lost process is uploading at that moment is not noticed.
    """

    store: Store
    name: str

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the run lock while a batch is written. Raises RunFailed if it has ended."""
        self.check()
        with ExitStack() as stack:
            if "://" not in self.store.url:
                try:
                    file = stack.enter_context(open(self.store.place(self.name), "rb"))
                except FileNotFoundError:
                    raise RunFailed(ENDED) from None
                fcntl.flock(file, fcntl.LOCK_SH)
                self.check()  # it may have ended while this one waited
            yield

    def check(self) -> None:
        """Raise RunFailed if the run lock has ended."""
        if not self.store.exists(self.name):
            raise RunFailed(ENDED)

    def keep(self) -> None:
        """Mark the rows in the store as those of the run that has the lock."""
        self.store.write(RUN, self.store.read(self.name))

    def end(self) -> None:
        """Wait for batches that are being written, and let no other begin."""
        with ExitStack() as stack:
            if not self.store.exists(self.name):
                return
            if "://" not in self.store.url:
                file = stack.enter_context(open(self.store.place(self.name), "rb"))
                _lock(file.fileno(), self.store.url)
            self.store.remove(self.name)


@contextmanager
def acquire(folder: Path, store: Store, run: str, *, new: bool = False) -> Iterator[RunLock]:
    """Lock a run's `folder` and its `store`; run locks of earlier commands of the same run end.

    `run` is its id. Raises UserError if another command holds the folder, where another run has
    locked a store beside it, which may be drawing, and, unless the run is `new`, where the
    store holds another's rows.
    """
    check_locks(folder, "hydra.run.dir")
    if "://" not in store.url:
        check_locks(Path(store.url), "sink.path")
    lock, mine = FileLock(folder / LOCK), RunLock(store, f".claims/{run}-{uuid.uuid4().hex}")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            field="hydra.run.dir",
            value=folder,
            problem="is being written by another command right now",
            remedy="Wait for it, end it, or name another folder.",
        ) from None
    except OSError as error:  # of another account's run
        raise UserError(
            field="hydra.run.dir",
            value=folder,
            problem=f"holds {LOCK}, which this account cannot write ({reason(error)})",
            remedy="Resume the run from the account that began it, or give its files to this one.",
        ) from error
    try:
        if not new:
            _check_owner(store, run)
        store.write(mine.name, f"{run} {folder} on {socket.gethostname()}".encode())
        claims = store.parts(".claims")
        others = [name for name in claims if not name.startswith(f".claims/{run}-")]
        if others and store != Store.of(None, folder):  # its own folder's lock is held
            raise _taken(store, others[0])
        for name in claims:
            if name != mine.name:
                RunLock(store, name).end()
        yield mine
    finally:
        try:
            mine.end()
        finally:
            if not any(path.is_file() and path.name != LOCK for path in folder.iterdir()):
                _forget(folder, store)  # refused: no run has begun here
            lock.release()


def check_locks(folder: Path, field: str) -> None:
    """Raise UserError if files in `folder` cannot be locked, as on some network disks."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(
                field=field,
                value=folder,
                problem=f"is on a disk without file locks (flock: {error.strerror}), by which no "
                "two commands write into one run",
                remedy="Name a place on another disk; pictures and table may lie in an object "
                "store (sink.path=s3://...)",
            ) from error


def _forget(folder: Path, store: Store) -> None:
    for place in (folder, *([Path(store.url)] if "://" not in store.url else [])):
        if not {path.name for path in place.iterdir()} - {LOCK, ".claims"}:
            with suppress(OSError):  # a process of an earlier command may still have its lock there
                (place / ".claims").rmdir()
    (folder / LOCK).unlink(missing_ok=True)


@contextmanager
def leaving_nothing(field: str, folder: Path) -> Iterator[None]:
    """Make `folder`. If it is empty at the end it is removed, with the folders made for it.

    Raises UserError, which names the key `field`, if it cannot be made.
    """
    try:
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            field=field,
            value=folder,
            problem=f"cannot create a folder there ({reason(error)})",
            remedy="Name another place.",
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):
            for path in made:
                path.rmdir()


def _check_owner(store: Store, run: str) -> None:
    """Raise UserError if the store is another run's. One that was emptied is nobody's."""
    try:
        owner, _, where = store.read(RUN).decode().partition(" ")
    except FileNotFoundError:
        return
    if owner != run:
        raise UserError(
            field="sink.path",
            value=store.url,
            problem=f"is the place of the run in {where}, which began there after this one had "
            "left no rows",
            remedy="Begin this run again, with another place.",
        )


def _taken(store: Store, name: str) -> UserError:
    try:
        who = f"the run in {store.read(name).decode().partition(' ')[2]}"
    except FileNotFoundError:
        who = "a run that has just ended"
    return UserError(
        field="sink.path",
        value=store.url,
        problem=f"is written by {who}",
        remedy="Name another place. Where that run was killed, resume it: resume=ITS FOLDER; "
        f"or where it has written nothing, remove {store.place(name)}",
    )


def _lock(file: int, where: str) -> None:
    until = time.monotonic() + BATCH_S
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise RunFailed(f"a process still writes into {where}; end it") from None
            time.sleep(0.02)
