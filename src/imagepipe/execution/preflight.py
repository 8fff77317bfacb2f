"""What Ray needs of a machine: checked before Ray starts, with a remedy.

Without it Ray waits for minutes, or ends with a misleading error.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from imagepipe.errors import UserError
from imagepipe.resources import limits
from imagepipe.resources.machine import LEAST_STORE, PROCESS_BYTES, Machine

LOOPBACK = "127.0.0.1"
CONNECT_S = 5.0  # for a connection to this machine itself
FREE_BYTES = 64 << 20  # Ray's logs and sockets, of one run
# Of a socket's path, 107 bytes (unix(7)), Ray's own part takes these:
# /ray/session_2026-01-31_12-00-00_123456_1234567/sockets/plasma_store
LONGEST_FOLDER = 107 - 68
RAYS = "ray"  # what Ray makes there, for all accounts; not every one may use another's
# A run with all of the embedded models has 328 processes and threads at its height on 2 CPUs, and
# dies halfway where 275 are allowed. Ray starts a process a CPU.
THREADS, THREADS_PER_CPU = 300, 25
FILES, FILES_PER_CPU = 64, 16  # open at once in Ray's own processes: 90 are enough on 2 CPUs
RESOURCES = "RAY_OVERRIDE_RESOURCES"
# Ray's settings have the names of its ray_config_def.h, and units at their ends; a few are read in
# Python without a look (ray_constants.py).
NUMBER = re.compile(
    "RAY_([a-z0-9_]+_(ms|milliseconds|s|seconds|bytes|limit|size|retries|count|threads|threshold)|"
    "LOG_MONITOR_MAX_OPEN_FILES|LOG_MONITOR_NUM_LINES_TO_READ|NUM_REDIS_GET_RETRIES)"
)
SHARED = Path("/dev/shm")  # where Ray keeps what goes from process to process


def environment(machine: Machine, given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables to start Ray on this machine with, besides those `given`.

    Raises UserError if it could not start here.
    """
    check_python(sys.flags.optimize)
    check_variables(given)
    check_address(LOOPBACK)
    check_processes(machine.cpus, process_room())
    check_files(machine.cpus, file_room())
    check_sizes(limits.own_limit("RLIMIT_AS"), limits.own_limit("RLIMIT_FSIZE"))
    if sys.platform == "linux":
        check_shared(SHARED)
    ours = {
        "RAY_TMPDIR": str(temp_folder(given)),
        # Under `uv run` Ray would pack the current folder, pictures and all, for its processes.
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": given.get("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0"),
    }
    if not given.keys() & {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} and not home_is_usable():
        ours["RAY_AUTH_TOKEN"] = _token()
    return ours


def check_python(optimize: int) -> None:
    """Raise UserError where Python leaves docstrings out, which Ray reads while it starts."""
    if optimize >= 2:
        raise UserError(
            field="PYTHONOPTIMIZE",
            value=optimize,
            problem="leaves out docstrings, without which Ray cannot start",
            remedy="Unset it, and start Python without -OO; -O is no trouble",
        )


def check_variables(given: Mapping[str, str]) -> None:
    """Raise UserError for a variable of Ray's that it cannot read: it then ends, also by a
    segmentation fault.
    """
    for name, value in given.items():
        number = NUMBER.fullmatch(name) and not _is_number(value)
        if number or (name == RESOURCES and value and not _are_resources(value)):
            raise UserError(
                field=name,
                value=value,
                problem="is read by Ray, and is no number"
                if number
                else 'is read by Ray, and is no JSON of numbers, as {"CPU": 4} is',
                remedy="Correct it, or unset it.",
            )


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _are_resources(text: str) -> bool:
    try:
        found = json.loads(text)
    except ValueError:
        return False
    return isinstance(found, dict) and all(isinstance(one, int | float) for one in found.values())


@cache
def _token() -> str:
    """One per process, because Ray reads it once. It need not live longer than the Ray that it
    starts.
    """
    return secrets.token_hex(32)


def temp_folder(given: Mapping[str, str]) -> Path:
    """The first folder that Ray can use.

    RAY_TMPDIR is the user's choice for Ray; TMPDIR, meant for all programs, is often too long.
    """
    named = {name: given[name] for name in ("RAY_TMPDIR", "TMPDIR") if given.get(name)}
    if "RAY_TMPDIR" in named:
        candidates = {"RAY_TMPDIR": named["RAY_TMPDIR"]}
    else:
        candidates = named | {"the temporary folder": "/tmp"}
    troubles = {name: folder_trouble(Path(folder)) for name, folder in candidates.items()}
    for name, trouble in troubles.items():
        if trouble is None:
            return Path(candidates[name]).absolute()
    name, trouble = next(iter(troubles.items()))
    raise UserError(
        field=name,
        value=candidates[name],
        problem=f"{trouble}, so that Ray could not start: its sockets and logs lie there",
        remedy="Name another folder, with a short path and room: RAY_TMPDIR=FOLDER",
    )


def folder_trouble(folder: Path) -> str | None:
    """Why Ray cannot have its sockets and logs in `folder`; null if it can."""
    if len(os.fsencode(folder.absolute())) > LONGEST_FOLDER:
        return f"has a path of more than {LONGEST_FOLDER} bytes"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return f"cannot be written ({error.strerror})"
    if free < FREE_BYTES:
        return f"is full ({free >> 20} MiB are free, {FREE_BYTES >> 20} are needed)"
    for place, which in ((folder, ""), (folder / RAYS, f"holds {RAYS}/, which ")):
        try:
            tempfile.TemporaryDirectory(prefix="imagepipe-", dir=place).cleanup()
        except FileNotFoundError:  # Ray makes its own
            continue
        except OSError as error:
            return f"{which}cannot be written ({error.strerror})"
    return None


def check_processes(cpus: float, room: int | None) -> None:
    """Raise UserError if a run would need more processes and threads than `room`."""
    needed = int(THREADS + THREADS_PER_CPU * cpus)
    if room is not None and room < needed:
        raise UserError(
            field="ulimit -u",
            value=room,
            problem="is the number of processes and threads that may still be started; Ray needs "
            f"{needed} on {cpus:g} CPUs",
            remedy="Raise it (ulimit -u, a container's --pids-limit), end other programs, or use "
            "fewer CPUs: ray.num_cpus=1",
        )


def check_files(cpus: float, room: int | None) -> None:
    """Raise UserError if a process may not open as many files as Ray's do."""
    needed = int(FILES + FILES_PER_CPU * cpus)
    if room is not None and room < needed:
        raise UserError(
            field="ulimit -n",
            value=room,
            problem=f"is the number of files that may be open at once; Ray needs {needed} on "
            f"{cpus:g} CPUs",
            remedy="Raise it (ulimit -n, a container's --ulimit nofile=1024), or use fewer CPUs: "
            "ray.num_cpus=1",
        )


def check_sizes(addresses: int | None, largest: int | None) -> None:
    """Raise UserError if Ray's smallest object store cannot be mapped in the bytes of `addresses`,
    or be a file of `largest` bytes.
    """
    for option, limit, needed in (
        ("ulimit -v", addresses, PROCESS_BYTES + 2 * LEAST_STORE),
        ("ulimit -f", largest, 2 * LEAST_STORE),
    ):
        if limit is not None and limit < needed:
            raise UserError(
                field=option,
                value=limit >> 10,
                problem=f"is too little for Ray, which needs {needed >> 10} KiB",
                remedy=f"Raise it: {option} unlimited",
            )


def file_room() -> int | None:
    """How many files a process may have open at most; null: no limit."""
    return limits.own_limit("RLIMIT_NOFILE", hard=True)  # Ray's processes raise theirs to it


def check_shared(folder: Path) -> None:
    """Raise UserError if the folder of shared memory is missing or cannot be written."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(
            field="shared memory",
            value=folder,
            problem=f"cannot be written ({error.strerror}); Ray's processes share their data there",
            remedy=f"Mount it: mount -t tmpfs -o mode=1777 tmpfs {folder}. Or start the container "
            "with --shm-size=2g",
        ) from error


def process_room(root: Path = limits.ROOT) -> int | None:
    """How many more processes and threads this account and its groups may have; null: no limit."""
    rooms = [_account_room(), limits.process_room(root)]
    return min((room for room in rooms if room is not None), default=None)


def _account_room() -> int | None:
    import psutil

    limit = limits.own_limit("RLIMIT_NPROC")
    if limit is None or os.geteuid() == 0:  # root is not held to it
        return None
    mine = psutil.process_iter(["uids", "num_threads"])
    infos = [one.info for one in mine if one.info["uids"] and one.info["uids"].real == os.getuid()]
    return limit - sum(info["num_threads"] or 1 for info in infos)


def check_address(address: str) -> None:
    """Raise UserError if this machine does not reach itself."""
    try:
        with socket.create_server((address, 0)) as server:
            socket.create_connection(server.getsockname(), CONNECT_S).close()
    except OSError as error:
        raise UserError(
            field="network",
            value=address,
            problem=f"this machine does not reach itself there ({error.strerror or error}), and "
            "Ray's processes talk to each other by it",
            remedy="Bring it up: ip link set lo up. Or run where there is one",
        ) from error


def home_is_usable(home: Path | None = None) -> bool:
    """Whether Ray finds its token in the home folder, or can make one there."""
    try:
        folder = (home or Path.home()) / ".ray"
        if (folder / "auth_token").is_file():
            return os.access(folder / "auth_token", os.R_OK)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except (OSError, RuntimeError):  # read-only; no home at all
        return False


def start_message(said: str, folder: str) -> str:
    """The message if Ray did not start in `folder` and `said` why."""
    busy = "timed out" in said.lower() or "timeout" in said.lower()
    why = " It allows itself 30 s: the machine may be busy elsewhere." if busy else ""
    return (
        f"Ray did not start on this machine: {said.rstrip('.')}.{why} Nothing was drawn. Ray's own "
        f"words are in {folder}/ray/session_latest/logs."
    )
