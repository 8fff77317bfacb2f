"""A sqlite database's file, checked without MLflow."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from imagepipe.store import reason

MAGIC = b"SQLite format 3\0"  # https://www.sqlite.org/fileformat.html, section 1.3


def trouble(path: Path) -> str | None:
    """Why no database can be in the file `path`, which may still have to be made; null if one can.

    Leaves nothing. Only trying tells whether a folder can be written: on a disk that is mounted to
    be read, root may write by its permissions.
    """
    made = [one for one in path.parents if not os.path.lexists(one)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()  # as SQLite's journal, beside the file
        return _of_file(path)
    except (OSError, ValueError) as error:
        return reason(error)
    finally:
        with suppress(OSError):
            for one in made:
                one.rmdir()


def _of_file(path: Path) -> str | None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        # SQLite makes the file that a link names, but no folder; MLflow waits minutes for its lock.
        to = Path(os.path.realpath(path))
        return None if to.parent.is_dir() else f"it is a link into {to.parent}, which is not there"
    if not stat.S_ISREG(mode):
        return "it is a folder or a device, not a file"
    with path.open("r+b") as file:
        head = file.read(len(MAGIC))
    return None if head in (b"", MAGIC) else "it is a file, but not a sqlite database"
