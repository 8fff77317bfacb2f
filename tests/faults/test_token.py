"""A run on a Ray that asks for a token."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from helpers.command import FAST, imagepipe, summary

pytestmark = pytest.mark.faults
TOKEN = "ab" * 32


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A person's folder with the token that any local Ray leaves there."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # the paths of Ray's sockets are long
        place = Path(folder)
        (place / ".ray").mkdir()
        (place / ".ray" / "auth_token").write_text(TOKEN)
        monkeypatch.setenv("HOME", folder)
        for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
            monkeypatch.delenv(name, raising=False)
        yield place


@pytest.fixture
def head(home: Path) -> Iterator[str]:
    """The address of a head that asks for that token, as `ray start` does where there is one."""
    options = ["--port=0", "--num-cpus=2", "--include-dashboard=false", "--block"]
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", *options]
    with subprocess.Popen(
        [*command, f"--temp-dir={home}/ray", "--object-store-memory=100000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as ray:
        try:
            said = (re.search(r"--address='([\d.:]+)'", line) for line in ray.stdout)
            yield next(found[1] for found in said if found)
        finally:
            for process in psutil.Process(ray.pid).children(recursive=True):
                process.kill()  # asked to end, they take half a minute
            ray.kill()


def test_a_cluster_that_asks_for_a_token_is_joined_as_its_refusal_says(tmp_path, head, monkeypatch):
    shared = f"sink.path={tmp_path / 'shared'}"
    typed = [*FAST, "ray=cluster", f"ray.address={head}", shared, "limit=2"]
    done = imagepipe(tmp_path, *typed, "hydra.run.dir=out")
    assert done.returncode == 2
    assert "set RAY_AUTH_MODE=token." in done.stderr
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    done = imagepipe(tmp_path, *typed, "hydra.run.dir=again")
    assert done.returncode == 0, done.stderr
    assert summary(tmp_path / "again")["written"] == 2
