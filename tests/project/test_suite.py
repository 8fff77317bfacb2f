"""The tests themselves: each process of pytest's has to collect the same ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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
    assert done.returncode == 0, done.stdout
    return json.loads(file.read_text())


def file_of(name: str) -> str:
    return name.partition("::")[0]


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What another process collects, later, which differs from this one in all that a test's name
    may not depend on.
    """
    own = int(os.environ.get("PYTHONHASHSEED", "random").replace("random", "0"))
    differ = {"PYTHONHASHSEED": str(own + 1), "LC_ALL": "POSIX", "TZ": "Pacific/Kiritimati"}
    return collect(tmp_path_factory.mktemp("collected") / "ids.json", differ)


def test_the_same_tests_with_the_same_parameters_are_collected(request, collected):
    """As this process has, be they all or some: its files are in the order that was typed."""
    own = request.config.stash[COLLECTED]
    other = {name: given for name, given in collected.items() if name in own}
    assert own == other
    assert sorted(own, key=file_of) == sorted(other, key=file_of)  # in a file as they were


def test_the_names_of_tests_are_short_and_plain(collected):
    for name in collected:
        assert name.isascii() and name.isprintable(), name
        assert len(name.partition("[")[2]) <= LONGEST, name
