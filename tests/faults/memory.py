"""How much memory a command takes: its driver's own, and the object store's."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

import psutil
from commands import Command

EVERY_S = 0.1


class Peak:
    """Watches a command from its start to its end; bytes."""

    def __init__(self, command: Command) -> None:
        self.command, self.driver, self.store = command, 0, 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        driver, raylets = psutil.Process(self.command.process.pid), []
        while not self._ended.wait(EVERY_S):
            with contextlib.suppress(psutil.Error, OSError):
                own = driver.memory_info()
                self.driver = max(self.driver, own.rss - own.shared)
                raylets = raylets or self.command.processes("/raylet/raylet")
                self.store = max(self.store, sum(_plasma(raylet.pid) for raylet in raylets))


def _plasma(raylet: int) -> int:
    """Bytes of shared memory that the object store of `raylet` has ever used."""
    files = {os.readlink(f): f for f in Path(f"/proc/{raylet}/fd").iterdir() if _is_store(f)}
    return sum(file.stat().st_blocks * 512 for file in files.values())


def _is_store(file: Path) -> bool:
    with contextlib.suppress(OSError):
        return "plasma" in os.readlink(file)
    return False
