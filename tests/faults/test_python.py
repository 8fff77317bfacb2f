"""Ctrl-C while a script runs imagepipe: an exception that it can catch, and a run to go on with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.command import parts

pytestmark = pytest.mark.faults

SCRIPT = """
from pathlib import Path
import signal
import imagepipe

SLOW = {"model.engine": "custom", "model._target_": "helpers.painters.Slow", "model.width": 16}
SLOW |= {"model.height": 16, "resources.rows_per_block": 2, "resources.model.batch_size": 2}
SLOW |= {"resources.model.pool": 1, "+model.options.slow": Path("slow").absolute()}
SLOW |= {"+model.options.seconds": 0.5, "+model.options.bad": Path("bad").absolute()}
SLOW |= {"hydra.run.dir": Path("out").absolute()}
before = signal.getsignal(signal.SIGINT)
try:
    imagepipe.run("model=noop", "llm=none", "scorer=none", "tracking=none", limit=16, **SLOW)
except imagepipe.Interrupted as error:
    print("interrupted", "resume with" in str(error), signal.getsignal(signal.SIGINT) is before)
Path("slow").unlink()
result = imagepipe.run(resume="out")
print(result.table.num_rows, Path.cwd() == Path(result.folder).parent)
"""


def test_ctrl_c_is_an_exception_and_the_run_goes_on(tmp_path: Path):
    (tmp_path / "slow").touch()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    while process.poll() is None and not parts(tmp_path / "out"):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert said.splitlines() == ["interrupted True True", "16 True"]
