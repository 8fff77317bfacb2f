"""A real MLflow server that tests kill and start again, and what it has of a run."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from helpers.tracked import with_database
from helpers.waiting import until

from imagepipe.tracking.journal import Journal

Values = set[tuple[str, float, int, int]]


def history(store: Any, run_id: str) -> Values:
    """All that the store has: (metric, value, step, time in ms)."""
    return {
        (metric.key, metric.value, metric.step, metric.timestamp)
        for key in store.get_run(run_id).data.metrics
        for metric in store.get_metric_history(run_id, key)
    }


def journalled(folder: Path) -> Values:
    """All that the run in `folder` recorded."""
    return {
        (key, value, event["step"], event["time"])
        for event, _ in Journal(folder).read()
        for key, value in event.get("values", {}).items()
    }


class Server:
    """A real MLflow server on a port of its own, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.process = with_database(folder, "server.db"), None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self.folder / 'server.db'}"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env={**os.environ, **quiet},
                cwd=self.folder,
                start_new_session=True,
            )
        self._wait()

    def _wait(self) -> None:
        until(self._answers)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health"):
                return True
        except OSError:
            assert self.process.poll() is None, (self.folder / "server.log").read_text()
            return False

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
