"""How much memory a command takes: its driver's own, and what its object store holds."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import psutil
from helpers.command import MARK, Command

EVERY_S = 0.1
HELD = Path(__file__).with_name("held.py")
ADDRESS = "--gcs-address="  # what a raylet is told of its GCS


class Peak:
    """Watches a command from its start to its end; bytes."""

    def __init__(self, command: Command) -> None:
        self.command, self.driver, self.store = command, 0, 0
        self._watcher: subprocess.Popen[str] | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        assert self._watcher is not None, "no object store was seen"
        self._watcher.terminate()
        said, _ = self._watcher.communicate()
        self.store = int(said.split()[-1])

    def _watch(self) -> None:
        driver = psutil.Process(self.command.process.pid)
        while not self._ended.wait(EVERY_S):
            with contextlib.suppress(psutil.Error):
                own = driver.memory_info()
                self.driver = max(self.driver, own.rss - own.shared)
                self._watcher = self._watcher or self._of_store()

    def _of_store(self) -> subprocess.Popen[str] | None:
        for raylet in self.command.processes("/raylet/raylet"):
            (address,) = [word for word in raylet.cmdline() if word.startswith(ADDRESS)]
            return subprocess.Popen(
                [sys.executable, HELD, address.removeprefix(ADDRESS)],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=os.environ | {MARK: self.command.mark},  # ended with the command at the latest
            )
        return None
