"""A process that answers: a line of JSON in, a line of JSON out, until its input ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock
from helpers import ROOT

ENVIRONMENT: dict[str, str] = {}  # before any test has changed it
SHARED = "IMAGEPIPE_TEST_SHARED"  # a folder that all processes of pytest have


class Server:
    """`python -m MODULE`, in a session of its own, from the first question on; again after an end.

    Whatever interrupts a question ends it.
    """

    def __init__(self, module: str, **environment: str) -> None:
        self._module, self._more = module, environment
        self._process: subprocess.Popen[str] | None = None
        self.environment: dict[str, str] = {}  # once it was started

    def start(self) -> subprocess.Popen[str]:
        if self._process is None:
            self.environment = (ENVIRONMENT or dict(os.environ)) | self._more
            self._process = _started(
                self._module, self.environment, subprocess.PIPE, subprocess.PIPE
            )
        return self._process

    def ask(self, **question: Any) -> Any:
        process = self.start()
        assert process.stdin and process.stdout
        try:
            print(json.dumps(question), file=process.stdin, flush=True)
            return _answer(self._module, process.stdout.readline())
        except BaseException:
            _kill(process.pid)
            process.wait()
            self._process = None
            raise

    def close(self) -> Any:
        """End its input; what it says last, null for nothing."""
        if (process := self._process) is None:
            return None
        self._process = None
        last, _ = process.communicate()
        assert process.returncode == 0
        return json.loads(last) if last else None


class SharedServer:
    """As `Server`, one for all processes of pytest: whoever asks first starts it, and it answers
    one question at a time. Its input ends with the process that is to `keep` it.

    `folder`: where it, and all that it starts, finds modules of a test.
    """

    def __init__(self, module: str, **environment: str) -> None:
        self._module, self._more = module, environment
        self._kept: int | None = None

    def keep(self) -> None:
        """By the process of pytest that outlives the others, before any of them asks."""
        with self._locked() as folder:
            os.mkfifo(folder / "in")
            self._kept = os.open(folder / "in", os.O_RDWR)

    def ask(self, **question: Any) -> Any:
        with self._locked() as folder:
            if not _lives(folder):
                self._start(folder)
            try:
                return _answer(self._module, _exchange(folder, question))
            except BaseException:
                _kill(_pid(folder))
                raise

    def close(self) -> None:
        """By the process that keeps it."""
        assert self._kept is not None
        os.close(self._kept)
        with self._locked() as folder:
            if _lives(folder):
                psutil.Process(_pid(folder)).wait()

    @property
    def folder(self) -> Path:
        folder = Path(os.environ[SHARED], self._module)
        folder.mkdir(exist_ok=True)
        return folder

    @contextmanager
    def _locked(self) -> Iterator[Path]:
        folder = self.folder
        with FileLock(folder / "lock"):
            yield folder

    def _start(self, folder: Path) -> None:
        """It holds both ends of the pipe of its answers, so that this outlives who asks."""
        (folder / "out").unlink(missing_ok=True)
        os.mkfifo(folder / "out")
        asked = os.open(folder / "in", os.O_RDONLY | os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):  # what one before it did not come to
            while os.read(asked, 1 << 16):
                pass
        os.set_blocking(asked, True)
        answers = os.open(folder / "out", os.O_RDWR)
        environment = ENVIRONMENT | self._more
        environment["PYTHONPATH"] = os.pathsep.join([str(folder), environment["PYTHONPATH"]])
        process = _started(self._module, environment, asked, answers)
        os.close(asked)
        os.close(answers)
        (folder / "pid").write_text(str(process.pid))


def shared(kind: str, write: Callable[[str, Path], Any], name: str) -> Path:
    """The folder of `kind` that `write(name, FOLDER)` makes: once for all processes of pytest."""
    where = Path(os.environ[SHARED], kind, name.replace("/", "--"))
    where.parent.mkdir(exist_ok=True)
    with FileLock(f"{where}.lock"):
        if not where.exists():
            write(name, where)
    return where


def _started(
    module: str, environment: dict[str, str], stdin: int, stdout: int
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=ROOT,
        stdin=stdin,
        stdout=stdout,
        text=True,
        env=environment,
        start_new_session=True,
    )


def _answer(module: str, line: str) -> Any:
    assert line, f"{module} has ended"
    return json.loads(line)


def _exchange(folder: Path, question: Any) -> str:
    with (folder / "in").open("w") as asked, (folder / "out").open() as answers:
        print(json.dumps(question), file=asked, flush=True)
        return answers.readline()


def _pid(folder: Path) -> int:
    return int((folder / "pid").read_text())


def _lives(folder: Path) -> bool:
    with contextlib.suppress(FileNotFoundError, psutil.NoSuchProcess):
        return psutil.Process(_pid(folder)).status() != psutil.STATUS_ZOMBIE
    return False


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
