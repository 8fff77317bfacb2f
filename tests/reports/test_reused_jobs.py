"""A job that took over what another had made did less, so its rate tells nothing."""

from __future__ import annotations

from pathlib import Path

from helpers.compared import BLUE, GREEN, RED, Made, swept_into

from imagepipe.config import Sweep
from imagepipe.reports.comparison import tables

AIM = Sweep(objective="score")


def job(steps: int, rate: float, score: float, colour: tuple[int, int, int], **reused: int) -> Made:
    more = {"reused": reused} if reused else {}
    scores = [score + place / 100 for place in range(12)]
    prompts = [f"cat {place}" for place in range(12)]
    return Made({"model.steps": str(steps)}, rate, 1, colour, prompts, scores=scores, more=more)


def test_scores_are_compared_and_rates_are_not(tmp_path: Path):
    jobs = [job(1, 8.0, 0.2, RED), job(2, 24.0, 0.5, GREEN, llm=12), job(4, 2.0, 0.9, BLUE, llm=12)]
    found = swept_into(tmp_path, jobs, AIM)
    assert found.verdict.sentence.startswith("Best by clip is model.steps=4")
    assert not [said for said in found.besides() if "astest" in said or "front" in said]
    rates = next(verdict for verdict in found.verdicts if verdict.measure == "images_per_s")
    less = "reused work of other runs, so their speed is not compared"
    assert f"{less}: model.steps=2 and model.steps=4" in rates.remarks


def test_the_table_of_jobs_says_what_was_taken_over(tmp_path: Path):
    found = swept_into(tmp_path, [job(1, 8, 0.2, RED), job(2, 9, 0.3, BLUE, llm=12, model=3)], AIM)
    assert {"key": "reused", "name": "rows reused"} in tables.columns(found)
    cells = [tables.job(found, one)["cells"]["reused"] for one in found.jobs]
    assert cells == [None, "llm 12, model 3"]
    assert "rows reused" in (tmp_path / "comparison.html").read_text()


def test_a_sweep_in_which_nothing_was_has_no_such_column(tmp_path: Path):
    found = swept_into(tmp_path, [job(1, 8, 0.2, RED), job(2, 9, 0.3, BLUE)], AIM)
    assert "reused" not in [one["key"] for one in tables.columns(found)]
    assert any("astest" in said or "speed" in said for said in found.besides())
