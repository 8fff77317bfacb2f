"""Plans made in this process, and plans with a trial, which starts Ray."""

from __future__ import annotations

import io
import os
import subprocess
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from helpers.command import imagepipe

from imagepipe.cli.plan import main

SMALL = ["resources=cpu", "resources.model.pool=1", "resources.model.batch_size=2", "scorer=none"]
SMALL += ["resources.rows_per_block=2", "resources.sink.batch_size=2", "ray.num_cpus=2"]
# A model that takes the same time for each picture, whatever else the machine does.
SLOW = ["resources=tuned", "llm=none", "scorer=none", "ray.num_cpus=2", "model=noop"]
SLOW += ["model.engine=custom", "model._target_=helpers.painters.Slow", "model.width=16"]
SLOW += ["model.height=16", f"+model.options.bad={os.devnull}/none"]


@dataclass(frozen=True)
class Planned:
    """What `plan` said, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def planned(folder: Path, *arguments: str) -> Planned:
    """In this process: what draws nothing needs none of its own."""
    out, errors = io.StringIO(), io.StringIO()
    with chdir(folder), redirect_stdout(out), redirect_stderr(errors):
        code = main(arguments)
    return Planned(code, out.getvalue(), errors.getvalue())


def tried(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """With a trial, which starts Ray."""
    return imagepipe(folder, "plan", "--calibrate", *arguments)
