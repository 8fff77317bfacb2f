"""Jobs of a sweep side by side: each in its own process, with its part of the machine or cluster.

Processes, not threads: the settings and executor of Ray Data, signal handlers and warnings exist
once per process, and killing one job must not harm another. On one machine each job starts its own
Ray; on a cluster all jobs join the running one and keep to their nodes.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from imagepipe import shell
from imagepipe.config import RayOptions
from imagepipe.errors import RunFailed, one_line
from imagepipe.resources.machine import LEAST_STORE, STORE_SHARE
from imagepipe.resources.parts import Part

LOOK_EVERY_S = 0.1
VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Running:
    """A running job in `part`, of the sweep in `folder`. At its end the file `answer` holds its
    outcome as a pickle.
    """

    number: int
    folder: Path
    part: Part
    process: subprocess.Popen[bytes]
    answer: Path
    relay: threading.Thread


class SideBySide:
    """Jobs side by side, one in each of `parts`. `errors` are those of failed jobs."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.free, self.running = [*parts], list[Running]()
        self.errors: list[BaseException] = []
        self.ended = 0
        self._place = tempfile.TemporaryDirectory(prefix="imagepipe-jobs-")

    def begin(self, number: int, folder: Path, asked: Any, *, after_first: bool) -> None:
        """Start a job when a part is free. `after_first`: wait until one job has ended, whose
        work it may reuse.
        """
        while not self.free or (after_first and self.running and not self.ended):
            self._look()
        part = self.free.pop(0)
        answer = Path(self._place.name, str(number))
        process = subprocess.Popen(
            [sys.executable, "-m", "imagepipe.execution.beside"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=os.environ | visible(part),
            start_new_session=True,  # Ctrl-C of a terminal comes to this process alone
        )
        relay = threading.Thread(target=_relay, args=(process, number), daemon=True)
        relay.start()
        self.running.append(Running(number, folder, part, process, answer, relay))
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it is dead: that is told when it is looked at
            process.stdin.write(pickle.dumps((asked, part, answer)))
            process.stdin.flush()  # and open as long as this process lives

    def wait(self, *, interrupted: bool = False) -> None:
        """Wait until all jobs have ended. Ctrl-C is passed on to each; then this raises
        KeyboardInterrupt at the end.

        `interrupted`: Ctrl-C was pressed before.
        """
        if interrupted:
            self.interrupt()
        while self.running:
            try:
                self._look()
            except KeyboardInterrupt:
                interrupted = True
                self.interrupt()
        self._place.cleanup()
        if interrupted:
            raise KeyboardInterrupt

    def interrupt(self) -> None:
        """The first time jobs finish what they have started, as after Ctrl-C; the second time
        they end.
        """
        for job in self.running:
            job.process.send_signal(signal.SIGINT)

    def _look(self) -> None:
        """Collect the jobs that have ended; wait a moment if none has."""
        over = [job for job in self.running if job.process.poll() is not None]
        if not over:
            time.sleep(LOOK_EVERY_S)
        for job in over:
            self.running.remove(job)
            self.free.append(job.part)
            self.ended += 1
            job.relay.join()
            if (error := _end(job)) is not None:
                self.errors.append(error)


def _end(job: Running) -> BaseException | None:
    """What a job did not end well by."""
    assert job.process.stdin is not None
    with suppress(OSError):
        job.process.stdin.close()
    if job.answer.exists():
        found: BaseException | None = pickle.loads(job.answer.read_bytes())
        return found
    code = job.process.returncode
    how = f"signal {-code}" if code < 0 else f"code {code}"
    again = shell.resume_command(job.folder)
    return RunFailed(f"job {job.number}: its process ended by {how}\n  resume with: {again}")


def visible(part: Part) -> dict[str, str]:
    """The environment in which a process sees only its GPUs."""
    if not part.gpus:
        return {}
    every = os.environ.get(VISIBLE)
    names = every.split(",") if every else [str(number) for number in range(max(part.gpus) + 1)]
    return {VISIBLE: ",".join(names[number] for number in part.gpus)}


def _relay(process: subprocess.Popen[bytes], number: int) -> None:
    """Print a job's output, each line with the job's number."""
    assert process.stderr is not None
    for line in process.stderr:
        print(f"{number}> {line.decode(errors='replace').rstrip()}", file=sys.stderr, flush=True)


def kept_to(options: RayOptions, part: Part) -> RayOptions:
    """`options` for a run that keeps to `part`."""
    if part.nodes:
        return replace(options, nodes=[*part.nodes])
    store = STORE_SHARE * part.machine.nodes[0].memory / 1e9  # Ray's own would be of the whole
    return replace(
        options,
        num_cpus=int(part.machine.cpus),
        num_gpus=part.machine.gpus,
        object_store_gb=options.object_store_gb or max(LEAST_STORE / 1e9, store),
    )


# --- in the job's own process


def main() -> None:
    """Run the job that arrives as a pickle."""
    from imagepipe.execution.sweep import run_apart

    asked, part, answer = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_the_sweep, daemon=True).start()
    error: BaseException | None = None
    try:
        run_apart(asked, part)
    except BaseException as problem:
        error = problem
    whole = answer.with_suffix(".part")
    whole.write_bytes(pickled(error))
    whole.replace(answer)


def pickled(error: BaseException | None) -> bytes:
    """As `error` without its cause, which may be of any class, where that comes back as it was: of
    an exception with arguments of its own it does not.
    """
    with suppress(Exception):
        whole = pickle.dumps(error)
        pickle.loads(whole)
        return whole
    return pickle.dumps(RunFailed(one_line(error or "")))


def _end_with_the_sweep() -> None:
    """If the process of the sweep is killed, end this one as after SIGTERM."""
    os.read(sys.stdin.fileno(), 1)  # not of the file, whose lock Python wants at its own end
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
