"""A row that fails takes neither its batch nor the run with it; too many of them end the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import ray
from helpers.command import summary, table
from helpers.configs import composed
from helpers.failing_engines import GREY, ROOM
from helpers.tracked import with_database
from mlflow import MlflowClient
from PIL import Image

from imagepipe.errors import RunFailed
from imagepipe.execution.prepare import prepared
from imagepipe.execution.run import perform
from imagepipe.execution.session import SharedSession

# What an engine that runs out of memory needs, loaded once for the processes of all runs.
LIBRARIES = ["torch", "accelerate.utils.memory", "imagepipe.execution.pipeline"]
BAD = ("cursed", "black", "huge", "mute", "loud")
ENGINES = [
    *("llm.engine=custom", "llm._target_=helpers.failing_engines.Enhancer"),
    *("model.engine=custom", "model._target_=helpers.failing_engines.ImageGenerator", "model=noop"),
    *("model.width=16", "model.height=16", "scorer=none", "resources=cpu"),
    *("resources.llm.batch_size=8", "resources.model.batch_size=8", "resources.rows_per_block=8"),
]


@pytest.fixture(scope="module")
def session() -> Iterator[SharedSession]:
    ray.shutdown()  # what other files' tests share
    shared = SharedSession()
    yield shared
    shared.close()


@pytest.fixture
def run(session: SharedSession, tmp_path: Path) -> Callable[..., Path]:
    """Draws the 30 rows of a table, of which five fail, in one Ray session for all tests.

    They are in the last block: a process that had no room for one row with another draws single
    rows from then on, and it may be the one that draws all blocks.
    """
    rows = [f"{n},{BAD[n - 24] if 24 <= n < 29 else 'a cat'} {n}" for n in range(30)]
    (tmp_path / "t.csv").write_text("\n".join(["id,what", *rows, ""]))

    def draw(*overrides: str) -> Path:
        out = tmp_path / "out"
        out.mkdir()
        asked = ["dataset=csv", f"dataset.path={tmp_path / 't.csv'}", "dataset.prompt='{what}'"]
        config = composed(*asked, *ENGINES, f"outputs={tmp_path / 'outputs'}", *overrides)
        with (
            prepared(config, out, []) as ready,
            session.session(config.ray, ready.machine, LIBRARIES, verbose=False),
        ):
            perform(ready, time.time())
        return out

    return draw


def test_what_an_engine_cannot_do_fails_its_row_alone(run):
    out = run("tracking=none")
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
def test_as_many_failures_as_are_allowed_end_nothing(run):
    assert summary(run("tracking=none", "max_failures=0.2"))["status"] == "FINISHED"


def test_too_many_failures_end_the_run_which_says_why(run, tmp_path):
    """The last test here: it ends the session too."""
    with_database(tmp_path / "outputs")
    with pytest.raises(RunFailed, match=r"rows failed, more than max_failures=2; 1 of them: ") as e:
        run("max_failures=2", "tracking.system_metrics=false")
    assert str(tmp_path / "out") in str(e.value)
    said = summary(tmp_path / "out")
    assert said["status"] == "FAILED" and "max_failures=2" in said["trouble"]
    failed = pq.read_table(tmp_path / "out" / "failed.parquet")
    assert failed.num_rows >= said["failed"] > 2
    client = MlflowClient(f"sqlite:///{tmp_path / 'outputs' / 'mlflow.db'}")
    recorded = client.get_run(said["mlflow"]["run_id"])
    assert recorded.info.status == "FAILED"
    assert "max_failures=2" in recorded.data.tags["trouble"]
