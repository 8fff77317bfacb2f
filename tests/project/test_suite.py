"""The tests themselves: each process of pytest's has to collect the same ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
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


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """What two processes collect that differ in all that a test's name may not depend on."""
    folder = tmp_path_factory.mktemp("collected")
    places = (("C.UTF-8", "UTC"), ("POSIX", "Pacific/Kiritimati"))
    found, began = [], []
    for number, (locale, zone) in enumerate(places):
        began.append(time.time())
        differ = {"PYTHONHASHSEED": str(number), "LC_ALL": locale, "TZ": zone}
        found.append(collect(folder / f"{number}.json", differ))
    assert began[1] - began[0] > 1  # else no second may have passed
    return found


def test_the_same_tests_with_the_same_parameters_are_collected(collected):
    one, other = collected
    assert [*one] == [*other]
    assert one == other


def test_the_names_of_tests_are_short_and_plain(collected):
    for name in collected[0]:
        assert name.isascii() and name.isprintable(), name
        assert len(name.partition("[")[2]) <= LONGEST, name
