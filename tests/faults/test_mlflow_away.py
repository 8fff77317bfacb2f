"""A run whose MLflow server goes and comes back loses no metric and hardly a moment.

`tests/tracking/test_tracking.py` has the short form: servers that are away at the start, in the
middle and at the end, and replays.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.command import Command, summary
from helpers.mlflow_server import Server, history, journalled
from mlflow import MlflowClient

ROWS, SECONDS, TIMES = 240, 2.0, 3  # seconds a batch of eight
LONGER = 1.05
RUN = [
    *("dataset=csv", "dataset.path=t.csv", "dataset.prompt='{what}'", "llm=none", "scorer=none"),
    *("model=noop", "model.engine=custom", "model._target_=helpers.failing_engines.Slow"),
    *(f"+model.options.seconds={SECONDS}", "resources=cpu", "resources.model.pool=1"),
    *("resources.model.batch_size=8", "resources.rows_per_block=8"),
    *("model.width=16", "model.height=16"),
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    made.start()
    yield made
    made.kill()


def timed(
    command: Callable[..., Command], server: Server, out: Path, *, away: bool
) -> tuple[float, str]:
    """Seconds that the command took, and what it said."""
    began = time.monotonic()
    asked = [*RUN, f"hydra.run.dir={out}", f"tracking.uri={server.uri}"]
    running = command(*asked)

    def drawn() -> int:
        return len(list((out / "images").glob("[!.]*")))

    if away:
        running.until(lambda: drawn() > 0.2 * ROWS, "the server was killed")
        server.kill()
        running.until(lambda: drawn() > 0.6 * ROWS, "the server was started again")
        server.start()
    code, said = running.wait()
    assert code == 0, said
    return time.monotonic() - began, said


@pytest.mark.faults
def test_a_server_killed_in_mid_run_and_started_again(command, server, tmp_path, record):
    rows = [f"{n},a cat {n}" for n in range(ROWS)]
    (tmp_path / "t.csv").write_text("\n".join(["id,what", *rows, ""]))
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for number in range(TIMES):
        for away in (False, True) if number % 2 else (True, False):  # neither is always the first
            out = tmp_path / f"out-{number}-{away}"
            took, said = timed(command, server, out, away=away)
            seconds[away].append(took)
            assert ("does not accept the run" in said) is away
            assert "send the rest later" not in said
            run_id = summary(out)["mlflow"]["run_id"]
            found = history(MlflowClient(server.uri), run_id)
            steps = {step for key, _, step, _ in found if key == "rows_done"}
            assert len(steps) > 2 and found == journalled(out)
            fault = "MLflow server killed, and started again" if away else "none, to compare"
            record(fault, victim="tracking", rows=ROWS, held=True, seconds=took)
    medians = {away: statistics.median(times) for away, times in seconds.items()}
    assert medians[True] <= LONGER * medians[False], seconds
