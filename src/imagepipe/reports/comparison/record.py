"""`comparison.json` beside the page: the conclusions, and what is needed to write the page
again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from imagepipe.config import Sweep
from imagepipe.errors import UserError
from imagepipe.reports.comparison.jobs import Comparison, collect
from imagepipe.reports.comparison.runs import compared
from imagepipe.reports.comparison.verdict import Verdict
from imagepipe.store import write_whole

RECORD = "comparison.json"


def write(folder: Path, comparison: Comparison, runs: Sequence[Path] = ()) -> None:
    """`runs` are those that were named; none for a sweep, which has a record of its own."""
    known = {
        "name": comparison.name,
        "headline": comparison.headline(),
        "besides": comparison.besides(),
        "verdicts": [_said(verdict) for verdict in comparison.verdicts],
        "fronts": comparison.fronts,
        "runs": [os.path.relpath(run, folder) for run in runs],
        "by": comparison.by,
        "aim": asdict(comparison.aim),
    }
    write_whole(folder / RECORD, json.dumps(known, indent=1).encode())


def _said(verdict: Verdict) -> dict[str, Any]:
    """Each standing with its value and its difference from the baseline, [it, low, high]; of rates
    that is a logarithm."""
    return {
        "measure": verdict.measure,
        "best": [entry.label for entry in verdict.best],
        "sentence": verdict.sentence,
        "remarks": list(verdict.remarks),
        "standings": [
            {
                "label": one.entry.label,
                "value": one.value.as_json,
                "difference": one.against and one.against.interval.as_json,
                "p": one.against and one.against.p,
                "told": one.told,
            }
            for one in verdict.standings
        ],
    }


def read(folder: Path) -> tuple[Comparison, list[Path]]:
    """The comparison in `folder` as it is now, and the runs that were named for it.

    Raises UserError if there is none.
    """
    try:
        known = json.loads((folder / RECORD).read_text("utf-8"))
        aim, runs, by = Sweep(**known["aim"]), known["runs"], known["by"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            field="folder",
            value=folder,
            problem=f"holds no comparison ({RECORD}: {error})",
            remedy="Name a sweep's folder, or one that `imagepipe compare` wrote.",
        ) from error
    places = [Path(os.path.normpath(folder / run)) for run in runs]
    return (compared(places, aim, by) if places else collect(folder, aim)), places
