"""Follows a database that was moved together with its artifacts.

MLflow stores where artifacts are, and has no way to change it. So two columns of its database are
set to the folder beside it.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

log = logging.getLogger(__name__)

ARTIFACTS = "mlruns"


def follow(database: Path) -> None:
    """Set the places of the artifacts that lay beside `database` to where they are now, or to where
    new ones go.

    Only of experiments whose place was such a folder, and is gone or another database's. Where
    MLflow has other tables than those known, nothing is changed: new artifacts then go to the old
    place.
    """
    here = database.parent / ARTIFACTS
    try:
        with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
            places = connection.execute("SELECT DISTINCT artifact_location FROM experiments")
            for (place,) in places.fetchall():
                if place and _was_beside(place, database):
                    _replace(connection, place.rstrip("/"), here.as_uri())
    except sqlite3.Error as error:
        log.warning("MLflow's artifacts may still be looked for at another place: %s", error)


def _was_beside(place: str, database: Path) -> bool:
    """Whether `place` is that of artifacts beside a database which was moved or copied here."""
    parts = urlsplit(place)
    folder = Path(unquote(parts.path) if parts.scheme else place)
    if parts.scheme not in ("", "file") or folder.name != ARTIFACTS:
        return False
    there, here = folder.parent / database.name, database.parent / ARTIFACTS
    if not folder.is_dir():
        return True
    if not here.is_dir():  # the database alone was moved
        return False
    return not folder.samefile(here) and there.is_file() and not there.samefile(database)


def _replace(connection: sqlite3.Connection, old: str, new: str) -> None:
    connection.execute(
        "UPDATE experiments SET artifact_location = ? WHERE rtrim(artifact_location, '/') = ?",
        (new, old),
    )
    connection.execute(
        "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) "
        "WHERE substr(artifact_uri, 1, ?) = ?",
        (new, len(old) + 1, len(old) + 1, f"{old}/"),
    )
