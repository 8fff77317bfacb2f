"""`imagepipe.compare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from imagepipe.api.result import Result
from imagepipe.cli.compare import compared
from imagepipe.config import Sweep
from imagepipe.config.fields import check_fields


@dataclass(frozen=True)
class Compared:
    """Runs side by side. Open `page` in a browser; a notebook shows the pictures."""

    page: Path
    headline: str  # which is best, or that the data cannot tell
    besides: Sequence[str]  # what else can be said
    differences: Sequence[Mapping[str, Any]]  # `key`, and its `values` in the order of the runs

    def _repr_png_(self) -> bytes | None:
        sheet = self.page.with_suffix(".png")
        return sheet.read_bytes() if sheet.is_file() else None


def compare(
    *runs: str | Path | Result,
    objective: Literal["score", "images_per_s"] = "score",
    score: str | None = None,
    baseline: str | None = None,
    level: float = 0.95,
    by: Literal["id", "base_prompt"] | None = None,
    out: str | Path | None = None,
) -> Compared:
    """Compare finished runs, as `imagepipe compare` does: results, or folders of runs and sweeps.

    `objective` decides which run is best, and `score` names one of several scores. `baseline` is
    the number of the run to compare the others with (default: the first). `by` says how to match
    rows (default: by id if all runs read the same tables).

    The result has `page` (the path of the page), `headline` (which run is best, or that the data
    cannot tell), `besides` (what else can be said) and `differences` (the settings that differ).
    Raises UserError if the runs cannot be compared.
    """
    from imagepipe.reports.comparison import PAGE

    aim = Sweep(objective, score, None, baseline, level)
    check_fields(aim, "")
    folders = [run.folder if isinstance(run, Result) else Path(run) for run in runs]
    folder, found = compared(folders, aim, by, Path(out) if out else None)
    return Compared(
        folder.absolute() / PAGE, found.headline(), list(found.besides()), found.differences
    )
