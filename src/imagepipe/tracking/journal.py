"""The local journal of a run's tracking: one JSON line per event, in order."""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

log = logging.getLogger(__name__)

JOURNAL = "tracking.jsonl"
Event = dict[str, Any]
Status = Literal["FINISHED", "FAILED", "KILLED"]


@dataclass(frozen=True)
class DatasetInfo:
    """An input table of the run, as MLflow's dataset inputs show it."""

    name: str
    path: str  # where it was read from; a user and password in it are left out
    format: str
    rows: int | None
    columns: tuple[str, ...]
    digest: str  # MLflow takes 36 characters


@dataclass(frozen=True)
class Parent:
    """The run that a sweep's jobs are nested in: our own id of it, and its MLflow experiment."""

    run: str
    experiment: str


class Journal:
    """`tracking.jsonl` in a run folder, appended to by any thread and read from any place.

    Each event is a JSON object with `kind` and `time` (ms since 1970). A line that a kill tore is
    skipped by the reader; an event that could not be written (disk full) is warned of once.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / JOURNAL
        self._lock = threading.Lock()
        self._warned = False

    def append(self, kind: str, **values: Any) -> None:
        event = {"kind": kind, "time": time.time_ns() // 1_000_000, **values}
        text = json.dumps(event, separators=(",", ":"), ensure_ascii=False)
        line = text.encode("utf-8", "replace") + b"\n"  # a prompt may have lone surrogates
        try:
            with self._lock, self.path.open("a+b") as file:
                file.write(b"\n" + line if _torn(file) else line)
        except OSError as error:
            if not self._warned:
                log.warning("Tracking: %s cannot be written: %s", self.path, error.strerror)
            self._warned = True

    def read(self, offset: int = 0) -> Iterator[tuple[Event, int]]:
        """The whole events from byte `offset` on, each with the offset after it."""
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            file.seek(offset)
            for line in file:
                offset += len(line)
                event = _event(line)
                if event is not None:
                    yield event, offset

    def is_open(self) -> bool:
        """Whether a run was begun here and not ended."""
        ends = [event["kind"] for event, _ in self.read() if event["kind"] in ("start", "finish")]
        return ends[-1:] == ["start"]

    def system_steps(self) -> int:
        """How many readings of the machine it holds: those of a resumed run go on from there."""
        metrics = (event["values"] for event, _ in self.read() if event["kind"] == "metrics")
        return sum(any(key.startswith("system/") for key in values) for values in metrics)

    def run_key(self) -> str:
        """Our id of the run: the journal's own where the folder has one (a resumed run)."""
        started = (event["run"] for event, _ in self.read() if event["kind"] == "start")
        return next(started, None) or uuid.uuid4().hex


def _torn(file: Any) -> bool:
    """Whether the last line has no end; leaves the position at the file's end."""
    if file.seek(0, 2) == 0:
        return False
    file.seek(-1, 2)
    return file.read(1) != b"\n"


def _event(line: bytes) -> Event | None:
    if not line.endswith(b"\n"):
        return None  # being written right now, or torn by a kill
    try:
        return json.loads(line)
    except ValueError:
        return None
