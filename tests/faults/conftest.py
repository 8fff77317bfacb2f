"""Runs to break, and the file that keeps what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.command import Command, start


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    """Starts commands in the test's folder; what they started is gone after the test."""
    started: list[Command] = []

    def typed(*overrides: str, **environment: str) -> Command:
        started.append(start(tmp_path, *overrides, **environment))
        return started[-1]

    yield typed
    for one in started:
        one.end()


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Adds one line to the file that --faults-results names: what was broken, and what came of it.

    `fault` and `victim` name it, `rows` the rows that the run had to end with, `held` whether all
    were there once and whole, `seconds` how long that took. See `results_table.py`.
    """
    results: Path | None = request.config.getoption("--faults-results")

    def write(fault: str, *, victim: str, rows: int, held: bool, **more: Any) -> None:
        if results is not None:
            line = {"fault": fault, "victim": victim, "rows": rows, "held": held, **more}
            with results.open("a") as file:
                file.write(json.dumps(line) + "\n")

    return write


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    """How many processes a test kills in all."""
    return request.config.getoption("--kills")
