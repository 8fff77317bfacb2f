"""Writes what a folder shows: the gallery and contact sheet of a run, or of scored pictures."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from imagepipe import tracking
from imagepipe.config import Config
from imagepipe.execution.messages import user_message
from imagepipe.reports import gallery
from imagepipe.reports.job import Job
from imagepipe.reports.summary import write_files, write_json
from imagepipe.signals import defer_signals
from imagepipe.sink import rescored, results
from imagepipe.store import Store

STOPPED = "interrupted before the gallery and the record were whole"


def leave(
    folder: Path,
    store: Store,
    ids: Sequence[str],
    run: Config | None,
    heading: gallery.Heading,
    most: int,
    *,
    just_drawn: bool,
) -> None:
    """Write summary, contact sheet and gallery of at most `most` pictures, whose ids are in the
    first of the columns `ids`. Those that were not `just_drawn` may be gone or broken by now.
    """
    shown = results.to_show(store, ids[0], min(gallery.SAMPLE, most), heading.scores)
    if not just_drawn:
        shown = [one for one in shown if not isinstance(rescored.decoded(one.png), str)]
    write_files(folder, heading.summary, shown)
    gallery.write(gallery.rows(folder, store, ids, run), shown, most, heading)


def leave_short(
    job: Job,
    tracker: tracking.Tracker,
    summary: dict[str, Any],
    error: Exception | KeyboardInterrupt,
) -> tuple[tracking.Status, str]:
    """End a run of whose pages and record `error` left a part: how it ended, and what went wrong.

    The summary is written again, because it may be missing or say that all went well.
    """
    status: tracking.Status = summary["status"]
    if isinstance(error, Exception):
        status, said = "FAILED" if status == "FINISHED" else status, user_message(job, error)
    else:
        status, said = "KILLED", STOPPED
    trouble = "; then: ".join(filter(None, [summary["trouble"], said]))
    summary |= {"status": status, "trouble": trouble}
    with defer_signals(), suppress(OSError):  # a full disk is what went wrong
        write_json(job.folder / "summary.json", summary)
    tracker.finish(status, summary=summary, pictures=[], folder=job.folder, note=trouble)
    return status, trouble
