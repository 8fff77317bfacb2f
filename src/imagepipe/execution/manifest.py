"""What a run was begun with: `run.json` in its folder, which a resumed run is held to."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from imagepipe import __version__, shell
from imagepipe.config import MAY_CHANGE, Config, with_defaults
from imagepipe.errors import UserError

RECORD = "run.json"


@dataclass(frozen=True)
class Record:
    """`typed` in the folder `cwd` began the run; `tables` are as `sources.fingerprint` says.

    `id` is no other run's, wherever the folder is moved.
    """

    id: str
    version: str
    typed: list[str]
    cwd: str
    config: dict[str, Any]
    tables: list[dict[str, Any]]


def of(config: Config, typed: Sequence[str], tables: Sequence[dict[str, Any]]) -> Record:
    """The record of a run that begins now, as it comes back from its file."""
    id_, cwd = uuid.uuid4().hex, os.getcwd()
    here = Record(id_, __version__, list(typed), cwd, asdict(config), list(tables))
    return Record(**json.loads(to_json(here)))


def to_json(record: Record) -> str:
    return json.dumps(asdict(record), indent=1, default=str)


def read(folder: Path) -> Record:
    """The record of the run in `folder`.

    Raises UserError where there is none, or another version of imagepipe began the run.
    """
    path = folder / RECORD
    try:
        record = Record(**json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise UserError(
            field="resume",
            value=folder,
            problem=f"holds no run that can be gone on with: {RECORD} is not there",
            remedy="Name a run's folder, such as outputs/2026-01-31/12-00-00. A run that was ended "
            "before it had one has drawn nothing: begin it again.",
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            field="resume",
            value=folder,
            problem=f"has a {RECORD} that cannot be read ({error})",
            remedy="Begin the run again in another folder.",
        ) from error
    if record.version != __version__:
        raise UserError(
            field="resume",
            value=folder,
            problem=f"was begun by imagepipe {record.version}, and this is {__version__}",
            remedy=f"Install imagepipe=={record.version}, or begin the run again.",
        )
    return record


def arguments(folder: Path, now: Sequence[str]) -> list[str]:
    """The command's arguments to go on with the run in `folder`: what began it, then `now`.

    What is typed now takes the place of what was typed for the same key. Hydra leaves its record
    of the run as it is.
    """
    keys = {_key(text) for text in now}
    before = [text for text in read(folder).typed if _key(text) not in keys]
    where = shell.quoted(str(folder))
    hydra = [f"hydra.run.dir={where}", "hydra.mode=RUN", "hydra.output_subdir=null"]
    every = [*before, *now, f"resume={where}", *hydra]
    return sorted(every, key=lambda text: "=" in text and text[0] != "-")  # options come first


def check(record: Record, now: Record, folder: Path) -> None:
    """Raise UserError where going on would mix two kinds of pictures, or rows of two tables.

    A key that there was not when the run began had, in what it meant, its default.
    """
    for key, was, new in _differences(with_defaults(record.config), now.config):
        raise UserError(
            field=key,
            value=new,
            problem=f"the run in {folder} began with {key}={was}",
            remedy=f"Leave it so. What may change: {', '.join(MAY_CHANGE)}. Or begin a new run.",
        )
    if problem := _other_tables(record.tables, now.tables):
        raise UserError(
            field="resume",
            value=folder,
            problem=problem,
            remedy="Give it the tables as they were, or begin a new run.",
        )


def _other_tables(was: Sequence[dict[str, Any]], now: Sequence[dict[str, Any]]) -> str | None:
    """What differs; null where the rows are the same."""
    if len(was) != len(now):
        return f"it began with {len(was)} tables, and is given {len(now)}"
    for old, table in zip(was, now, strict=True):
        what = next((n for n in table if n != "name" and table[n] != old.get(n)), None)
        if what is not None:
            return (
                f"the table {table['name']} is not the one that the run began with: "
                f"{what} was {old.get(what)}, is {table[what]}"
            )
    return None


def _differences(was: Any, now: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    if f"{key}.".startswith(tuple(f"{name}." for name in MAY_CHANGE)):
        return
    if isinstance(was, dict) and isinstance(now, dict):
        for name in sorted(was | now):
            inner = f"{key}.{name}" if key else name
            yield from _differences(was.get(name), now.get(name), inner)
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for one, other in zip(was, now, strict=True):
            yield from _differences(one, other, key)
    elif was != now:
        yield key, was, now


def _key(text: str) -> str:
    return text.lstrip("+~").partition("=")[0]
