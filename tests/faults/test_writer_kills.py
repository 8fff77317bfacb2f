"""`kill -9` of the process that writes, again and again: files are whole, each row is there once.

No Ray: what is killed here is the sink with its claim, and what looks through its leavings.
"""

from __future__ import annotations

import io
import random
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers import writer_process
from helpers.command import table
from PIL import Image


def written(home: Path, out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "helpers.writer_process", str(home), str(out)],
        stdout=subprocess.PIPE,
        text=True,
    )


def killed(home: Path, out: Path, after_s: float) -> bool:
    """Kill a writer `after_s` seconds after it began to look or to write; false if it was over."""
    with written(home, out) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        time.sleep(after_s)
        process.kill()
        return process.wait() == -9


def pictures(out: Path) -> dict[str, tuple[bytes, dict[str, str]]]:
    found = {}
    for path in (out / "images").iterdir():
        with Image.open(path) as image:
            found[path.name] = np.asarray(image).tobytes(), dict(image.text)
    return found


def samples(out: Path) -> list[str]:
    """The names of all pictures in all shards."""
    names = []
    for path in (out / "shards").iterdir():
        with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as shard:
            names += [name for name in shard.getnames() if name.endswith(".png")]
    return sorted(names)


@pytest.mark.faults
def test_a_writer_that_is_killed_again_and_again_leaves_every_row_once(tmp_path, record):
    whole, broken, kills, began = tmp_path / "whole", tmp_path / "broken", 0, time.monotonic()
    start = time.monotonic()
    with written(tmp_path, whole) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        start = time.monotonic()
        assert process.wait() == 0
    takes = time.monotonic() - start
    for _ in range(6):
        kills += killed(tmp_path, broken, random.uniform(0, takes / 6))
    with written(tmp_path, broken) as process:
        assert process.wait() == 0
    assert kills >= 3
    assert table(broken) == table(whole)
    assert pictures(broken) == pictures(whole)
    assert samples(broken) == samples(whole) == [f"{row['id']}.png" for row in table(whole)]
    for name, stage in (("failed", "model"), ("unmatched", "join")):
        ids = sorted(pq.read_table(broken / f"{name}.parquet")["id"].to_pylist())
        wanted = [n for n, one in writer_process.STAGES.items() if one == stage]
        assert ids == [writer_process.IDS[number] for number in wanted]
    record(
        "kill -9 while writing",
        victim="writer alone",
        rows=writer_process.ROWS,
        held=True,
        kills=kills,
        seconds=(time.monotonic() - began) / (kills + 1),
    )
