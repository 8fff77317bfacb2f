"""Runs whose pages or record are not whole at their end."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imagepipe.errors import RunFailed
from imagepipe.execution.leaving import STOPPED, leave_short


class Tracker:
    """Keeps what ended it."""

    def finish(self, status: str, **more: Any) -> None:
        self.ended = {"status": status, **more}


@pytest.mark.parametrize(
    ("status", "trouble", "error", "ends", "said"),
    [
        ("FINISHED", None, KeyboardInterrupt(), "KILLED", STOPPED),
        ("FAILED", "no rows", KeyboardInterrupt(), "KILLED", f"no rows; then: {STOPPED}"),
        ("FINISHED", None, RunFailed("no page"), "FAILED", "no page"),
        ("KILLED", "interrupted", RunFailed("no page"), "KILLED", "interrupted; then: no page"),
    ],
)
def test_a_run_says_in_its_summary_that_it_ended_short(
    tmp_path: Path, status: str, trouble: str | None, error: Any, ends: str, said: str
) -> None:
    """Its figures stay, also where one was written before that said that all went well."""
    (tmp_path / "summary.json").write_text('{"status": "FINISHED"}')
    job: Any = SimpleNamespace(folder=tmp_path)
    tracker: Any = Tracker()
    summary = {"status": status, "trouble": trouble, "written": 4}
    assert leave_short(job, tracker, summary, error) == (ends, said)
    kept = json.loads((tmp_path / "summary.json").read_text())
    assert kept == {"status": ends, "trouble": said, "written": 4}
    assert (tracker.ended["status"], tracker.ended["note"]) == (ends, said)


def test_a_disk_without_room_ends_the_record_all_the_same(tmp_path: Path) -> None:
    job: Any = SimpleNamespace(folder=tmp_path / "none")
    tracker: Any = Tracker()
    leave_short(job, tracker, {"status": "FINISHED", "trouble": None}, KeyboardInterrupt())
    assert tracker.ended["status"] == "KILLED"
