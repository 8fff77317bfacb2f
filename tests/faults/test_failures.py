"""A row that fails takes neither its batch nor the run with it; too many of them end the run."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers import one_session
from helpers.command import imagepipe, summary, table
from helpers.failing_engines import GREY, ROOM
from helpers.tracked import with_database
from mlflow import MlflowClient
from PIL import Image

BAD = ("cursed", "black", "huge", "mute", "loud")
ENGINES = [
    *("llm.engine=custom", "llm._target_=helpers.failing_engines.Enhancer"),
    *("model.engine=custom", "model._target_=helpers.failing_engines.ImageGenerator", "model=noop"),
    *("model.width=16", "model.height=16", "scorer=none", "resources=cpu"),
    *("resources.llm.batch_size=8", "resources.model.batch_size=8", "resources.rows_per_block=8"),
]


def asked(folder: Path, *overrides: str) -> list[str]:
    """Draw the 30 rows of a table, of which five fail.

    They are in the last block: a process that had no room for one row with another draws single
    rows from then on, and it may be the one that draws all blocks.
    """
    rows = [f"{n},{BAD[n - 24] if 24 <= n < 29 else 'a cat'} {n}" for n in range(30)]
    (folder / "t.csv").write_text("\n".join(["id,what", *rows, ""]))
    table = ["dataset=csv", f"dataset.path={folder / 't.csv'}", "dataset.prompt='{what}'"]
    return [*table, *ENGINES, *overrides]


def test_what_an_engine_cannot_do_fails_its_row_alone(tmp_path: Path):
    out = one_session.run(tmp_path, "out", *asked(tmp_path, "tracking=none"))
    said = summary(out)
    assert (said["written"], said["failed"], said["status"]) == (25, 5, "FINISHED")
    rows = pq.read_table(out / "failed.parquet").to_pylist()
    failed = {row["what"].split()[0]: (row["stage"], row["reason"]) for row in rows}
    assert failed["cursed"] == ("model", "ValueError: this prompt is cursed")
    assert failed["black"][1].startswith("the picture came out black")
    assert failed["mute"] == ("llm", "the server said no")
    assert failed["loud"] == ("llm", "RuntimeError: too loud")
    stage, reason = failed["huge"]
    assert stage == "model" and "CUDA out of memory" in reason
    assert reason.startswith("out of memory with this row alone: draw smaller (model.width")
    shades = {int(np.asarray(Image.open(out / row["image_path"]))[0, 0, 0]) for row in table(out)}
    assert max(shades) == GREY + ROOM  # batches of eight went on as pairs, not one by one


@pytest.mark.faults
def test_as_many_failures_as_are_allowed_end_nothing(tmp_path: Path):
    one_session.run(tmp_path, "out", *asked(tmp_path, "tracking=none", "max_failures=0.2"))


@pytest.mark.faults
def test_too_many_failures_end_the_run_which_says_why(tmp_path: Path):
    with_database(tmp_path / "outputs")
    typed = asked(tmp_path, "max_failures=2", "tracking.system_metrics=false")
    done = imagepipe(tmp_path, "hydra.run.dir=out", *typed)
    assert done.returncode == 1, done.stderr
    assert re.search(r"rows failed, more than max_failures=2; 1 of them: ", done.stderr)
    assert str(tmp_path / "out") in done.stderr
    said = summary(tmp_path / "out")
    assert said["status"] == "FAILED" and "max_failures=2" in said["trouble"]
    failed = pq.read_table(tmp_path / "out" / "failed.parquet")
    assert failed.num_rows >= said["failed"] > 2
    client = MlflowClient(f"sqlite:///{tmp_path / 'outputs' / 'mlflow.db'}")
    recorded = client.get_run(said["mlflow"]["run_id"])
    assert recorded.info.status == "FAILED"
    assert "max_failures=2" in recorded.data.tags["trouble"]
