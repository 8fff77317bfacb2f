"""The main job where no library has any of its private names."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.command import Command, parts, resume_command, summary, table

from imagepipe.compat import NONE_FOUND

ROWS = 100


@pytest.mark.faults
def test_the_main_job_is_stopped_and_resumed_without_private_names(
    tmp_path: Path, command: Callable[..., Command], record: Callable[..., None]
):
    """Ctrl-C stops it at once: nothing knows which pictures are under way."""
    out = tmp_path / "out"
    first = command(f"hydra.run.dir={out}", "verbose=true", **{NONE_FOUND: "1"})
    first.until(lambda: parts(out) >= 1, "pictures")
    os.killpg(first.process.pid, signal.SIGINT)
    code, said = first.wait()
    assert code == 130
    assert said.count("the pictures under way are finished first") == 0
    assert said.count("ExecutionCallback is not there. The stages have no figures") == 1
    assert summary(out)["status"] == "KILLED"
    assert 0 < len(table(out)) < ROWS

    code, again = command(*resume_command(said), "verbose=false", **{NONE_FOUND: "1"}).wait()
    assert code == 0, again
    assert "Traceback" not in again
    assert "is not there" not in again
    ids = [row["id"] for row in table(out)]
    held = len(ids) == len(set(ids)) == ROWS == len(list(out.glob("images/*.png")))
    record("no private names, Ctrl-C", victim="all", rows=ROWS, held=held)
    assert held
