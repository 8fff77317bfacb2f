"""Records a run in MLflow, and never takes the run down.

Every call is first written to `tracking.jsonl` in the run folder; one background thread reads that
journal and sends it. If the server is away, what was not sent stays in the journal, and
`replay(folder)` or ``python -m imagepipe track FOLDER`` sends it later, with the original times.

This package is the only importer of MLflow, and imports it late.
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
