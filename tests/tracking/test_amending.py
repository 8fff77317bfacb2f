"""More figures and files for a run that has ended, in the journal that is sent."""

from __future__ import annotations

from imagepipe.tracking import amend
from imagepipe.tracking.journal import Journal


def test_what_is_added_keeps_the_runs_end(tmp_path):
    journal = Journal(tmp_path)
    assert not amend(tmp_path, {"votes": 2.0})  # nothing was recorded
    journal.append("start", run="r")
    assert not amend(tmp_path, {"votes": 2.0})  # it goes on
    ended = {"status": "FAILED", "time": 7, "step": 0, "note": "n", "trouble": None}
    journal.append("finish", **ended, values={"pictures": 1.0}, artifacts=["a"], samples=["s"])
    assert amend(tmp_path, {"votes/a=1, b": 2}, ["comparison.html"])
    *_, metrics, finish = (event for event, _ in journal.read())
    assert (metrics["kind"], metrics["values"]) == ("metrics", {"votes/a_1_ b": 2.0})
    assert metrics["time"] > 7
    more = {"values": {}, "artifacts": ["comparison.html"], "samples": []}
    assert finish == {"kind": "finish", **ended, **more}
