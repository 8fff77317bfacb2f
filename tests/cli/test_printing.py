"""What is printed decides neither what a command leaves nor how it ends."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PRINT = """
import os, subprocess, sys
from imagepipe.cli.printing import print_whatever_happens
print_whatever_happens()
for number in range(3):
    print("told", number, file=sys.stderr, flush=True)
    os.write(2, b"")  # what C++ prints below Python's stream
kept = open("kept", "w")
assert kept.fileno() > 2, kept.fileno()
kept.write("whole")
kept.close()
child = "import os; [os.fstat(number) for number in range(3)]"
subprocess.run([sys.executable, "-c", child], check=True)
print("out")
"""


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        *(("2>/dev/full", ""), ("2>&-", ""), ("2>&1 | head -c 0", None), ("2>err", "told 0\n")),
        *((">&- 2>&-", None), ("<&- >&- 2>&-", None)),
    ],
    ids=["full", "closed", "unread", "file", "both-closed", "all-closed"],
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


@pytest.mark.parametrize(
    ("encoding", "told", "said"),
    [
        ("ascii", "ein Hut für 红猫 🐈", b"ein Hut f\\xfcr \\u7ea2\\u732b \\U0001f408"),
        ("latin-1", "ein Hut für 红猫", b"ein Hut f\xfcr \\u7ea2\\u732b"),
        ("utf-8", "a name that is none: \udce7", b"a name that is none: \\udce7"),
    ],
)
def test_a_terminal_without_a_sign_for_it_gets_its_number(encoding: str, told: str, said: bytes):
    script = (
        "import sys; from imagepipe.cli import printing; printing.print_whatever_happens()\n"
        f"for stream in (sys.stdout, sys.stderr): print({told!a}, file=stream)\n"
    )
    env = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, said + b"\n", said + b"\n")


def test_a_reader_that_has_enough_is_no_error(tmp_path):
    command = f"set -o pipefail; '{sys.executable}' -m imagepipe --help | head -1"
    env = os.environ | {"COLUMNS": "80"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, env=env
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_for_what_was_asked_for_is_an_error_in_one_line():
    command = f"'{sys.executable}' -m imagepipe --version > /dev/full"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    said = "imagepipe: the output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_a_reader_that_stops_reading_holds_nothing_up(tmp_path):
    script = (
        "import sys; from imagepipe.cli import printing; printing.PATIENCE_S = 0.1\n"
        "printing.print_whatever_happens()\n"
        "for number in range(300): print('é' * 999, file=sys.stderr)\n"
        "open('kept', 'w').write('whole')\n"
        "input(); print('last', file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        while not (tmp_path / "kept").exists():
            assert running.poll() is None
        begun = os.read(running.stderr.fileno(), 1 << 20)  # read again: what comes now is there
        told = (begun + running.communicate(b"\n", timeout=60)[1]).decode()
    assert running.returncode == 0
    assert "é" * 999 in told and len(told) < 300 * 1000
    assert told.endswith("last\n")
