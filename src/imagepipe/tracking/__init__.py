"""Recording a run in MLflow, without ever being able to take the run down.

Every call is written to `tracking.jsonl` in the run folder first; one background thread reads that
journal and sends it. A server that is away costs nothing but time: what was not sent stays in the
journal, and `replay(folder)` or ``python -m imagepipe track FOLDER`` sends it later, with the
times at which it happened. This package is the only importer of MLflow, and imports it late.
"""

from imagepipe.tracking.address import check
from imagepipe.tracking.amending import amend
from imagepipe.tracking.journal import JOURNAL, DatasetInfo, Parent, Status
from imagepipe.tracking.replaying import replay
from imagepipe.tracking.tracker import NoTracking, Tracker, is_open, preload, start

__all__ = [
    "JOURNAL",
    "DatasetInfo",
    "NoTracking",
    "Parent",
    "Status",
    "Tracker",
    "amend",
    "check",
    "is_open",
    "preload",
    "replay",
    "start",
]
