"""Places that cannot be written to, each with the line that a person reads."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest
from helpers.refusals import refusal

from imagepipe.config import Sink
from imagepipe.errors import RunFailed
from imagepipe.sink import hub, lock
from imagepipe.store import Store


def test_a_disk_without_file_locks(tmp_path: Path, monkeypatch):
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    assert refusal(lock.check_locks, tmp_path, "hydra.run.dir") == (
        f"hydra.run.dir={tmp_path}: is on a disk without file locks (flock: No locks available), "
        "by which no two commands write into one run. Name a place on another disk; pictures and "
        "table may lie in an object store (sink.path=s3://...)"
    )


def test_a_process_that_still_writes(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(lock, "BATCH_S", 0.0)
    with (tmp_path / "lock").open("w") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        with pytest.raises(RunFailed, match=f"a process still writes into {tmp_path}; end it"):
            lock.RunLock(Store(str(tmp_path)), "lock").end()


def test_more_pictures_than_the_hub_takes():
    assert refusal(hub.check, Sink("files", hub="me/cats"), 10_001) == (
        "sink.hub=me/cats: takes at most 10,000 files in a folder, and images/ gets 10,001. "
        "Put the pictures into the table: sink.image_bytes=true sink.png=false."
    )
