"""The tests themselves: each process of pytest's has to collect the same ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from helpers import ROOT
from helpers.collected import COLLECTED

LONGEST = 60  # characters of what stands behind a test's name


def collect(file: Path, environment: dict[str, str]) -> dict[str, str]:
    """The parameters of each test by its id."""
    options = ["--collect-only", "-m", "", "-p", "helpers.collected", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"COLLECTED": str(file)} | environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(file.read_text())


def test_the_same_tests_with_the_same_parameters_are_collected(
    request: pytest.FixtureRequest, tmp_path: Path
):
    """By another process, later, which differs from this one in all that a test's name may not
    depend on: more than pytest-xdist compares of `make test`'s own two, which start at one time.
    """
    seed = int(os.environ.get("PYTHONHASHSEED", "random").replace("random", "0"))
    differ = {"PYTHONHASHSEED": str(seed + 1), "LC_ALL": "POSIX", "TZ": "Pacific/Kiritimati"}
    collected = collect(tmp_path / "ids.json", differ)
    own = request.config.stash[COLLECTED]  # be they all or some, in the order that was typed
    other = {name: given for name, given in collected.items() if name in own}
    assert own == other
    assert sorted(own, key=file_of) == sorted(other, key=file_of)  # in a file as they were
    assert odd(collected) == []


def file_of(name: str) -> str:
    return name.partition("::")[0]


def odd(names: Iterable[str]) -> list[str]:
    """Those that nobody would type."""
    return [
        name
        for name in names
        if not (name.isascii() and name.isprintable() and len(name.partition("[")[2]) <= LONGEST)
    ]
