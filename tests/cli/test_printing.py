"""What is printed decides neither what a command leaves nor how it ends."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PRINT = """
import os, sys
from imagepipe.cli.messages import print_whatever_happens
print_whatever_happens()
for number in range(3):
    print("told", number, file=sys.stderr, flush=True)
    os.write(2, b"")  # what C++ prints below Python's stream
kept = open("kept", "w")
assert kept.fileno() > 2, kept.fileno()
kept.write("whole")
kept.close()
print("out")
"""


@pytest.mark.parametrize(
    ("stderr", "said"),
    [("2>/dev/full", ""), ("2>&-", ""), ("2>&1 | head -c 0", None), ("2>err", "told 0\n")],
    ids=["full", "closed", "unread", "file"],
)
def test_a_command_ends_well_whatever_becomes_of_its_messages(tmp_path, stderr: str, said):
    command = f"set -o pipefail; '{sys.executable}' -c \"$0\" {stderr}"
    done = subprocess.run(
        ["bash", "-c", command, PRINT], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "kept").read_text() == "whole"
    if said is not None:
        assert done.stdout == "out\n"
        err = tmp_path / "err"
        assert (err.read_text() if err.exists() else "").startswith(said)


def test_a_reader_that_has_enough_is_no_error(tmp_path):
    command = f"set -o pipefail; '{sys.executable}' -m imagepipe --help | head -1"
    env = os.environ | {"COLUMNS": "80"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, env=env
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
