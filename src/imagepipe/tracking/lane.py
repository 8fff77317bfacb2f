"""Sends a journal step by step, and decides what is delayed or skipped if a step fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from imagepipe.tracking.failures import is_away, is_refusal, reason
from imagepipe.tracking.journal import Event, Journal

log = logging.getLogger(__name__)

EVENTS_PER_BATCH = 60  # an event has about 12 values, and a request takes 1000
Step = tuple[str, Callable[[], Any]]  # what it sends, in words for the user, and how


class Lane:
    """Sends one part of each event of `journal`, in order, from where it last got to.

    Only a failed connection holds what comes after. Any other step that fails is said once, left
    out, and sent again with the whole journal. Not thread-safe: one thread at a time calls `drain`.
    """

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.left_out: list[str] = []  # what a later replay may still bring there
        self._offset = 0
        self._said = set[str]()

    def drain(self) -> None:
        """Send what is new. Raises what MLflow raises when the store is away; call it again."""
        for events, offset in _batches(self.journal.read(self._offset)):
            for what, send in self.steps(events):
                self._attempt(what, send)
            self._offset = offset

    def steps(self, events: list[Event]) -> Iterable[Step]:
        """How to send `events`: neighbouring ones of metrics, or a single one of another kind."""
        raise NotImplementedError

    def _attempt(self, what: str, send: Callable[[], Any]) -> None:
        try:
            send()
        except Exception as error:  # whatever MLflow, its HTTP, its database or a bucket raise
            if is_away(error):
                raise
            final = is_refusal(error)
            if not final and what not in self.left_out:
                self.left_out.append(what)
            kind = f"{type(error).__name__} {getattr(error, 'error_code', '')}"
            level = logging.DEBUG if kind in self._said else logging.WARNING
            self._said.add(kind)
            verb = "refused" if final else "did not take"
            log.log(level, "MLflow %s the run's %s: %s", verb, what, reason(error))


def _batches(events: Iterator[tuple[Event, int]]) -> Iterator[tuple[list[Event], int]]:
    """Neighbouring metrics events together, all others alone; with the offset after each."""
    batch: list[Event] = []
    end = 0
    for event, offset in events:
        joins = batch and event["kind"] == batch[-1]["kind"] == "metrics"
        if batch and not (joins and len(batch) < EVENTS_PER_BATCH):
            yield batch, end
            batch = []
        batch.append(event)
        end = offset
    if batch:
        yield batch, end
