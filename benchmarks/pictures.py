"""Runs that draw: the tables that they read, how they are started, and what their files tell.

A run is timed from outside, all in the same way: by the clock around its process, and by when each
PNG file was written. So it does not matter what a program says of itself.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import Figures

from imagepipe.assets import folder as asset

AGAINST = Path(__file__).parent / "against"
MOST_S = 3000  # a run that takes longer hangs
# Ray runs its workers at niceness 15. Beside anything else that the machine does they would lose
# against a program without Ray, so that here all run alike.
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
}


@dataclass(frozen=True)
class Rows:
    """The embedded tables' rows over and over, until there are `count`."""

    count: int

    def write(self, folder: Path) -> dict[str, str]:
        """`animals.csv` and `outfits.csv` in `folder`; the overrides that make imagepipe read them.

        Each has a column `id`, by which they are joined.
        """
        for name in ("animals", "outfits"):
            with open(asset(f"asset:animals_outfits/{name}.csv")) as source:
                _, *rows = csv.reader(source)
            with open(folder / f"{name}.csv", "w", newline="") as target:
                column = name.removesuffix("s")
                lines = ((i, rows[i % len(rows)][1]) for i in range(self.count))
                csv.writer(target).writerows([("id", column), *lines])
        return {
            "dataset.path": str(folder / "animals.csv"),
            "dataset.join.path": str(folder / "outfits.csv"),
        }


def imagepipe(folder: Path, rows: int, overrides: Mapping[str, Any]) -> Figures:
    """`python -m imagepipe` over `rows` rows; what its files and its summary tell."""
    given = {**Rows(rows).write(folder), **overrides}
    typed = [f"{key}={value}" for key, value in given.items()]
    command = [sys.executable, "-m", "imagepipe", f"hydra.run.dir={folder}/out", *typed]
    figures = timed(command, folder, folder / "out" / "images", rows)
    said = json.loads((folder / "out" / "summary.json").read_text())
    if said["written"] != rows:
        raise SystemExit(f"{' '.join(command)} wrote {said['written']} of {rows} rows")
    return figures


def against(script: str, folder: Path, rows: int, *options: object, **how: Any) -> Figures:
    """A script of `against/`, which reads the two tables in its folder and draws into `images/`."""
    Rows(rows).write(folder)
    command = [how.pop("python", sys.executable), str(AGAINST / script), str(folder)]
    return timed([*command, *map(str, options)], folder, folder / "images", rows)


def timed(command: Sequence[str], folder: Path, images: Path, rows: int) -> Figures:
    """Run `command`, and tell what it drew into `images`. Ends the script where it fails.

    `first_picture_s` and `seconds` count from the command; `end_to_end_per_s` is pictures over
    `seconds`; `steady_per_s` is the rate between the first and the last tenth of the pictures.
    """
    began = time.time()
    done(command, folder)
    seconds = time.time() - began
    written = when_written(images)
    if len(written) != rows:
        raise SystemExit(f"{' '.join(command)} drew {len(written)} pictures of {rows}")
    figures = {
        "seconds": seconds,
        "first_picture_s": written[0] - began,
        "end_to_end_per_s": rows / seconds,
    }
    steady = without_ends(written)
    if steady[-1] > steady[0]:
        figures["steady_per_s"] = (len(steady) - 1) / (steady[-1] - steady[0])
    return figures


def when_written(images: Path) -> list[float]:
    """As `time.time()`, of each picture in a folder, the first one first."""
    return sorted(file.stat().st_mtime for file in images.rglob("*.png"))


def without_ends(written: Sequence[float]) -> Sequence[float]:
    """Without the first and the last tenth, in which not all processes draw."""
    tenth = len(written) // 10
    return written[tenth : len(written) - tenth]


@contextmanager
def watched(look: Callable[[], None], every_s: float = 0.5) -> Iterator[None]:
    """`look` is called again and again meanwhile, in a thread."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(every_s):
            look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def done(command: Sequence[str], folder: Path) -> None:
    """Run `command` in `folder`; where it fails, end the script with what it said."""
    log = folder / "said.txt"
    with open(log, "w") as said:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=os.environ | ENVIRONMENT,
            start_new_session=True,
        )
        try:
            code = process.wait(timeout=MOST_S)
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=60)
            raise
    if code != 0:
        raise SystemExit(f"{' '.join(command)} ended with {code}:\n{log.read_text()[-4000:]}")
