"""Commands in processes that are forked of one that has loaded what they import.

That is 3 s of CPU a command. All else is as in a process of its own: its arguments, environment,
folder and streams, how it ends, and what it starts.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from helpers.asking import Server

LIBRARIES = [
    *("imagepipe.cli.run", "imagepipe.cli.plan", "imagepipe.execution.sweep", "ray.data"),
    *("mlflow.store.tracking.sqlalchemy_store", "alembic.command", "polars", "jinja2", "PIL.Image"),
]
# What differs from test to test, and is read when it is needed. Any other variable may be read by
# a library as it is loaded.
READ_LATE = ("AWS_", "PYTEST_")
OFFLINE = {"HF_HUB_OFFLINE": "1"}
SERVER = Server("helpers.warm", **OFFLINE)


def command(
    folder: Path, *arguments: str, module: str = "imagepipe"
) -> subprocess.CompletedProcess[str]:
    """`python -m MODULE ARGUMENTS`, as a person types it in `folder`, without a way to the hub.

    In an environment other than the one that the server has it is a process of its own.
    """
    typed = [sys.executable, "-m", module, *arguments]
    environment = os.environ | OFFLINE
    SERVER.start()
    if _early(environment) != _early(SERVER.environment):
        return subprocess.run(
            typed, cwd=folder, capture_output=True, text=True, env=environment, check=False
        )
    with tempfile.TemporaryDirectory() as place:
        streams = [os.devnull, f"{place}/out", f"{place}/err"]
        code = SERVER.ask(
            module=module,
            arguments=arguments,
            folder=str(folder),
            environment=environment,
            streams=streams,
        )
        out, err = (Path(stream).read_text("utf-8") for stream in streams[1:])
    return subprocess.CompletedProcess(typed, code, out, err)


def _early(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(READ_LATE)}


def main() -> None:
    from helpers.configs import composed

    from imagepipe.execution.session import silence_ray

    silence_ray()  # so verbose=true shows less of Ray here
    for library in LIBRARIES:
        importlib.import_module(library)
    composed("seed=1")  # Hydra's parser is slow until it has read something
    gc.freeze()
    for line in sys.stdin:
        if (child := os.fork()) == 0:
            become(json.loads(line))
            break
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def become(asked: dict[str, Any]) -> None:
    """Do in this process what is asked, which mostly ends it."""
    for number, stream in enumerate(asked["streams"]):
        file = os.open(stream, os.O_RDWR | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.path[0] = asked["folder"]
    sys.argv = [asked["module"], *asked["arguments"]]
    runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
