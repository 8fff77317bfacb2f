"""Ray's worker processes as copies of one process that has loaded the libraries.

Importing torch, transformers and diffusers takes 10 s of CPU, which each process of a model would
take again, once Ray is up. Here one process does, while Ray starts; the others are forked from it.

Ray starts a worker in two steps: its setup_worker.py imports Ray to find out what the runtime
environment asks for, and then runs `<py_executable> default_worker.py ARGUMENTS`. Here a script
takes the place of both: it hands the arguments, the environment and whatever else makes a process
to the server, which forks one that runs default_worker.py with them. Where a runtime environment
asks for more than that, the script leaves the first step to Ray. Where the server does not answer,
as where a library cannot be loaded, it starts the worker as Ray would: the stage that needs the
library says what is wrong. Run once a worker, so it imports only the standard library, and that
where needed.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

STREAMS = (0, 1, 2)
BACKLOG = 128  # workers that Ray starts while the libraries are still being loaded
LONGEST = 107  # bytes of a socket's path: unix(7), sun_path without its end
OOM_SCORE = "/proc/self/oom_score_adj"  # Ray has the kernel end its workers before others
SETUP_WORKER = "setup_worker.py"  # Ray's name for what takes the first step
LANGUAGE, CONTEXT = "--language=", "--serialized-runtime-env-context="  # what only it is told
SCRIPT = """import runpy

runpy.run_path({module!r})["start"]({address!r})
"""


@contextmanager
def forkserver(libraries: Sequence[str], *, verbose: bool) -> Iterator[str]:
    """A script by which Ray's workers have loaded `libraries`: `module` or `module:name`.

    It is for Ray's `setup_worker.py`, and `executable` of it for Ray's `py_executable`: without a
    runtime environment Ray would leave out the first step, and this script with it.

    For Linux, and for processes without a GPU: CUDA does not outlive a fork. Raises OSError where
    there is no place for its socket.
    """
    import subprocess
    import tempfile

    # Where Ray has its own sockets, whose paths are longer.
    place = os.environ.get("RAY_TMPDIR", "/tmp")
    os.makedirs(place, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="imagepipe-", dir=place) as folder:
        address = os.path.join(folder, "forkserver")
        if len(os.fsencode(address)) > LONGEST:
            raise OSError(f"the path of a socket cannot exceed {LONGEST} bytes: {address}")
        script = os.path.join(folder, SETUP_WORKER)
        with open(script, "w", encoding="utf-8") as file:
            file.write(SCRIPT.format(module=__file__, address=address))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen(BACKLOG)
            server = subprocess.Popen(
                [sys.executable, "-P", __file__, str(listener.fileno()), *libraries],
                pass_fds=[listener.fileno()],
                stdin=subprocess.PIPE,  # its end tells the server that this process is gone
                stderr=None if verbose else subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1"},  # as Ray's workers begin
                start_new_session=True,  # Ctrl-C in a terminal is for this process alone
            )
        try:
            yield script
        finally:
            server.kill()
            server.communicate()


def executable(script: str) -> str:
    """The command that runs a worker by `script`."""
    import shlex

    return shlex.join([sys.executable, script])


def serve(listener: socket.socket, libraries: Sequence[str]) -> None:
    """Load `libraries`, then fork until the standard input ends. Returns in each forked process."""
    import gc
    import pkgutil
    import select

    gc.disable()
    for library in libraries:
        pkgutil.resolve_name(library)
    gc.freeze()  # as `machine.kept`; here a collection would also write to pages that all share
    gc.enable()
    signal.signal(signal.SIGCHLD, _take_away)
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            sys.exit()
        connection, _ = listener.accept()
        _, streams, _, _ = socket.recv_fds(connection, 1, len(STREAMS))
        with connection.makefile("rb") as file:
            asked = json.loads(file.readline())
        if os.fork() == 0:
            break
        connection.sendall(b"\n")
        connection.close()
        for stream in streams:
            os.close(stream)
    connection.close()
    listener.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for stream, here in zip(streams, STREAMS, strict=True):
        os.dup2(stream, here)
        os.close(stream)
    _become(asked)


def _take_away(*_: Any) -> None:
    """Wait for those that have ended, so that their CPU seconds are not lost: they become ours."""
    with suppress(ChildProcessError):  # none is left
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def ask(address: str, arguments: Sequence[str]) -> bool:
    """Have the server at `address` fork a process in place of this one; whether it did."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(address)
            socket.send_fds(connection, [b" "], STREAMS)
            connection.sendall(json.dumps(_self(arguments)).encode() + b"\n")
            return connection.recv(1) == b"\n"
    except OSError:
        return False


def _self(arguments: Sequence[str]) -> dict[str, Any]:
    """What a process is, for another to become the same."""
    with open(OOM_SCORE) as file:
        oom_score = file.read()
    return {
        "arguments": list(arguments),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "oom_score": oom_score,
        "blocked": [int(one) for one in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
    }


def _become(asked: dict[str, Any]) -> None:
    os.setpgid(0, 0)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.setpriority(os.PRIO_PROCESS, 0, asked["niceness"])
    with open(OOM_SCORE, "w") as file:
        file.write(asked["oom_score"])
    signal.pthread_sigmask(signal.SIG_SETMASK, asked["blocked"])
    sys.argv[:] = asked["arguments"]
    sys.path.insert(0, os.path.dirname(sys.argv[0]))


def start(address: str) -> None:
    """Start the worker that this process's arguments are for, and be done with it."""
    import itertools

    script, *given = sys.argv
    flags = list(itertools.takewhile(lambda one: one.startswith("-"), given))  # Python's own
    worker, *arguments = given[len(flags) :]
    told = [one for one in arguments if one.startswith((LANGUAGE, CONTEXT))]
    if told and not _is_plain(told, script):
        rays_own = os.path.join(os.path.dirname(worker), SETUP_WORKER)
        os.execv(sys.executable, [sys.executable, rays_own, *given])
    started = [worker, *(one for one in arguments if one not in told)]
    if not ask(address, started):
        os.execv(sys.executable, [sys.executable, *flags, *started])


def _is_plain(told: Sequence[str], script: str) -> bool:
    """Whether Ray asks for a worker in Python by `script`, and for nothing else."""
    contexts = [json.loads(one.removeprefix(CONTEXT)) for one in told if one.startswith(CONTEXT)]
    asked = {name: value for context in contexts for name, value in context.items() if value}
    return f"{LANGUAGE}PYTHON" in told and asked == {"py_executable": executable(script)}


def _main() -> None:
    import runpy

    listener, *libraries = sys.argv[1:]
    serve(socket.socket(fileno=int(listener)), libraries)
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    _main()
