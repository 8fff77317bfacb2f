"""Sends a run's record again, from the journal in its folder."""

from __future__ import annotations

from pathlib import Path

from imagepipe.config import Tracking
from imagepipe.errors import UserError
from imagepipe.tracking.address import Address, check, resolve
from imagepipe.tracking.artifacts import Artifacts
from imagepipe.tracking.failures import reason
from imagepipe.tracking.journal import JOURNAL, Journal
from imagepipe.tracking.sender import Sender


def replay(folder: Path, uri: str | None = None) -> str:
    """Send the journals of a run's or a sweep's folder to their store again; the run's link.

    To the store at `uri` where one is given. Raises UserError if the folder has no journal, the
    store still does not answer, or it does not take all of a run.
    """
    journal = Journal(folder.absolute())
    stores = [event["store"] for event, _ in journal.read() if event["kind"] == "start"]
    if not stores:
        raise UserError(
            field="folder",
            value=folder,
            problem=f"holds no {journal.path.name} with a run in it",
            remedy="Name a run folder, such as outputs/2026-01-31/12-00-00",
        )
    address = _elsewhere(uri) if uri else Address.of_journal(stores[-1], journal.folder)
    database = address.sqlite_file
    if database and address.follows and not database.is_file():
        raise UserError(
            field="folder",
            value=folder,
            problem=f"has no database beside it, which would be {database}",
            remedy="Name the store with --uri",
        )
    sender = Sender(address, journal)
    artifacts = Artifacts(sender)
    try:
        sender.drain()
        artifacts.drain()
    except Exception as error:  # whatever MLflow, its HTTP or its database layer raise
        raise _untaken(address, reason(error)) from error
    if left := [*sender.left_out, *artifacts.left_out]:
        raise _untaken(address, f"without {', '.join(left)}")
    for job in sorted(set(folder.rglob(JOURNAL)) - {folder / JOURNAL}):
        replay(job.parent, uri)
    return str(sender.url)


def _elsewhere(uri: str) -> Address:
    """The store that the user names for a record; its artifacts lie beside a database."""
    config = Tracking(name="typed", backend="mlflow", uri=uri)
    check(config, outputs := Path("outputs"))
    return resolve(config, outputs)


def _untaken(address: Address, why: str) -> UserError:
    return UserError(
        field="tracking.uri",
        value=address.uri,
        problem=f"does not accept the run ({why})",
        remedy="Try again when it does, or send it elsewhere with --uri; the record stays in the "
        "folder",
    )
