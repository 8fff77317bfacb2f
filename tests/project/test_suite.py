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
    assert done.returncode == 0, done.stdout
    return json.loads(file.read_text())


def test_the_same_tests_with_the_same_parameters_are_collected(tmp_path: Path):
    """By two processes one after the other, which differ in all that a test's name may not depend
    on: more than pytest-xdist compares of `make test`'s own two, which start at one time.
    """
    one = collect(tmp_path / "one.json", {"PYTHONHASHSEED": "0"})
    differ = {"PYTHONHASHSEED": "1", "LC_ALL": "POSIX", "TZ": "Pacific/Kiritimati"}
    other = collect(tmp_path / "other.json", differ)
    assert one == other
    assert list(one) == list(other)
    assert odd(one) == []


def test_the_names_of_tests_are_short_and_plain(request: pytest.FixtureRequest):
    assert odd(test.nodeid for test in request.session.items) == []


def odd(names: Iterable[str]) -> list[str]:
    """Those that nobody would type."""
    return [
        name
        for name in names
        if not (name.isascii() and name.isprintable() and len(name.partition("[")[2]) <= LONGEST)
    ]
