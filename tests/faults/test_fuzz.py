"""Generated inputs at each door: none is lost without a word, and no message is long.

`--fuzz-inputs 6000` tries that many at each, which takes some ten minutes; `--fuzz-seed` others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from helpers import fuzz, fuzz_commands, fuzz_joins, fuzz_models, fuzz_servers, fuzz_tables
from hypothesis.strategies import SearchStrategy

# What comes in there, and what is made sure of each.
DOORS: dict[str, tuple[SearchStrategy[Any], Callable[..., None]]] = {
    "tables": (fuzz_tables.tables(), fuzz_tables.check),
    "joins": (fuzz_joins.pairs(), fuzz_joins.check),
    "models": (fuzz_models.folders(), fuzz_models.check),
    "bodies": (fuzz_servers.bodies(), fuzz_servers.check_body),
    "commands": (fuzz_commands.commands(), fuzz_commands.check),
    "replies": (fuzz_servers.replies(), fuzz_servers.check_reply),
}
FEW = {"tables": 6, "joins": 20, "bodies": 60}  # the others cost seconds


@pytest.mark.parametrize("door", FEW)
def test_a_few_inputs(door: str) -> None:
    inputs, check = DOORS[door]
    assert fuzz.each(inputs, FEW[door], 0, check)


@pytest.mark.faults
@pytest.mark.parametrize("door", DOORS)
def test_many_inputs(door: str, request: pytest.FixtureRequest, monkeypatch) -> None:
    monkeypatch.setenv(fuzz_servers.KEY_ENV, fuzz_servers.KEY)
    number, seed = (request.config.getoption(f"--fuzz-{what}") for what in ("inputs", "seed"))
    inputs, check = DOORS[door]
    assert fuzz.each(inputs, number, seed, check)
