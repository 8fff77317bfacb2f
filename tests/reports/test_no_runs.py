"""A comparison of runs where none has finished."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagepipe.config import Sweep
from imagepipe.errors import UserError
from imagepipe.reports.comparison.runs import compared
from imagepipe.sink import sweeps


def test_a_sweep_without_a_finished_job_is_refused(tmp_path: Path):
    job = sweeps.PlannedJob(0, ["seed=1"])
    sweeps.write(tmp_path, sweeps.Record(["-m", "seed=1"], ["seed"], "basic", None, "/", [job]))
    with pytest.raises(UserError, match="contains no finished run"):
        compared([tmp_path], Sweep())
