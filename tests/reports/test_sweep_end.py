"""What a sweep says at its end: a reason once, however many jobs have it."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from imagepipe.config import Sweep
from imagepipe.execution.messages import all_failed
from imagepipe.reports import terminal
from imagepipe.reports.comparison import Comparison, Job
from imagepipe.sink.ledger import Ledger, Tally


def job(number: int, trouble: str | None) -> Job:
    entry = {"job": number, "swept": {"seed": str(number)}, "label": f"seed={number}"}
    status = "FAILED" if trouble else "PENDING"
    return Job(Path(), {"status": status, "trouble": trouble, "images_per_s": {}, "sweep": entry})


@pytest.mark.parametrize(
    ("troubles", "told", "said"),
    [
        (["no file"] * 3, "no file", ["FAILED  seed=0", "FAILED  seed=1", "FAILED  seed=2"]),
        (
            ["no file", "no key", "no key", None],
            "no file",
            [
                *("FAILED  seed=0", "FAILED  seed=1  no key", "FAILED  seed=2  as job 1"),
                "PENDING  seed=3",
            ],
        ),
        (["late", "late"], "", ["FAILED  seed=0  late", "FAILED  seed=1  as job 0"]),
    ],
    ids=["one", "two", "untold"],
)
def test_a_reason_is_told_once(capsys, troubles: list[str | None], told: str, said: list[str]):
    jobs = [job(number, trouble) for number, trouble in enumerate(troubles)]
    console = Console(width=80)
    terminal.sweep_end(console, Path("sweep"), Comparison(jobs, Sweep()), [], f"{told}\n  more")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=2)[2] for line in lines if line.startswith("job ")] == said


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"failed": 3}, "no row has a picture: 3 failed; 2 of them: read: torn"),
        ({"failed": 2, "unmatched": 1}, "no row has a picture: 2 failed; 2 of them: read: torn"),
        ({"failed": 2, "written": 1}, None),
        ({"failed": 2, "already_done": 1}, None),
        ({"unmatched": 3}, None),
    ],
    ids=["all", "unmatched", "written", "before", "none-failed"],
)
def test_a_run_without_a_picture_has_failed(counts: dict[str, int], said: str | None):
    ledger = Ledger(3, 1, **counts, reasons=Tally({"read: torn": 2, "draw: dark": 1}))
    assert ledger.adds_up
    assert all_failed(ledger) == said
