"""Several runs in one process and one Ray session: starting both takes 8 s of CPU and more.

A test that looks at what a run leaves or says needs no command of its own.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.asking import Server, SharedServer
from helpers.s3_server import KEYS
from helpers.warm import OFFLINE

# With what the embedded models need loaded once for all.
SERVER = SharedServer("helpers.one_session", PRELOAD="1", **OFFLINE, **KEYS)


@dataclass(frozen=True)
class Job:
    """A run's folder, the exit code that its command would have, and what it said.

    `seen`: the session's address, and, before the run, the callbacks set, the actors alive and the
    free CPUs; then the rows written and the actors known.
    """

    folder: Path
    code: int
    said: str
    seen: list[Any]


def run(place: Path, name: str, *overrides: str) -> Path:
    """A run that must end well, typed in `place`; its folder. All files of tests share a session.

    A run that fails ends the session, and so belongs into a command of its own.
    """
    done = job(place, name, *overrides)
    assert done.code == 0, done.said
    return done.folder


def job(place: Path, name: str, *overrides: str) -> Job:
    return _ask(SERVER, place, name, overrides)


def run_jobs(place: Path, jobs: list[list[str]]) -> tuple[list[Job], list[bool]]:
    """Jobs in a session of their own; and whether Ray runs before it is closed, and after."""
    server = Server("helpers.one_session", **OFFLINE)
    done = [_ask(server, place, f"job{number}", job) for number, job in enumerate(jobs)]
    return done, server.close()


def _ask(server: Server | SharedServer, place: Path, name: str, overrides: Any) -> Job:
    with tempfile.NamedTemporaryFile() as said:
        answer = server.ask(place=str(place), name=name, overrides=overrides, said=said.name)
        return Job(place / name, answer[0], Path(said.name).read_text("utf-8"), answer[1:])


@contextmanager
def _stderr_in(path: str) -> Iterator[None]:
    """What is printed as errors is in the file at `path`, also what C++ prints."""
    before, file = os.dup(2), os.open(path, os.O_WRONLY)
    try:
        os.dup2(file, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(before, 2)
        os.close(before)
        os.close(file)


def main() -> None:
    from helpers.configs import composed

    from imagepipe.execution import loading
    from imagepipe.execution.session import SharedSession, silence_ray

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what is printed is no answer
    silence_ray()
    import ray

    shared = SharedSession()
    always = loading.libraries(composed()) if "PRELOAD" in os.environ else []
    for line in sys.stdin:
        asked = json.loads(line)
        os.chdir(asked["place"])
        with _stderr_in(asked["said"]):
            answer = perform(shared, always, Path(asked["name"]).absolute(), asked["overrides"])
        print(json.dumps(answer), file=answers, flush=True)
    alive = ray.is_initialized()
    shared.close()
    print(json.dumps([alive, ray.is_initialized()]), file=answers, flush=True)


def perform(shared: Any, always: list[str], folder: Path, overrides: list[str]) -> list[Any]:
    """The exit code, then `Job.seen`."""
    import ray
    from helpers.configs import composed

    from imagepipe.cli.messages import plain_errors
    from imagepipe.execution import loading, run
    from imagepipe.execution.prepare import prepared

    try:
        with plain_errors():
            config = composed(*overrides)
            libraries = [*dict.fromkeys([*always, *loading.libraries(config)])]
            with (
                prepared(config, folder, overrides) as ready,
                shared.session(config.ray, ready.machine, libraries, verbose=config.verbose),
            ):
                context = ray.data.DataContext.get_current()
                callbacks = len(getattr(context, "custom_execution_callback_classes", []))
                session = ray.get_runtime_context().gcs_address
                actors = ray._private.state.actors().values()
                alive = [one["ActorClassName"] for one in actors if one["State"] == "ALIVE"]
                free = ray.available_resources()["CPU"]
                outcome = run.perform(ready, time.time())
                actors = ray._private.state.actors().values()
                known = [one["ActorClassName"] for one in actors]
            return [0, session, callbacks, alive, free, outcome.summary["written"], known]
    except SystemExit as end:
        return [end.code]


if __name__ == "__main__":
    main()
