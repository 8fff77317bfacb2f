"""The command as a person types it, to its end or under way, and what a run leaves."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
from helpers import warm
from helpers.waiting import until

MARK = "IMAGEPIPE_TEST_RUN"  # in the environment of all that a test starts, whoever its parent is
PATIENCE_S = 600.0
FAST = ["model=noop", "model.width=64", "model.height=64", "llm=template"]

# Measured for the embedded model on CPU: sums in another order move a channel by one grey level.
GREY_LEVELS = 2


def imagepipe(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    """The command, as a person types it in `folder`."""
    return warm.command(folder, *overrides)


def run(folder: Path, name: str, *overrides: str) -> Path:
    """A run that must end well; returns its folder."""
    out = folder / name
    done = imagepipe(folder, f"hydra.run.dir={out}", *overrides)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    summary = json.loads((out / "summary.json").read_text())
    ends = ("written", "failed", "unmatched", "filtered", "already_done")
    assert sum(summary[end] for end in ends) == summary["rows_read"]
    assert summary["status"] == "FINISHED"
    return out


@dataclass
class Command:
    """`python -m imagepipe ...`, under way or ended, and every process that it started.

    A killed driver leaves processes that are nobody's children; all carry the command's mark.
    """

    process: subprocess.Popen[bytes]
    mark: str
    log: Path
    began: float = field(default_factory=time.monotonic)

    def wait(self, timeout: float = PATIENCE_S) -> tuple[int, str]:
        """Exit code, and all that the command said."""
        return self.process.wait(timeout), self.said

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def processes(self, *words: str) -> list[psutil.Process]:
        """What the command started and still runs, itself excepted, with a word in its title."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                title = " ".join(process.cmdline())
                ours = os.getsid(process.pid) == self.process.pid
                if (
                    process.pid != self.process.pid
                    and (ours or process.environ().get(MARK) == self.mark)
                    and (not words or any(word in title for word in words))
                ):
                    found.append(process)
        return found

    def gone(self) -> tuple[int, str]:
        """As `wait`, once what the command started is gone too, which may write until then."""
        ended = self.wait()
        until(lambda: not self.processes())
        return ended

    def until(self, true: Callable[[], Any], what: str, timeout: float = PATIENCE_S) -> None:
        """Wait for `true`; fail where the command ends before."""
        end = time.monotonic() + timeout
        while not true():
            assert self.process.poll() is None, f"ended before {what}: {self.process.returncode}"
            assert time.monotonic() < end, f"waited {timeout:g} s for {what}"
            time.sleep(0.02)

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Leave no process behind. Ray's may start others while they go."""
        while left := [self.process.pid] * (self.process.poll() is None) + [
            process.pid for process in self.processes()
        ]:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if self.process.poll() is None:
                self.process.wait(10)
            time.sleep(0.05)


def start(cwd: Path, *overrides: str, **environment: str) -> Command:
    """The command, as a person types it in `cwd`, in a session of its own."""
    mark = uuid.uuid4().hex
    log = cwd / f"{mark}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "imagepipe", *overrides],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ | {"HF_HUB_OFFLINE": "1", MARK: mark} | environment,
        )
    return Command(process, mark, log)


def summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())


def table(folder: Path, by: str = "id") -> list[dict[str, Any]]:
    """All rows of the run's table, in the order of their ids."""
    return sorted(pq.read_table(folder / "table").to_pylist(), key=lambda row: str(row[by]))


def resume_command(said: str) -> list[str]:
    """The overrides of the command to resume that a run printed."""
    (line,) = [line for line in said.splitlines() if "resume=" in line]
    words = shlex.split(line[line.index("-m imagepipe") :])
    return words[2:]


def parts(folder: Path) -> int:
    return len(list((folder / "table").glob("part-*")))
