"""What Ray says beside what is raised is not shown."""

from __future__ import annotations

import os
import re

import pytest

from imagepipe.execution.session import silence_ray
from imagepipe.execution.surroundings import silence_stderr


def test_what_is_written_below_pythons_streams_is_not_seen(capfd: pytest.CaptureFixture[str]):
    with silence_stderr():
        os.write(2, b"[C++] Set ray log level\n")
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "afterwards\n"


def test_ray_is_told_to_leave_out_every_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("RAY_DEDUP_LOGS_SKIP_REGEX", raising=False)
    monkeypatch.setenv("RAY_BACKEND_LOG_LEVEL", "info")  # a person's own
    silence_ray()
    left_out = re.compile(os.environ["RAY_DEDUP_LOGS_SKIP_REGEX"])
    for line in ("\x1b[33m(raylet)\x1b[0m A worker died or was killed", " ", "(model pid=7) x"):
        assert left_out.search(line)
    assert os.environ["RAY_BACKEND_LOG_LEVEL"] == "info"
