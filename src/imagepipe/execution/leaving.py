"""Writes what a folder shows: the gallery and contact sheet of a run, or of scored pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from imagepipe.config import Config
from imagepipe.reports import gallery
from imagepipe.reports.summary import write_files
from imagepipe.sink import rescored, results
from imagepipe.store import Store


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
