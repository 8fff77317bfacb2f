"""What is told of a machine on which Ray could not start, before it is started."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.refusals import refusal

from imagepipe.errors import UserError
from imagepipe.execution import preflight
from imagepipe.resources.machine import Machine, Node

TINY = ["llm=none", "model=noop", "scorer=none", "limit=4", "tracking=none", "ray.num_cpus=2"]
MACHINE = Machine((Node(2, 0),))


@pytest.fixture
def short(tmp_path_factory):
    """A folder with a short path, as Ray needs it."""
    folder = Path(f"/tmp/imagepipe-{os.getpid()}")
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def test_the_folder_is_the_first_that_is_good(short, tmp_path):
    long = str(tmp_path / ("x" * 60))
    assert preflight.temp_folder({"RAY_TMPDIR": str(short), "TMPDIR": long}) == short
    assert preflight.temp_folder({"TMPDIR": str(short)}) == short
    assert preflight.temp_folder({"TMPDIR": long}) == Path("/tmp")
    assert preflight.temp_folder({}) == Path("/tmp")


def test_a_folder_that_was_chosen_is_not_replaced(short, tmp_path):
    with pytest.raises(UserError, match=r"RAY_TMPDIR=.*a path of more than 39 bytes") as caught:
        preflight.temp_folder({"RAY_TMPDIR": str(tmp_path / ("x" * 60))})
    assert "RAY_TMPDIR=FOLDER" in caught.value.remedy
    (short / "file").touch()
    with pytest.raises(UserError, match=r"cannot be written \(Not a directory\)"):
        preflight.temp_folder({"RAY_TMPDIR": str(short / "file" / "inside")})


def test_a_folder_of_rays_that_another_account_made_is_told(short):
    (short / "ray").mkdir()
    assert preflight.folder_trouble(short) is None
    assert list((short / "ray").iterdir()) == []
    (short / "ray").rmdir()
    (short / "ray").touch()  # what root cannot write into either
    said = "holds ray/, which cannot be written (Not a directory)"
    assert preflight.folder_trouble(short) == said


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs Linux's /proc")
def test_a_full_disk_is_said_with_what_is_free():
    assert preflight.folder_trouble(Path("/proc")) == "is full (0 MiB are free, 64 are needed)"


@pytest.mark.parametrize(("cpus", "room"), [(2, 150), (2, 0), (2, -5), (64, 1000)])
def test_too_few_processes_are_refused_with_the_number(cpus, room):
    with pytest.raises(UserError, match=rf"ulimit -u={room}: is the number.*on {cpus} CPUs"):
        preflight.check_processes(cpus, room)


def test_enough_processes_pass():
    preflight.check_processes(2, None)
    preflight.check_processes(2, 1000)


@pytest.mark.parametrize(("cpus", "room"), [(2, 64), (2, 0), (64, 1000)])
def test_too_few_open_files_are_refused_with_the_number(cpus, room):
    problem = "is the number of files that may be open at once; Ray needs"
    with pytest.raises(UserError, match=rf"ulimit -n={room}: {problem} .* on {cpus} CPUs"):
        preflight.check_files(cpus, room)


@pytest.mark.parametrize(
    ("addresses", "largest", "said"),
    [(3 << 30, None, "ulimit -v=3145728"), (None, 1 << 20, "ulimit -f=1024")],
    ids=["addresses", "file"],
)
def test_too_small_sizes_are_refused_with_the_number(addresses, largest, said):
    with pytest.raises(UserError, match=rf"^{said}: is too little for Ray, which needs \d+ KiB"):
        preflight.check_sizes(addresses, largest)
    preflight.check_sizes(4_096_000_000, 1 << 30)
    preflight.check_sizes(None, None)


def test_a_python_without_docstrings_is_refused():
    preflight.check_python(1)
    with pytest.raises(UserError, match="leaves out docstrings, without which Ray cannot start"):
        preflight.check_python(2)


def test_enough_open_files_pass():
    preflight.check_files(2, None)
    preflight.check_files(2, 128)
    room = preflight.file_room()
    assert room is None or room > 0


def test_shared_memory_that_cannot_be_written_is_refused(tmp_path):
    preflight.check_shared(tmp_path)
    (tmp_path / "file").touch()
    for name, why in (("file", "Not a directory"), ("none", "No such file")):
        with pytest.raises(UserError, match=rf"^shared memory=.* cannot be written \({why}"):
            preflight.check_shared(tmp_path / name)


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() == 0, reason="root is held to no limit of processes"
)
def test_the_accounts_own_limit_is_seen():
    code = "from imagepipe.execution import preflight; print(preflight.process_room())"
    command = ["prlimit", "--nproc=5000", sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 5000


def test_this_machine_reaches_itself():
    preflight.check_address("127.0.0.1")


def test_a_machine_that_does_not_reach_itself_is_refused():
    # Of TEST-NET-1 (RFC 5737): no machine has it, as none has 127.0.0.1 whose loopback is down.
    with pytest.raises(UserError, match=r"does not reach itself there \(.*lo up"):
        preflight.check_address("192.0.2.1")


def test_a_home_that_cannot_be_written_needs_no_token_there(tmp_path):
    assert preflight.home_is_usable(tmp_path)
    assert preflight.home_is_usable(tmp_path / "made" / "later")
    assert not preflight.home_is_usable(Path("/proc"))
    (tmp_path / "file").touch()
    assert not preflight.home_is_usable(tmp_path / "file" / "home")
    (tmp_path / ".ray" / "auth_token").write_text("a token")
    assert preflight.home_is_usable(tmp_path)


def test_what_ray_is_started_with(short, tmp_path, monkeypatch):
    given = {"RAY_TMPDIR": str(short)}
    monkeypatch.setenv("HOME", str(tmp_path))
    plain = {"RAY_TMPDIR": str(short), "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
    assert preflight.environment(MACHINE, given) == plain
    monkeypatch.setenv("HOME", "/proc")
    ours = preflight.environment(MACHINE, given)
    assert len(ours.pop("RAY_AUTH_TOKEN")) == 64 and ours == plain
    own = given | {"RAY_AUTH_TOKEN": "mine", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "1"}
    assert preflight.environment(MACHINE, own) == plain | {"RAY_ENABLE_UV_RUN_RUNTIME_ENV": "1"}


def test_advice_is_only_given_where_it_is_right(short):
    late = preflight.start_message("The node timed out during startup.", str(short))
    other = preflight.start_message("[Errno 12] Cannot allocate memory", str(short))
    assert "busy elsewhere" in late and "busy elsewhere" not in other
    for said in (late, other):
        assert "same command" not in said and f"{short}/ray/session_latest/logs" in said


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> subprocess.CompletedProcess[str]:
    """A run of an account that has no home and no GPU, with a long TMPDIR; a process dies in it."""
    where = tmp_path_factory.mktemp("bare")
    (where / ("x" * 60)).mkdir()
    lacks = {"HOME": "/dev/null", "TMPDIR": str(where / ("x" * 60))}
    kept = {name: value for name, value in os.environ.items() if name != "RAY_TMPDIR"}
    dies = ["model.engine=custom", "model._target_=helpers.failing_engines.Mortal"]
    dies.append(f"+model.options.died={where / 'died'}")
    return subprocess.run(
        [sys.executable, "-m", "imagepipe", *TINY, *dies],
        cwd=where,
        env=kept | lacks | {"CUDA_VISIBLE_DEVICES": "NoDevFiles"},
        capture_output=True,
        text=True,
    )


@pytest.mark.faults
def test_an_account_without_a_home_or_a_gpu_draws(bare):
    assert bare.returncode == 0, bare.stderr
    assert "0 GPUs" in bare.stderr and "4 written" in bare.stderr


@pytest.mark.faults
def test_what_ray_says_of_a_process_that_died_is_not_shown(bare):
    assert bare.returncode == 0
    assert "raylet" not in bare.stdout + bare.stderr and "\x1b" not in bare.stdout
    assert not bare.stdout


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("RAY_OVERRIDE_RESOURCES", "x", "is no JSON of numbers"),
        ("RAY_OVERRIDE_RESOURCES", "[1]", "is no JSON of numbers"),
        ("RAY_OVERRIDE_RESOURCES", '{"CPU": "4"}', "is no JSON of numbers"),
        ("RAY_num_workers_soft_limit", "x", "is no number"),
        ("RAY_gcs_server_request_timeout_seconds", "10s", "is no number"),
        ("RAY_NUM_REDIS_GET_RETRIES", "", "is no number"),
    ],
)
def test_variables_that_ray_cannot_read(name: str, value: str, problem: str) -> None:
    """It would end by a segmentation fault, or in its own words."""
    said = refusal(preflight.check_variables, {"HOME": "/x", name: value})
    assert said.startswith(f"{name}={value}: is read by Ray, and {problem}")
    assert said.endswith(". Correct it, or unset it.")


def test_other_variables_are_for_ray_to_judge() -> None:
    preflight.check_variables(
        {
            "RAY_OVERRIDE_RESOURCES": '{"CPU": 4, "mine": 0.5}',
            "RAY_num_workers_soft_limit": "6",
            "RAY_worker_register_timeout_seconds": "1.5",
            "RAY_TMPDIR": "/x",
            "RAY_ADDRESS": "x",
            "RAY_enable_autoscaler_v2": "true",
        }
    )
