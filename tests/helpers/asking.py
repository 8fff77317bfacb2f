"""A process that answers: a line of JSON in, a line of JSON out, until its input ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import Any

from helpers import ROOT

ENVIRONMENT: dict[str, str] = {}  # before any test has changed it


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
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=self.environment,
                start_new_session=True,
            )
        return self._process

    def ask(self, **question: Any) -> Any:
        process = self.start()
        assert process.stdin and process.stdout
        try:
            print(json.dumps(question), file=process.stdin, flush=True)
            line = process.stdout.readline()
            assert line, f"{self._module} ended with {process.wait()}"
            return json.loads(line)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
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
