"""The benchmark of the embedded models says what their model card says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.command import run, summary

from imagepipe.assets import folder
from imagepipe.reports.scores import mean
from imagepipe.sink.ledger import Scores

pytestmark = pytest.mark.faults
PARTS = ("animal", "garment", "colour", "season", "medium")


def scores(values: list[float]) -> Scores:
    found = Scores()
    found.add(values)
    return found


def test_the_table_agrees_with_the_model_card(tmp_path: Path):
    """The card's pictures have other seeds, so the intervals of both shares meet."""
    out = run(tmp_path, "out", "experiment=toyworld", "tracking=none")
    found = summary(out)["scores"]
    figures = json.loads((Path(folder("asset:tiny")) / "card.json").read_text())["figures"]
    for part in PARTS:
        told = float(
            figures[f"{part} right, 400 held-out prompts, 6 steps, guidance 2.0"].split()[0]
        )
        one, right = found[f"toyworld_{part}"], round(400 * told / 100)
        card = mean(scores([1.0] * right + [0.0] * (400 - right)), 0.95)
        assert one["rows"] == 400
        assert one["low"] <= card.high and card.low <= one["high"], (part, one, told)
    assert found["toyworld_all"]["mean"] <= min(found[f"toyworld_{p}"]["mean"] for p in PARTS)
