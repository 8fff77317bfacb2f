"""A job's place in its sweep. Light, because the command needs it before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from imagepipe import tracking
from imagepipe.sink import sweeps


@dataclass(frozen=True)
class SweepJob:
    """A run's place in its sweep. `parent` is null if nothing is recorded in MLflow.

    `folder` is the sweep's, and null if the job is resumed by itself.
    """

    number: int
    swept: dict[str, str]  # what the sweep varies, with this job's values
    sweep: str  # its name, the same in all jobs
    parent: tracking.Parent | None
    folder: Path | None = None

    @property
    def label(self) -> str:
        return sweeps.label(self.swept)
