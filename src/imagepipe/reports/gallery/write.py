"""Writes the gallery into a run's folder: a page that holds a sample, and the other rows beside it.

A page opened from disk can load scripts, but cannot fetch data. So the other rows are in scripts of
CHUNK rows each, and their pictures are loaded as the user scrolls. Without its folder, as in
MLflow, the page has only the sample.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from imagepipe.errors import figure
from imagepipe.reports.gallery.rows import WRITTEN, Entry, Rows
from imagepipe.reports.page import at_once, data_uri, encodable, rendered
from imagepipe.sink.ledger import ENDS
from imagepipe.sink.metadata import SETTINGS
from imagepipe.sink.parts import REJECTED, written_parts
from imagepipe.sink.rescored import count
from imagepipe.sink.results import Picture
from imagepipe.store import Store, write_whole

TEMPLATE = Path(__file__).with_name("gallery.html.j2")
PAGE = "gallery.html"
FOLDER = "gallery"  # beside it
SAMPLE = (
    200  # pictures inside the page, and as many rows that failed, have no match or were filtered
)
CHUNK = 1000
INPUT_SIDE = 256  # px of an input picture inside the page


@dataclass(frozen=True)
class Heading:
    """What a page says of its run: `summary` as in `summary.json`, of which it shows the counts,
    rates and time to the first picture; the columns of `scores` by name; and what holds for all of
    its pictures.
    """

    title: str
    summary: Mapping[str, Any]
    scores: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)


def write(rows: Rows, shown: Sequence[Picture], most: int, heading: Heading) -> None:
    """Write the page of a run: `shown` are the pictures inside it, `most` those that it has in all.

    A run without any row leaves none.
    """
    Store(str(rows.folder.absolute())).remove_folder(FOLDER)
    inside = [*_sample(rows, shown), *_rejected(rows, 0, min(SAMPLE, most))]
    if not inside:
        return
    pictures = islice(_others(rows, shown), max(0, most - len(shown)))
    outside = chain(pictures, _rejected(rows, SAMPLE, most))
    names, listed = [], 0
    for number, entries in enumerate(_chunked(outside)):
        names.append(f"{FOLDER}/rows-{number:04}.js")
        listed += sum(entry.status == WRITTEN for entry in entries)
        text = f"imagepipeRows({json.dumps(packed(entries), ensure_ascii=False)})"
        write_whole(rows.folder / names[-1], text.encode("utf-8", "replace"))
    data = {
        "inside": packed(inside),
        "chunks": names,
        "nonce": secrets.token_urlsafe(16),
        "pictures": count(rows.store),
        "sample": len(shown),
        "listed": len(shown) + listed,
        "elsewhere": encodable(rows.store.url) if "://" in rows.store.url else None,
        "folder": encodable(str(rows.folder)),
        "scores": {encodable(name): encodable(one) for name, one in heading.scores.items()},
        "parameters": [[n, encodable(v)] for n, v in heading.parameters.items() if n != SETTINGS],
    }
    write_whole(rows.folder / PAGE, _html(data, heading).encode())


def _html(data: Mapping[str, Any], heading: Heading) -> str:
    """All text is escaped, and a content security policy lets only the page's own script run, and
    what that loads by the page's nonce.
    """
    there = {name for name, values in data["inside"]["columns"] if set(values) != {None}}
    names = [name for name, column in data["scores"].items() if column in there]
    facts, title = _facts(heading.summary), encodable(heading.title)
    return rendered(TEMPLATE, data, title=title, facts=facts, scores=names)


def packed(entries: Sequence[Entry]) -> dict[str, Any]:
    """The rows by columns, as the page's script reads them."""
    names = dict.fromkeys(name for entry in entries for name in entry.cells)
    return {
        "id": [entry.id for entry in entries],
        "status": [entry.status for entry in entries],
        "reason": [entry.reason for entry in entries],
        "picture": [entry.picture for entry in entries],
        "inputs": [list(entry.inputs.items()) for entry in entries],
        # Not by name: a column may be called like something that every object has.
        "columns": [[name, [entry.cells.get(name) for entry in entries]] for name in names],
    }


def _sample(rows: Rows, shown: Sequence[Picture]) -> Iterator[Entry]:
    """The rows of `shown`, each with a small picture, and those of its inputs, in the page."""
    by_part: dict[str, dict[int, str]] = {}
    for picture, small in zip(shown, at_once(lambda one: data_uri(one.png), shown), strict=True):
        by_part.setdefault(picture.part, {})[picture.place] = small
    for part, places in by_part.items():
        entries = rows.written(part, list(places))
        for entry, small in zip(entries, places.values(), strict=True):
            inputs: dict[str, Sequence[str | None]] = {
                name: (file, _small(rows.folder, file)) for name, (file, _) in entry.inputs.items()
            }
            yield replace(entry, picture=(entry.picture[0], small), inputs=inputs)


def _small(folder: Path, address: str | None) -> str | None:
    """An input picture for the page itself; null if it cannot be read."""
    try:
        return data_uri((folder / unquote(address or "")).read_bytes(), INPUT_SIDE)
    except Exception:  # whatever Pillow's decoders raise: what is drawn must not be lost by it
        return None


def _others(rows: Rows, shown: Sequence[Picture]) -> Iterator[Entry]:
    """All pictures but those that are `shown`, part by part: the names of parts are hashes, so that
    the first of them are a fair sample.
    """
    known = {(picture.part, picture.place) for picture in shown}
    for part in written_parts(rows.store):
        for place, entry in enumerate(rows.written(part)):
            if (part, place) not in known:
                yield entry


def _rejected(rows: Rows, first: int, most: int) -> Iterator[Entry]:
    """The rows without a picture: of each kind from the `first` on, up to `most`."""
    for name in REJECTED:
        yield from islice(rows.rejected(name, most), first, None)


def _chunked(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    each = iter(entries)
    while chunk := list(islice(each, CHUNK)):
        yield chunk


def _facts(summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Of a run's summary: (value, what it is, class) for those figures that it has."""
    rate = summary.get("images_per_s") or {}
    counts = ("rows_read", *ENDS)
    facts = [
        (f"{summary[name]:,}", name.replace("_", " "), name)
        for name in counts
        if summary.get(name) is not None
    ]
    figures = (
        (rate.get("end_to_end"), "pictures/s end to end"),
        (rate.get("steady"), "pictures/s steady"),
        (summary.get("time_to_first_image_s"), "s to the first picture"),
    )
    return facts + [
        (figure(value), label, "figure") for value, label in figures if value is not None
    ]
