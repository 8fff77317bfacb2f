"""Runs that are stopped or broken, what they say, and that the command they print goes on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.command import Command, imagepipe, parts, resume_command, summary, table

ROWS = 24
SLOW = [
    "model=noop",
    "model.engine=custom",
    "model._target_=helpers.painters.Slow",
    "model.width=16",
]
SLOW += ["model.height=16", "llm=none", "scorer=none", f"limit={ROWS}"]
SLOW += ["resources.rows_per_block=2", "resources.model.batch_size=2", "resources.model.pool=1"]
SLOW += ["tracking.system_metrics=false", "sink.gallery_images=4"]


@pytest.fixture
def slow(command: Callable[..., Command], tmp_path: Path) -> Iterator[Callable[..., Command]]:
    """A run into `out` that takes its time while the file `slow` is there."""
    options = [f"+model.options.{name}={tmp_path / name}" for name in ("slow", "bad")]
    (tmp_path / "slow").touch()

    def run(*overrides: str) -> Command:
        return command(f"hydra.run.dir={tmp_path / 'out'}", *SLOW, *options, *overrides)

    return run


@pytest.fixture
def goes_on(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Types what a run said to go on with; all rows must be there once. Gives the summary."""

    def check(said: str, *overrides: str) -> dict[str, Any]:
        (tmp_path / "slow").unlink(missing_ok=True)
        again = imagepipe(tmp_path, *resume_command(said), *overrides)
        assert again.returncode == 0, again.stderr
        assert ids(tmp_path / "out") == sorted(set(ids(tmp_path / "out")))
        assert len(ids(tmp_path / "out")) == ROWS
        assert summary(tmp_path / "out")["status"] == "FINISHED"
        return summary(tmp_path / "out")

    return check


def ids(out: Path) -> list[str]:
    return [row["id"] for row in table(out)]


@pytest.mark.faults
@pytest.mark.ray_release
def test_ctrl_c_finishes_what_is_begun_and_the_printed_command_goes_on(
    tmp_path, slow, goes_on, record
):
    """In a terminal Ctrl-C reaches every process of the group. One MLflow run holds it all."""
    from mlflow import MlflowClient

    out, bad = tmp_path / "out", tmp_path / "bad"
    bad.touch()
    first = slow("+model.options.seconds=1.5", "+model.options.hates=panda")
    first.until(lambda: parts(out) >= 2, "pictures")
    refused = imagepipe(tmp_path, f"resume={out}")
    assert refused.returncode == 2
    assert "is being written by another command right now" in refused.stderr
    os.killpg(first.process.pid, signal.SIGINT)
    first.until(lambda: "stopping: " in first.said, "the word that it stops")
    (tmp_path / "slow").unlink()
    code, said = first.wait()
    assert code == 130
    assert "stopping: the pictures under way are finished first" in said
    assert "Traceback" not in said
    before = summary(out)
    assert before["status"] == "KILLED"
    assert 0 < before["written"] == len(ids(out)) < ROWS
    assert not list(out.glob("images/.*"))

    wrong = imagepipe(tmp_path, f"resume={out}", "model.width=32")
    assert wrong.returncode == 2
    assert "model.width=32: the run in" in wrong.stderr
    assert "began with model.width=16" in wrong.stderr

    again = imagepipe(tmp_path, *resume_command(said), "ray.num_cpus=2")
    assert again.returncode == 0, again.stderr
    middle = summary(out)
    assert middle["already_done"] == before["written"]
    assert middle["written"] + middle["already_done"] + middle["failed"] == ROWS
    assert middle["failed"] > 0
    bad.unlink()
    last = goes_on(said, "retry_failed=true")
    assert (last["failed"], last["written"]) == (0, middle["failed"])
    assert not (out / "failed.parquet").exists()
    assert len({one["mlflow"]["run_id"] for one in (before, middle, last)}) == 1

    nothing = imagepipe(tmp_path, *resume_command(said))
    assert nothing.returncode == 0
    assert f"all {ROWS} rows are done; nothing is left to do" in nothing.stderr
    client = MlflowClient(f"sqlite:///{tmp_path / 'outputs' / 'mlflow.db'}")
    found = client.get_run(last["mlflow"]["run_id"])
    assert found.info.status == "FINISHED"
    assert found.data.metrics["already_done"] == ROWS - middle["failed"]
    assert len(client.search_runs([found.info.experiment_id])) == 1
    record("Ctrl-C", victim="all", rows=ROWS, held=True)


@pytest.mark.faults
def test_an_engine_that_hangs_ends_the_run(tmp_path, slow, goes_on, record):
    (tmp_path / "bad").touch()
    hangs = ["+model.options.hangs=panda", "+model.options.seconds=0"]
    code, said = slow("ray.progress_timeout_s=20", "tracking=none", *hangs).wait()
    assert code == 1
    assert "nothing has moved for ray.progress_timeout_s=20 s" in said
    assert "(model)" in said
    assert "Traceback" not in said
    (tmp_path / "bad").unlink()
    before = len(ids(tmp_path / "out"))
    assert goes_on(said)["already_done"] == before
    record("engine hangs", victim="model", rows=ROWS, held=True)


def hanging(slow: Callable[..., Command], bad: Path) -> Command:
    """A run that waits for a picture that does not come as long as there is `bad`."""
    bad.touch()
    run = slow("+model.options.hangs=panda", "+model.options.seconds=0", "tracking=none")
    run.until(bad.read_text, "the picture that does not come")
    return run


@pytest.mark.faults
def test_ctrl_c_twice_stops_at_once(tmp_path, slow, goes_on, record):
    first = hanging(slow, tmp_path / "bad")
    first.process.send_signal(signal.SIGINT)
    first.until(lambda: "stopping: " in first.said, "the word that it stops")
    first.process.send_signal(signal.SIGINT)
    code, said = first.gone()
    assert code == 130
    assert "Traceback" not in said
    (tmp_path / "bad").unlink()
    goes_on(said, "tracking=none")
    record("Ctrl-C twice", victim="driver", rows=ROWS, held=True)


@pytest.mark.faults
def test_sigterm_stops_within_its_time(tmp_path, slow, goes_on, record):
    """A spot machine: what takes longer than the time of grace is left, and drawn again."""
    first = hanging(slow, tmp_path / "bad")
    first.process.terminate()
    code, said = first.gone()
    assert code == 130
    assert "Traceback" not in said
    (tmp_path / "bad").unlink()
    goes_on(said, "tracking=none")
    record("SIGTERM", victim="driver", rows=ROWS, held=True)


@pytest.mark.faults
def test_a_folder_that_is_gone_ends_the_run(tmp_path, slow, goes_on, record):
    """To root modes mean nothing: a file in place of the folder is what cannot be written."""
    out = tmp_path / "out"
    first = slow("+model.options.seconds=1", "tracking=none")
    first.until(lambda: parts(out) >= 1, "pictures")
    (out / "images").rename(out / "away")
    (out / "images").touch()
    code, said = first.wait()
    assert code == 1
    assert "Traceback" not in said
    (out / "images").unlink()
    (out / "away").rename(out / "images")
    goes_on(said, "tracking=none")
    record("folder not writable", victim="images", rows=ROWS, held=True)


@pytest.mark.faults
def test_a_full_disk_ends_the_run(tmp_path, slow, goes_on, record):
    """A file system of 2 MB where the pictures go; room is made, and the run goes on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.system(f"mount -t tmpfs -o size=2m tmpfs {disk} 2>/dev/null"):
        pytest.skip("needs the right to mount a file system")
    try:
        big = ["model.width=512", "model.height=512", f"hydra.run.dir={disk / 'out'}"]
        (disk / "ballast").write_bytes(bytes(1_900_000))
        code, said = slow(*big, "tracking=none", "+model.options.seconds=0").wait()
        assert code == 1
        assert "No space left on device" in said
        assert "Traceback" not in said
        (disk / "ballast").unlink()
        again = imagepipe(tmp_path, *resume_command(said))
        assert again.returncode == 0, again.stderr
        assert len(ids(disk / "out")) == ROWS
        record("disk full", victim="sink", rows=ROWS, held=True)
    finally:
        os.system(f"umount -l {disk}")


@pytest.mark.faults
def test_an_actor_that_dies_costs_no_row(tmp_path, slow, record):
    first = slow("+model.options.seconds=1", "tracking=none")
    first.until(lambda: parts(tmp_path / "out") >= 1, "pictures")
    for process in first.processes("(model)"):
        process.kill()
    (tmp_path / "slow").unlink()
    code, said = first.wait()
    assert code == 0, said
    assert len(set(ids(tmp_path / "out"))) == len(ids(tmp_path / "out")) == ROWS
    record("actor dies", victim="model", rows=ROWS, held=True)


@pytest.mark.faults
def test_a_worker_that_is_killed_costs_no_row(tmp_path, slow, record):
    first = slow("+model.options.seconds=1", "tracking=none")
    first.until(lambda: parts(tmp_path / "out") >= 1, "pictures")
    for process in first.processes("ray::IDLE", "ray::MapBatches(write)"):
        process.kill()
    (tmp_path / "slow").unlink()
    code, said = first.wait()
    assert code == 0, said
    assert len(set(ids(tmp_path / "out"))) == len(ids(tmp_path / "out")) == ROWS
    record("worker killed", victim="write", rows=ROWS, held=True)


@pytest.mark.faults
def test_whatever_breaks_after_the_last_picture_the_run_has_an_end(tmp_path, record):
    """A part of the table that cannot be read is no error of the operating system's."""
    from mlflow import MlflowClient

    out = tmp_path / "out"
    (out / "table").mkdir(parents=True)
    spoils = ["model.engine=custom", "model._target_=helpers.painters.Spoiling"]
    spoils.append(f"+model.options.part={out / 'table' / 'part-zzzz.parquet'}")
    done = imagepipe(tmp_path, f"hydra.run.dir={out}", *SLOW, *spoils)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "magic bytes" in done.stderr
    client = MlflowClient(f"sqlite:///{tmp_path / 'outputs' / 'mlflow.db'}")
    (run,) = client.search_runs(["1"])
    assert run.info.status == "FAILED"
    record("a broken part", victim="table", rows=ROWS, held=True)
