"""Scoring that is killed goes on: every picture once, and no part of the table torn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from helpers.command import FAST, Command, imagepipe, run, summary

pytestmark = pytest.mark.faults
ROWS = 60
SCORER = ["scorer=none", "scorer.name=slow", "scorer.engine=custom"]
SCORER += ["scorer._target_=helpers.lightness.Slow", "resources.scorer.batch_size=4"]


def test_scoring_goes_on_after_a_kill(tmp_path: Path, command: Callable[..., Command]):
    from mlflow import MlflowClient

    out = run(
        tmp_path, "out", *FAST, f"limit={ROWS}", "scorer=none", "tracking.system_metrics=false"
    )
    before = pq.read_table(out / "table")
    first = command("score", "out", *SCORER)
    first.until(lambda: any((out / ".scored").rglob("*.parquet")), "some were scored")
    first.process.kill()
    first.process.wait()
    assert pq.read_table(out / "table").equals(before)
    kept = {path for path in (out / ".scored").rglob("*.parquet") if path.name[0] != "."}
    done = sum(pq.read_metadata(path).num_rows for path in kept)
    again = imagepipe(tmp_path, "score", "out", *SCORER)
    assert again.returncode == 0, again.stderr
    after = pq.read_table(out / "table")
    assert after.select(before.column_names).equals(before)
    assert after["score_slow"].null_count == 0 and len(after) == ROWS
    assert not (out / ".scored").exists()
    said, store = summary(out), f"sqlite:///{tmp_path}/outputs/mlflow.db"
    metrics = MlflowClient(store).get_run(said["mlflow"]["run_id"]).data.metrics
    assert metrics["score/slow/mean"] == pytest.approx(said["scores"]["slow"]["mean"])
    assert metrics["written"] == ROWS
    to_do = int(again.stderr.partition("pictures   ")[2].split()[0])
    assert 0 < to_do <= ROWS - done < ROWS
