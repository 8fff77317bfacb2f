"""Finished runs of any day side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.compared import RED, Made

from imagepipe.config import Sweep
from imagepipe.errors import UserError
from imagepipe.reports.comparison import write_again, write_runs

CONFIG = {"model": {"steps": 4, "loras": []}, "seed": 0, "outputs": "here", "tracking": {"uri": 1}}
SCORE = Sweep("score")


def run(folder: Path, config: dict, tables=("t",), **made) -> Path:
    """A run as it leaves its folder; every one is a run of its own."""
    values = {"ids": ["1", "2"], "scores": [0.5, 0.25], "base": "b{}", "side": 8, **made}
    Made({}, 1.0, None, RED, ["x", "y"], **values).write(folder.parent, folder.name)
    summary = json.loads((folder / "summary.json").read_text())
    more = {"sweep": None, "versions": {"torch": "2.13.0"}, "machine": {"cpu": "x"}}
    (folder / "summary.json").write_text(json.dumps(summary | more | made.get("more", {})))
    begun = {"id": str(folder), "config": CONFIG | config, "tables": list(tables)}
    (folder / "run.json").write_text(json.dumps(begun))
    return folder


def compared(folder: Path, *runs: Path, by: str | None = None):
    return write_runs(folder / "out", runs, SCORE, by)


def test_what_differs_is_told_and_names_the_runs(tmp_path):
    one = run(tmp_path / "a", {})
    changed = {"model": {"steps": 8, "loras": []}, "outputs": "there", "tracking": {"uri": 2}}
    other = run(tmp_path / "b", changed, more={"versions": {"torch": "2.14.0", "ray": "2.60.0"}})
    found = compared(tmp_path, one, other)
    assert found.sweeper is None
    assert [(one["key"], one["values"]) for one in found.differences] == [
        ("model.steps", [4, 8]),
        ("version of torch", ["2.13.0", "2.14.0"]),
        ("version of ray", ["–", "2.60.0"]),
    ]
    assert found.labels == ["model.steps=4", "model.steps=8"]
    assert found.verdict.sentence.startswith("No clear winner by clip between ")
    assert found.verdict.sentence.endswith(": every row scores the same.")
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert page.index("What differs between the runs") < page.index("Results")


def test_runs_that_differ_in_nothing_are_told_apart_by_their_folders(tmp_path):
    runs = [run(tmp_path / day / "12-00-00", {}) for day in ("2026-01-30", "2026-01-31")]
    found = compared(tmp_path, *runs)
    assert found.labels == ["2026-01-30/12-00-00", "2026-01-31/12-00-00"]
    assert len(found.entries) == 2
    assert found.differences == []


@pytest.mark.parametrize(
    ("other", "by", "rows"),
    [
        pytest.param({}, "id", 2, id="same-table"),
        pytest.param({"base": "c{}"}, "id", 2, id="another-template"),
        pytest.param({"tables": ["u"]}, "id", 2, id="same-prompts"),
        pytest.param({"tables": ["u"], "ids": ["7", "8"]}, "base_prompt", 2, id="other-ids"),
        pytest.param({"tables": ["u"], "ids": ["2", "1"]}, "base_prompt", 2, id="ids-reused"),
        pytest.param(
            {"tables": ["u"], "ids": ["7", "8"], "base": "c{}"}, "base_prompt", 0, id="none"
        ),
    ],
)
def test_rows_are_aligned_by_what_they_have_in_common(tmp_path, other: dict, by: str, rows: int):
    found = compared(tmp_path, run(tmp_path / "a", {}), run(tmp_path / "b", {}, **other))
    assert found.by == by
    standings = found.verdict.standings
    assert (standings[1].against.count if len(standings) > 1 else 0) == rows
    none = f"no row is in all runs: they are known by {by}"
    assert (none in found.said_beside) == (rows == 0)


def test_that_the_machines_differ_is_said_beside_what_is_concluded(tmp_path):
    machines = {"cpu": "x", "gpus": ["H100"]}, {"cpu": "x", "gpus": ["A100"]}
    runs = [run(tmp_path / m["gpus"][0], {}, more={"machine": m}) for m in machines]
    said = "the machines differ, so a difference in speed may be theirs"
    assert compared(tmp_path, *runs).said_beside == [said]
    alike = run(
        tmp_path / "a", {"seed": 1}, more={"machine": {**machines[0], "others": {"cpus": 0.5}}}
    )
    assert compared(tmp_path, runs[0], alike).said_beside == []


def test_the_rows_that_one_failed_are_left_out_and_said(tmp_path):
    runs = [run(tmp_path / "a", {}), run(tmp_path / "b", {}, scores=[0.75, None])]
    said = "scores compared on the 1 of 2 rows that every job has"
    assert said in compared(tmp_path, *runs).said_beside


def test_the_way_to_know_a_row_can_be_told(tmp_path):
    runs = [run(tmp_path / "a", {}), run(tmp_path / "b", {}, ids=["2", "1"])]
    assert compared(tmp_path, *runs, by="base_prompt").by == "base_prompt"
    again = write_again(tmp_path / "out")
    assert (again.by, again.aim, len(again.jobs)) == ("base_prompt", SCORE, 2)


def test_a_sweep_stands_for_its_jobs(tmp_path):
    jobs = [run(tmp_path / "sweep" / str(n), {"seed": n}) for n in range(2)]
    run(tmp_path / "sweep" / "2", {"seed": 2}, more={"status": "FAILED"})
    planned = [{"number": n, "overrides": [], "folder": str(n)} for n in range(3)]
    known = {"typed": [], "swept": ["seed"], "sweeper": "basic", "place": None, "jobs": planned}
    (tmp_path / "sweep" / "sweep.json").write_text(json.dumps(known))
    alone = run(tmp_path / "a", {"seed": 7})
    found = compared(tmp_path, alone, tmp_path / "sweep")
    assert found.labels == ["seed=7", "seed=0", "seed=1"]
    assert [job.folder for job in found.jobs] == [alone, *jobs]


def test_what_cannot_be_compared_is_refused(tmp_path):
    one = run(tmp_path / "a", {})
    failed = run(tmp_path / "b", {}, more={"status": "FAILED"})
    torn = run(tmp_path / "c", {})
    (torn / "summary.json").write_text("{")
    (tmp_path / "d").mkdir()
    for runs, said in (
        ([one], "is a single run"),
        ([one, one], "is named twice"),
        ([one, failed], "has not finished: FAILED"),
        ([one, torn], "is not a run that has ended"),
        ([one, tmp_path / "d"], "is not a run that has ended"),
        ([one, tmp_path / "e"], "is not a run that has ended"),
    ):
        with pytest.raises(UserError, match=f"RUN={runs[-1]}: {said}"):
            compared(tmp_path, *runs)
    assert not (tmp_path / "out").exists()
