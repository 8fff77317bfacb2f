"""A sweep that is stopped when its job's last pictures are under way, and resumed as a whole."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.command import Command, parts, resume_command
from helpers.sweeps import statuses

from imagepipe.sink import sweeps

FAST = ["model=noop", "model.width=16", "model.height=16", "llm=none", "scorer=none"]
FAST += ["limit=8", "resources.model.pool=1", "resources.model.batch_size=4", "tracking=none"]
FAST += ["resources.rows_per_block=4"]


@pytest.mark.faults
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_a_signal_among_a_jobs_last_pictures_ends_the_sweep_behind_it(
    command: Callable[..., Command], tmp_path: Path, number: int
) -> None:
    slow, sweep = tmp_path / "slow", tmp_path / "sweep"
    slow.touch()
    options = ["model.engine=custom", "model._target_=helpers.painters.Slow"]
    options += [f"+model.options.slow={slow}", f"+model.options.bad={tmp_path / 'bad'}"]
    options += ["+model.options.seconds=5"]  # a picture
    run = command("-m", "seed=1,2,3", f"hydra.sweep.dir={sweep}", *FAST, *options)
    run.until(lambda: parts(sweep / "0") == 1, "the first of its two batches")
    os.killpg(run.process.pid, number) if number == signal.SIGINT else run.process.terminate()
    run.until(lambda: "stopping: " in run.said, "the signal to be heard")
    slow.unlink()
    code, said = run.wait()
    assert code == 130, said
    assert statuses(sweep) == {"0": "FINISHED"}
    record = sweeps.read(sweep)
    assert record and [job.folder for job in record.jobs] == ["0", None, None]
    assert (sweep / "comparison.html").is_file()
    code, said = command(*resume_command(said)).wait()
    assert code == 0, said
    assert statuses(sweep) == {"0": "FINISHED", "1": "FINISHED", "2": "FINISHED"}
    assert "3 of 3 jobs finished" in said
    page = (sweep / "comparison.html").read_text()
    assert all(f"seed={seed}" in page for seed in (1, 2, 3))
