"""Poisoned rows end as a picture or as a failure with a reason, and take nothing else with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from helpers import poison
from helpers.command import Command, summary

SMALL = ["model=noop", "model.width=16", "model.height=16", "llm=none", "scorer=none"]
TINY = ["model.steps=1", "llm=tiny", "resources.rows_per_block=18"]
KEYS = ("rows_read", "written", "failed", "unmatched", "already_done")


def listing(folder: Path, *but: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if not any(path.is_relative_to(b) for b in but)}


def holds(out: Path, poisoned: int, good: int) -> None:
    """All ended, all good rows as pictures, all failures explained, all pictures in their place."""
    said = summary(out)
    counts = {key: said[key] for key in KEYS}
    assert sum(counts.values()) == 2 * counts["rows_read"] == 2 * (poisoned + good), counts
    assert counts["written"] >= good and counts["unmatched"] == 0, counts
    table = pq.read_table(out / "table", columns=["id", "image_path"]).to_pylist()
    assert {row["id"] for row in table} >= {f"good-{n}" for n in range(good)}
    assert len(table) == counts["written"] == len({row["image_path"] for row in table})
    pictures = {out / row["image_path"] for row in table}
    assert pictures == set((out / "images").iterdir())
    assert all(path.resolve().parent == (out / "images").resolve() for path in pictures)
    failed = pq.read_table(out / "failed.parquet").to_pylist()
    assert len(failed) == counts["failed"] > 0
    assert all(row["stage"] and len(row["reason"]) > 5 for row in failed)
    assert "<script>alert" not in (out / "gallery.html").read_text()


def drawn(
    command: Callable[..., Command], folder: Path, kind: str, poisoned: int, good: int, *more: str
) -> None:
    """Run it, and see that nothing outside its folder changed."""
    asked = poison.write(folder, kind, poisoned, good)
    out = folder / "inner" / "out"
    before = listing(folder.parent)
    run = command(*asked, *more, f"hydra.run.dir={out}", "tracking=none")
    code, said = run.wait(1200)
    assert code == 0, said[-3000:]
    assert "Traceback" not in said
    assert listing(folder.parent, out) - before == {folder / "inner", run.log}
    holds(out, poisoned, good)


@pytest.mark.faults
def test_a_few_poisoned_rows_through_the_real_models(command, tmp_path):
    drawn(command, tmp_path, "jsonl", 24, 12, *TINY)


@pytest.mark.faults
@pytest.mark.parametrize("kind", poison.FORMATS)
def test_a_thousand_poisoned_rows_of_five_thousand(command, tmp_path, record, kind: str):
    drawn(command, tmp_path, kind, 1000, 4000, *SMALL)
    record(f"1,000 poisoned rows ({kind})", victim="table", rows=5000, held=True)
