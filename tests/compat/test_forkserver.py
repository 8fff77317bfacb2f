"""Workers forked of a process that has loaded the libraries, and started where there is none."""

from __future__ import annotations

import json
import os
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
from helpers.waiting import until

from imagepipe.compat.forkserver import executable, forkserver

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


def start(script: str | None, worker: Path, *told: str, **how: Any) -> tuple[dict[str, Any], str]:
    """What a worker started by `script`, as Ray would, says on its standard streams."""
    # Ray puts what Python was called with before the worker's own script.
    command = [sys.executable, *filter(None, [script]), "-s", str(worker), "--one", "a b", *told]
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        input="asked",
        env={**os.environ, "MINE": "1", "OMP_NUM_THREADS": "7"},
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
    while True:  # its command is empty for a moment, while it is started
        for child in process.children():
            if any("forkserver.py" in one for one in child.cmdline()):
                return child
        time.sleep(0.02)


def told(language: str = "PYTHON", **environment: Any) -> list[str]:
    """The arguments that Ray has for its own setup_worker.py alone."""
    return [
        f"--language={language}",
        f"--serialized-runtime-env-context={json.dumps({'java_jars': [], **environment})}",
    ]


@pytest.fixture
def worker(tmp_path: Path) -> Path:
    (tmp_path / "worker.py").write_text(WORKER)
    return tmp_path / "worker.py"


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path leaves room for the name of a socket."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def test_a_forked_worker_is_what_it_would_be_if_it_were_started(worker: Path) -> None:
    folder = worker.parent / "elsewhere"
    folder.mkdir()
    with forkserver([LIBRARY], verbose=False) as script:
        server = server_of(psutil.Process())
        said, errors = start(script, worker, cwd=folder, preexec_fn=other)
    plainly, _ = start(None, worker, cwd=folder, preexec_fn=other)
    assert said.pop("loaded") and not plainly.pop("loaded")
    assert said.pop("parent") == server.pid and plainly.pop("parent") == os.getpid()
    assert said == plainly
    assert said["mine"] == "1" and said["arguments"][1:] == ["--one", "a b"]
    assert "no traceback" in errors and "Traceback" not in errors


def test_rays_own_first_step_is_left_out_where_it_has_nothing_to_do(worker: Path) -> None:
    (worker.parent / "setup_worker.py").write_text(WORKER)
    with forkserver([LIBRARY], verbose=False) as script:
        own = told(py_executable=executable(script), env_vars={})
        said, _ = start(script, worker, *own)
        assert said["loaded"] and said["arguments"] == [str(worker), "--one", "a b"]
        for other_than_that in (
            told(py_executable=executable(script), env_vars={"A": "1"}),
            told(py_executable="python3.99"),
            told("JAVA", py_executable=executable(script)),
        ):
            said, _ = start(script, worker, *other_than_that)
            assert not said["loaded"]
            rays_own = worker.parent / "setup_worker.py"
            assert said["arguments"] == [
                *(str(rays_own), "-s"),
                str(worker),
                "--one",
                "a b",
                *other_than_that,
            ]


def test_workers_do_not_share_what_they_change(worker: Path) -> None:
    worker.write_text("import sys\nprint(hasattr(sys, 'seen'))\nsys.seen = 1\n")
    with forkserver([], verbose=False) as script:
        for _ in range(2):
            ended = subprocess.run([sys.executable, script, worker], capture_output=True, text=True)
            assert ended.stdout == "False\n"


def test_where_a_library_cannot_be_loaded_workers_start_without(worker: Path) -> None:
    with forkserver(["no_such_library"], verbose=False) as script:
        own = told(py_executable=executable(script))
        for given in ([], own):
            said, errors = start(script, worker, *given)
            assert not said["loaded"] and said["parent"] == os.getpid()
            assert said["arguments"] == [str(worker), "--one", "a b"]
            assert "Traceback" not in errors


def test_a_worker_that_ends_leaves_nothing_behind_but_its_cpu_seconds(worker: Path) -> None:
    worker.write_text("import time\nwhile time.process_time() < 0.1: pass\n" + WORKER)
    with forkserver([], verbose=False) as script:
        server = server_of(psutil.Process())
        start(script, worker)
        until(lambda: not server.children())
        times = server.cpu_times()
        assert times.children_user + times.children_system >= 0.05
        assert Path(script).with_name("forkserver").is_socket()
    assert not server.is_running() and not Path(script).parent.exists()


def test_the_server_ends_with_a_process_that_is_killed(short: Path) -> None:
    program = (
        "import time\n"
        "from imagepipe.compat.forkserver import forkserver\n"
        "with forkserver([], verbose=False):\n"
        "    print('up', flush=True)\n"
        "    time.sleep(3600)\n"
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
        server.wait()
    assert list((short / "ray").iterdir())  # it lay where Ray's own sockets would


@pytest.mark.faults  # without a GPU tests/execution/test_forked.py too
@pytest.mark.parametrize(("gpus", "forked"), [(0, True), (1, False)], ids=["cpus", "gpu"])
def test_a_session_has_no_idle_process_and_forks_its_own_unless_there_is_a_gpu(
    gpus: int, forked: bool
) -> None:
    program = f"""
import os, sys
from imagepipe.config import RayOptions
from imagepipe.resources.machine import Machine, Node
from imagepipe.execution.session import session
with session(RayOptions(), Machine((Node(1, {gpus}),)), ["{LIBRARY}"], verbose=False):
    import psutil, ray
    started = psutil.Process().children()
    idle = ("monitor.py", "dashboard.py")  # log_monitor.py too
    print([word for one in started for word in one.cmdline() if word.endswith(idle)])
    [raylet] = [one for one in started if one.name() == "raylet"]
    print(any("/imagepipe-" in word and "setup_worker.py" in word for word in raylet.cmdline()))
    loaded = lambda: ("xml.dom.minidom" in sys.modules, os.environ.get("MINE"))
    print(ray.get(ray.remote(loaded).remote()))
    mine = {{"env_vars": {{"MINE": "1"}}}}
    print(ray.get(ray.remote(loaded).options(runtime_env=mine).remote()))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    said = ["[]", str(forked), f"({forked}, None)", f"({forked}, '1')"]
    assert ended.stdout.splitlines() == said, ended.stderr
