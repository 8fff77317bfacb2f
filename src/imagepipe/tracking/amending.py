"""Adds figures and files to a run that has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from imagepipe.tracking.figures import metric_name
from imagepipe.tracking.journal import Journal


def amend(folder: Path, values: Mapping[str, float], artifacts: Sequence[str] = ()) -> bool:
    """Add metrics, and files of `folder`, to the record of the ended run that it holds; whether
    there is one. `replay` sends them. The run keeps its state and its time.
    """
    journal = Journal(folder.absolute())
    ends = [event for event, _ in journal.read() if event["kind"] == "finish"]
    if not ends or journal.is_open():
        return False
    if values:
        numbers = {metric_name(key): float(value) for key, value in values.items()}
        journal.append("metrics", step=0, values=numbers)
    journal.append(**{**ends[-1], "values": {}, "artifacts": list(artifacts), "samples": []})
    return True
