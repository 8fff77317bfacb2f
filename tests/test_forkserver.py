"""Workers forked of a process that has loaded the libraries, and started where there is none."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from imagepipe.forkserver import forkserver

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: forks, /proc")

LIBRARY = "xml.dom.minidom:parseString"  # nothing else here loads it
# What a worker says of itself; `default_worker.py` to the process that starts it.
WORKER = """
import json, os, signal, sys
with open("/proc/self/oom_score_adj") as file:
    oom_score = int(file.read())
said = {
    "arguments": sys.argv, "main": __name__, "path": sys.path[0], "folder": os.getcwd(),
    "mine": os.environ.get("MINE"), "threads": os.environ.get("OMP_NUM_THREADS"),
    "stdin": sys.stdin.read(), "niceness": os.getpriority(os.PRIO_PROCESS, 0),
    "oom_score": oom_score, "leads": os.getpgrp() == os.getpid(),
    "blocked": signal.SIGUSR1 in signal.pthread_sigmask(signal.SIG_BLOCK, []),
    "children": signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL,
    "files": len(os.listdir("/proc/self/fd")),
    "loaded": "xml.dom.minidom" in sys.modules, "parent": os.getppid(),
}
print(json.dumps(said), flush=True)
print("no traceback", file=sys.stderr)
"""


def start(command: str, script: Path, **how: Any) -> tuple[dict[str, Any], str]:
    """What a worker started by `command`, as Ray would, says on its standard streams."""
    ended = subprocess.run(
        ["bash", "-c", f"exec {command} {shlex.join([str(script), '--one', 'a b'])}"],
        capture_output=True,
        text=True,
        input="asked",
        env={**os.environ, "MINE": "1", "OMP_NUM_THREADS": "7"},
        timeout=60,
        **how,
    )
    return json.loads(ended.stdout), ended.stderr


def other() -> None:
    os.nice(3)
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("900")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    os.setpgid(0, 0)


def server_of(process: psutil.Process) -> psutil.Process:
    """The one that it has now: it may have other children, such as a Ray of other tests."""
    until = time.monotonic() + 20
    while time.monotonic() < until:  # its command is empty for a moment, while it is started
        for child in process.children():
            if "serve" in child.cmdline():
                return child
    raise AssertionError("no server")


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "worker.py").write_text(WORKER)
    return tmp_path / "worker.py"


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path leaves room for the name of a socket."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def test_a_forked_worker_is_what_it_would_be_if_it_were_started(script: Path) -> None:
    folder = script.parent / "elsewhere"
    folder.mkdir()
    with forkserver([LIBRARY], verbose=False) as command:
        server = server_of(psutil.Process())
        said, errors = start(command, script, cwd=folder, preexec_fn=other)
    plainly, _ = start(sys.executable, script, cwd=folder, preexec_fn=other)
    assert said.pop("loaded") and not plainly.pop("loaded")
    assert said.pop("parent") == server.pid and plainly.pop("parent") == os.getpid()
    assert said == plainly
    assert said["mine"] == "1" and said["arguments"][1:] == ["--one", "a b"]
    assert "no traceback" in errors and "Traceback" not in errors


def test_workers_do_not_share_what_they_change(script: Path) -> None:
    script.write_text("import sys\nprint(hasattr(sys, 'seen'))\nsys.seen = 1\n")
    with forkserver([], verbose=False) as command:
        for _ in range(2):
            ended = subprocess.run(
                [*shlex.split(command), script], capture_output=True, text=True, timeout=60
            )
            assert ended.stdout == "False\n"


def test_where_a_library_cannot_be_loaded_workers_start_without(script: Path) -> None:
    with forkserver(["no_such_library"], verbose=False) as command:
        said, errors = start(command, script)
    assert not said["loaded"] and said["parent"] == os.getpid()
    assert said["arguments"] == [str(script), "--one", "a b"]
    assert "Traceback" not in errors


def test_a_worker_that_ends_leaves_nothing_behind(script: Path) -> None:
    with forkserver([], verbose=False) as command:
        server = server_of(psutil.Process())
        start(command, script)
        until = time.monotonic() + 20
        while server.children() and time.monotonic() < until:
            time.sleep(0.05)
        assert server.children() == []
        address = Path(shlex.split(command)[-1])
        assert address.is_socket()
    assert not server.is_running() and not address.parent.exists()


def test_the_server_ends_with_a_process_that_is_killed(short: Path) -> None:
    program = (
        "import time\n"
        "from imagepipe.forkserver import forkserver\n"
        "with forkserver([], verbose=False):\n"
        "    print('up', flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        env={**os.environ, "RAY_TMPDIR": str(short / "ray")},
    ) as driver:
        assert driver.stdout is not None
        driver.stdout.readline()
        server = server_of(psutil.Process(driver.pid))
        driver.kill()
        psutil.wait_procs([server], timeout=20)
        assert not server.is_running()
    assert list((short / "ray").iterdir())  # it lay where Ray's own sockets would


def test_the_processes_of_a_session_are_forked_unless_there_is_a_gpu() -> None:
    for gpus, forked in ((0, True), (1, False)):
        program = f"""
import os, sys
from imagepipe.config import RayOptions
from imagepipe.machine import Machine, Node
from imagepipe.session import session
with session(RayOptions(), Machine((Node(1, {gpus}),)), ["{LIBRARY}"], verbose=False):
    import ray
    loaded = lambda: "xml.dom.minidom" in sys.modules
    print(ray.get(ray.remote(loaded).remote()))
"""
        ended = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=240
        )
        assert ended.stdout.split() == [str(forked)], ended.stderr
