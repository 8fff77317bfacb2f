"""`imagepipe compare`, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.compared import RED, Made

from imagepipe.cli import compare


def run(folder: Path, steps: int, scores: list[float]) -> str:
    ids = [str(place) for place in range(len(scores))]
    made = Made({}, 1.0, None, RED, ids, scores=scores, ids=ids, base="b{}", side=8)
    made.write(folder.parent, folder.name)
    begun = {"id": str(folder), "config": {"model": {"steps": steps}}, "tables": ["t"]}
    (folder / "run.json").write_text(json.dumps(begun))
    return str(folder)


def test_what_differs_is_told_then_what_is_best_and_where_to_look(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    low = [0.25 + place / 100 for place in range(20)]
    high = [score + 0.1 + place % 3 / 100 for place, score in enumerate(low)]
    runs = [run(tmp_path / "a", 2, low), run(tmp_path / "b", 8, high)]
    assert compare.main([*runs, "--level=0.9"]) == 0
    differs, said, speed, *_, look = capsys.readouterr().out.splitlines()
    assert differs == "differs    model.steps: 2, 8"
    assert said.startswith("compared   2 of 2 jobs finished. Best by clip is model.steps=8: 0.45")
    assert "No clear winner in speed" in speed
    (page,) = tmp_path.glob("outputs/comparisons/*/*/comparison.html")
    assert look == f"look at    {page.relative_to(tmp_path)}"
    known = json.loads(page.with_suffix(".json").read_text())
    assert (known["by"], known["aim"]["level"]) == ("id", 0.9)
    assert [one["label"] for one in known["verdicts"][0]["standings"]] == [
        "model.steps=8",
        "model.steps=2",
    ]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["no", "--level=0.1"], "imagepipe: --level=0.1: is too small"),
        (["no", "neither"], "imagepipe: RUN="),
    ],
    ids=["level", "folder"],
)
def test_what_cannot_be_is_refused(tmp_path, capsys, monkeypatch, typed: list[str], said: str):
    monkeypatch.chdir(tmp_path)
    assert compare.main(typed) == 2
    assert capsys.readouterr().err.startswith(said)
    assert not list(tmp_path.iterdir())
