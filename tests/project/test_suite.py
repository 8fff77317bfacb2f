"""The tests themselves: each process of pytest's has to collect the same ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import psutil
import pytest
from helpers import ROOT
from helpers.asking import SHARED
from helpers.collected import COLLECTED, ELSEWHERE, others
from helpers.waiting import until

LONGEST = 60  # characters of what stands behind a test's name


OURS = ("PYTEST_XDIST_WORKER", SHARED)


def collect(file: Path, environment: dict[str, str]) -> dict[str, str]:
    """The parameters of each test by its id."""
    environment = environment | {"COLLECTED": str(file)}
    options = ["--collect-only", "-m", "", "-p", "helpers.collected", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={n: v for n, v in os.environ.items() if n not in OURS} | environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(file.read_text())


def test_the_same_tests_with_the_same_parameters_are_collected(request: pytest.FixtureRequest):
    """By the processes of `make test`, of which the second is a second later and elsewhere: more
    than pytest-xdist compares of them.
    """
    own = request.config.stash[COLLECTED]
    assert odd(own) == []
    for other in others():
        assert own == other
        assert list(own) == list(other)


@pytest.mark.faults
def test_another_process_collects_the_same(request: pytest.FixtureRequest, tmp_path: Path):
    """Which began elsewhere, with another seed for its hashes."""
    seed = int(os.environ.get("PYTHONHASHSEED", "random").replace("random", "0"))
    collected = collect(tmp_path / "ids.json", {"PYTHONHASHSEED": str(seed + 1)} | ELSEWHERE)
    own = request.config.stash[COLLECTED]  # be they all or some, in the order that was typed
    other = {name: given for name, given in collected.items() if name in own}
    assert own == other
    assert sorted(own, key=file_of) == sorted(other, key=file_of)  # in a file as they were
    assert odd(collected) == []


KEPT = """
import os
from helpers.asking import ENVIRONMENT, SharedServer
ENVIRONMENT.update(os.environ)
server = SharedServer("helpers.echo")
server.keep()
print(server.ask(), server.ask(), flush=True)
os._exit(9)
"""


def test_what_the_processes_of_pytest_share_ends_with_them_however_they_end(tmp_path: Path):
    environment = os.environ | {SHARED: str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", KEPT], env=environment, stdout=subprocess.PIPE)
    assert done.returncode == 9
    first, second = map(int, done.stdout.split())
    assert first == second
    until(lambda: not psutil.pid_exists(first))


def file_of(name: str) -> str:
    return name.partition("::")[0]


def odd(names: Iterable[str]) -> list[str]:
    """Those that nobody would type."""
    return [
        name
        for name in names
        if not (name.isascii() and name.isprintable() and len(name.partition("[")[2]) <= LONGEST)
    ]
