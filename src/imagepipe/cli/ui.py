"""`imagepipe ui`: opens the runs in `outputs/` in MLflow, for this machine only. With a folder it
opens the gallery of that run, or the comparison of that sweep.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from imagepipe.cli import commands
from imagepipe.cli.messages import plainly
from imagepipe.config import Tracking
from imagepipe.errors import UserError
from imagepipe.signals import termination_as_interrupt
from imagepipe.tracking import check, moved
from imagepipe.tracking.address import SERVERS, Address, check_uri, default_uri, page, resolve

HOST = "127.0.0.1"
START_S = 120.0  # for the server's first answer; 5 s on an idle machine
END_S = 10.0  # for the server to end by itself before it is killed
# Its job runner would start a dozen processes and leave some behind.
QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
# A proxy for the network does not reach this machine.
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@plainly
def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 ended by Ctrl-C or SIGTERM, 2 there is nothing to show or no way to."""
    parser = commands.parser("ui", __doc__)
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        help="folder of a run or a sweep: opens its own page instead of MLflow",
    )
    parser.add_argument(
        "--outputs", type=Path, default=Path("outputs"), help="folder of the runs; default outputs"
    )
    parser.add_argument("--uri", help="another database, as in tracking.uri")
    parser.add_argument("--port", type=int, help="default: a free port")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    asked = parser.parse_args(arguments)
    if asked.folder is not None:
        _show(_page(asked.folder).as_uri(), asked.no_browser)
        return 0
    try:
        uri = store_of(asked.outputs, asked.uri)
        port = _port(asked.port)
        with termination_as_interrupt(), _server(uri, asked.outputs, port) as process:
            link = f"http://{HOST}:{port}{_runs(port)}"
            _show(f"{link}\nCtrl-C ends it.", asked.no_browser)
            process.wait()
            raise broken("the server has ended by itself")
    except KeyboardInterrupt:
        return 0


def _page(folder: Path) -> Path:
    """The gallery of the run in `folder`, or the comparison of the sweep. Raises UserError."""
    from imagepipe.reports import comparison, gallery

    for name in (gallery.PAGE, comparison.PAGE):
        if (folder / name).is_file():
            return (folder / name).absolute()
    raise UserError(
        field="ui",
        value=folder,
        problem=f"has no {gallery.PAGE} and no {comparison.PAGE}",
        remedy="Name the folder of a run that has ended, or of a sweep.",
    )


def _show(said: str, no_browser: bool) -> None:
    """Print `said`, and open the address in its first line."""
    print(said, flush=True)
    if not no_browser:
        webbrowser.open(said.partition("\n")[0])


def store_of(outputs: Path, uri: str | None) -> str:
    """The database to show; raises UserError if there is none."""
    uri = uri or default_uri(outputs)
    config = Tracking(name="typed", backend="mlflow", uri=uri)
    check_uri(config)
    asked = Address(uri, None)
    if uri.startswith(SERVERS):
        raise UserError(
            field="--uri",
            value=uri,
            problem="is a server already",
            remedy="Open it in a browser.",
        )
    if asked.sqlite_file and not asked.sqlite_file.is_file():
        raise UserError(
            field="--outputs",
            value=outputs,
            problem=f"holds no runs yet (no {asked.sqlite_file})",
            remedy="Make some with: python -m imagepipe. Or name the folder of yours.",
        )
    check(config, outputs)
    store = resolve(config, outputs)
    if store.sqlite_file:
        moved.follow(store.sqlite_file)
    return store.uri


def _port(asked: int | None) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, asked or 0))
        except (OSError, OverflowError) as error:
            raise UserError(
                field="--port",
                value=asked,
                problem=f"cannot be used ({getattr(error, 'strerror', None) or error})",
                remedy="Name another, or leave it out.",
            ) from error
        return probe.getsockname()[1]


@contextmanager
def _server(uri: str, outputs: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """MLflow's server, once it answers; it and its workers end with the block."""
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", HOST]
    command += ["--port", str(port), "--backend-store-uri", uri, "--no-serve-artifacts"]
    command += ["--default-artifact-root", (outputs.absolute() / "mlruns").as_uri()]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, start_new_session=True, env=os.environ | QUIET
        )
        try:
            _wait(process, port, log)
            yield process
        finally:
            _end(process)


def _wait(process: subprocess.Popen[bytes], port: int, log: IO[bytes]) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            log.seek(0)
            said = log.read().decode("utf-8", "replace").strip().splitlines()
            errors = [line for line in said if "error" in line.lower()] or said
            raise broken(errors[-1] if errors else f"exit code {process.returncode}")
        try:
            with DIRECTLY.open(f"http://{HOST}:{port}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise broken(f"no answer within {START_S:.0f} s")


def broken(why: str) -> UserError:
    return UserError(
        field="mlflow server",
        value=HOST,
        problem=f"does not run ({why})",
        remedy="Try again, or look at what `python -m mlflow server` says.",
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """The server and its workers are one process group."""
    for number, wait_s in ((signal.SIGTERM, END_S), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, number)
            process.wait(wait_s)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            return


def _runs(port: int) -> str:
    """The path of the page with the newest experiment's runs."""
    body = {"max_results": 2, "order_by": ["last_update_time DESC"]}
    request = urllib.request.Request(
        f"http://{HOST}:{port}/api/2.0/mlflow/experiments/search",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with DIRECTLY.open(request, timeout=60) as answer:
        found: list[dict[str, Any]] = json.load(answer)["experiments"]
    # MLflow makes "Default" itself, and nothing of ours is in it.
    own = [one["experiment_id"] for one in found if one["name"] != "Default"]
    return page(f"{(own or ['0'])[0]}/runs", {})


if __name__ == "__main__":
    sys.exit(main())
