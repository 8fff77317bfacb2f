"""The order in which a journal is sent: as it was written, each event once, from where it held."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from imagepipe.tracking.journal import Event, Journal
from imagepipe.tracking.lane import EVENTS_PER_BATCH, Lane, Step


class Sent(Lane):
    """Keeps what it sends; the first sending of a kind among `away` fails as a lost connection."""

    def __init__(self, journal: Journal, *away: str) -> None:
        super().__init__(journal)
        self.away, self.sent = list(away), list[str]()

    def steps(self, events: list[Event]) -> Iterator[Step]:
        kind = f"{events[0]['kind']}{len(events) if len(events) > 1 else ''}"
        yield kind, lambda: self._send(kind)

    def _send(self, kind: str) -> None:
        if kind in self.away:
            self.away.remove(kind)
            raise ConnectionError(kind)
        self.sent.append(kind)


def journal(folder: Path, *kinds: str) -> Journal:
    made = Journal(folder)
    for kind in kinds:
        made.append(kind)
    return made


def test_events_are_sent_once_and_neighbouring_metrics_together(tmp_path: Path) -> None:
    made = journal(tmp_path, "start", "metrics", "metrics", "finish")
    lane = Sent(made)
    lane.drain()
    lane.drain()
    assert lane.sent == ["start", "metrics2", "finish"]
    made.append("start")  # resumed
    lane.drain()
    assert lane.sent[3:] == ["start"]


def test_many_metrics_are_sent_in_batches(tmp_path: Path) -> None:
    lane = Sent(journal(tmp_path, *["metrics"] * (EVENTS_PER_BATCH + 2)))
    lane.drain()
    assert lane.sent == [f"metrics{EVENTS_PER_BATCH}", "metrics2"]


@pytest.mark.parametrize("away", ["start", "metrics2", "finish"])
def test_what_a_lost_connection_held_comes_first_when_it_is_back(tmp_path: Path, away: str) -> None:
    lane = Sent(journal(tmp_path, "start", "metrics", "metrics", "finish"), away)
    with pytest.raises(ConnectionError):
        lane.drain()
    lane.drain()
    assert lane.sent == ["start", "metrics2", "finish"]
    assert lane.left_out == []
