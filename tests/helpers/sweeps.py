"""What a sweep left in MLflow, in its folder and among the processes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Swept:
    """A sweep that was typed in `home`: where it is, what the command said, and what was typed
    for each of its jobs."""

    home: Path
    folder: Path
    said: str
    typed: list[str]


def recorded(home: Path) -> tuple:
    """(Client, parent, children in their order) of the only sweep in `home`'s store."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'outputs' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("imagepipe")
    runs = client.search_runs([experiment.experiment_id], order_by=["attribute.start_time ASC"])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} <= {parent.info.run_id}
    return client, parent, children


def finished(children: list) -> tuple[str, list[dict[str, float]]]:
    """The rate that the comparison goes by, steady where all are; metrics of the finished jobs."""
    found = [run.data.metrics for run in children if run.info.status == "FINISHED"]
    steady = all("images_per_s/steady" in metrics for metrics in found)
    return f"images_per_s/{'steady' if steady else 'end_to_end'}", found


def statuses(folder: Path) -> dict[str, str]:
    found = folder.glob("*/summary.json")
    return {path.parent.name: json.loads(path.read_text())["status"] for path in found}


def marked(mark: str) -> list[str]:
    """The living processes that were started by a command with `mark` in its environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("IMAGEPIPE_TEST") == mark:
                found.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found
