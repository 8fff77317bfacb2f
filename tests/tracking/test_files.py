"""A database's file is checked before the run, and made by nobody then."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from helpers.configs import composed
from helpers.tracked import config

from imagepipe import tracking
from imagepipe.errors import UserError
from imagepipe.execution.prepare import prepared
from imagepipe.sink.lock import leaving_nothing


def nothing(path: Path) -> None:
    pass


def empty(path: Path) -> None:
    path.touch()


def database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as made:
        made.execute("create table runs (id)")


def deeper(path: Path) -> None:
    path.parent.rmdir()


@pytest.mark.parametrize("made", [nothing, empty, database, deeper])
def test_a_file_that_can_be_a_database_passes(tmp_path: Path, made: Callable[[Path], None]):
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    made(outputs / "mlflow.db")
    before = sorted(tmp_path.rglob("*"))
    tracking.check(config(), outputs)
    tracking.check(config(uri=f"sqlite:///{outputs}/mlflow.db"), tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def folder(path: Path) -> None:
    path.mkdir()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def text(path: Path) -> None:
    path.write_text("my notes")


def dump(path: Path) -> None:
    path.write_text("PRAGMA foreign_keys=OFF; BEGIN TRANSACTION;")


def link_to_a_folder(path: Path) -> None:
    path.symlink_to(path.parent)


def in_a_file(path: Path) -> None:
    path.parent.rmdir()
    path.parent.touch()


def own_circle(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (folder, "it is a folder or a device, not a file"),
        (pipe, "it is a folder or a device, not a file"),
        (link_to_a_folder, "it is a folder or a device, not a file"),
        (text, "it is a file, but not a sqlite database"),
        (dump, "it is a file, but not a sqlite database"),
        (in_a_file, "(File exists)"),
        (own_circle, "(Too many levels of symbolic links)"),
    ],
)
@pytest.mark.parametrize("named", [False, True], ids=["default", "named"])
def test_what_is_no_database_is_refused(
    tmp_path: Path, made: Callable[[Path], None], problem: str, named: bool
):
    path = tmp_path / "outputs/mlflow.db"
    path.parent.mkdir()
    made(path)
    uri = f"sqlite:///{path}" if named else None
    with pytest.raises(UserError) as refused:
        tracking.check(config(uri=uri), path.parent)
    error = refused.value
    assert (error.field, error.value) == ("tracking.uri", f"sqlite:///{path}")
    assert problem in error.problem and "another file: tracking.uri=sqlite:" in str(error.remedy)
    tracking.check(config(uri=uri, backend="none"), path.parent)


def test_a_place_of_the_system_is_refused():
    """Which root may not write to, either."""
    with pytest.raises(UserError, match=r"database \(No such file or directory\)"):
        tracking.check(config(uri="sqlite:////proc/self/new/mlflow.db"), Path())
    with pytest.raises(UserError, match="null"):
        tracking.check(config(uri="sqlite:////tmp/a%00b.db"), Path())


def test_a_run_is_refused_before_ray_starts(tmp_path: Path):
    (tmp_path / "outputs/mlflow.db").mkdir(parents=True)
    typed = ["llm=none", "model=noop", "scorer=none", "limit=2", f"outputs={tmp_path}/outputs"]
    with (
        pytest.raises(UserError, match=r"tracking\.uri=.*it is a folder"),
        leaving_nothing("hydra.run.dir", tmp_path / "outputs/run"),
        prepared(composed("tracking=mlflow", *typed), tmp_path / "outputs/run", typed),
    ):
        pass
    assert os.listdir(tmp_path / "outputs") == ["mlflow.db"]
