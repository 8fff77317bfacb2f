"""A run's place in its sweep. Light: the command knows it before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from imagepipe import tracking
from imagepipe.sink import sweeps


@dataclass(frozen=True)
class SweepJob:
    """A run's place in its sweep. `parent` is null where nothing is recorded in MLflow.

    `folder` is the sweep's, and null where the job is resumed by itself.
    """

    number: int
    swept: dict[str, str]  # what the sweep varies, with this job's values
    sweep: str  # its name, the same in all jobs
    parent: tracking.Parent | None
    folder: Path | None = None

    @property
    def label(self) -> str:
        return sweeps.label(self.swept)
