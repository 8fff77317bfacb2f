"""Outputs that are moved or copied: the database, its artifacts and the journals stay together."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from helpers.tracked import begin, client, config, files, finish, with_database

from imagepipe.tracking import moved
from imagepipe.tracking.__main__ import main as send_later
from imagepipe.tracking.address import Address, resolve


def recorded(outputs: Path, name: str, **values) -> str:
    """The id of a run in `outputs/name` that has ended."""
    if not (outputs / "mlflow.db").exists():
        with_database(outputs)
    run = begin(outputs, name, config(**values))
    finish(run, outputs / name)
    assert run.run_id
    return run.run_id


def sent_again(folder: Path) -> None:
    """By a command of its own: MLflow remembers places for as long as a process lives."""
    command = [sys.executable, "-m", "imagepipe.tracking", str(folder)]
    subprocess.run(command, check=True, capture_output=True)


def test_a_moved_project_keeps_its_runs_and_gets_new_ones(tmp_path, logged):
    old, new = tmp_path / "a b#1", tmp_path / "new"
    first = recorded(old / "outputs", "first")
    old.rename(new)
    outputs = new / "outputs"
    second = recorded(outputs, "second")
    store = client(outputs)
    for run_id in (first, second):
        assert {"config.yaml", "gallery.html", "pictures.json"} <= set(files(store, run_id))
        assert store.get_run(run_id).info.artifact_uri.startswith(outputs.as_uri())
    sent_again(outputs / "first")
    assert len(store.search_runs([store.get_run(first).info.experiment_id])) == 2
    assert not old.exists() and not logged.text


@pytest.mark.parametrize("uri", [None, "sqlite:///own/x.db"])
def test_a_journal_remembers_the_way_to_its_database(tmp_path, monkeypatch, uri):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    monkeypatch.chdir(old)
    run = old / "outputs" / "run"
    store = resolve(config(uri=uri), Path("outputs")).to_journal(run)
    assert str(tmp_path) not in json.dumps(store)
    there = Address.of_journal(store, new / "outputs" / "run")
    folder = new / ("own" if uri else "outputs")
    assert there.sqlite_file == folder / ("x.db" if uri else "mlflow.db")
    assert there.artifacts == (folder / "mlruns").as_uri()


@pytest.mark.parametrize("uri", ["http://host:5000", "postgresql://host/db", "sqlite:////a/x.db"])
def test_a_journal_remembers_an_address_as_it_was_given(tmp_path, monkeypatch, uri):
    given = uri.replace("//a/", f"/{tmp_path}/")
    address = resolve(config(uri=given), tmp_path)
    assert Address.of_journal(address.to_journal(tmp_path / "run"), Path("/moved")) == address


def test_a_record_is_sent_elsewhere(tmp_path, capsys):
    recorded(tmp_path / "outputs", "run")
    (tmp_path / "outputs" / "run").rename(tmp_path / "run")
    assert send_later([str(tmp_path / "run")]) == 2
    assert "has no database beside it" in capsys.readouterr().err
    assert not (tmp_path / "mlflow.db").exists()
    other = tmp_path / "other"
    assert send_later([str(tmp_path / "run"), "--uri", f"sqlite:///{other}/mlflow.db"]) == 0
    [run] = client(other).search_runs(["1"])
    assert run.info.status == "FINISHED" and run.data.metrics["written"] == 10
    assert (other / "mlruns" / run.info.run_id / "artifacts" / "pictures.json").is_file()
    assert send_later([str(tmp_path / "run"), "--uri", "ftp://host"]) == 2


def planted(folder: Path, *places: str) -> Path:
    """A database with MLflow's two columns, an experiment and a run at each of `places`."""
    (folder / "mlruns").mkdir(parents=True)
    database = folder / "mlflow.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE experiments (artifact_location TEXT)")
        connection.execute("CREATE TABLE runs (artifact_uri TEXT)")
        for place in places:
            connection.execute("INSERT INTO experiments VALUES (?)", (place,))
            connection.execute("INSERT INTO runs VALUES (?)", (f"{place}/r1/artifacts",))
    return database


def places(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute("SELECT artifact_location FROM experiments").fetchall()
        runs = connection.execute("SELECT artifact_uri FROM runs").fetchall()
    assert [run for (run,) in runs] == [f"{place.rstrip('/')}/r1/artifacts" for (place,) in found]
    return [place for (place,) in found]


@pytest.mark.parametrize("gone", ["file:///no/such/mlruns", "/no/such/mlruns"])
def test_places_beside_a_database_follow_it(tmp_path, gone):
    database = planted(tmp_path / "here", gone)
    moved.follow(database)
    assert places(database) == [(tmp_path / "here" / "mlruns").as_uri()]


def test_a_copy_has_artifacts_of_its_own(tmp_path):
    original = planted(tmp_path / "one", (tmp_path / "one" / "mlruns").as_uri())
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    moved.follow(tmp_path / "two" / "mlflow.db")
    moved.follow(original)
    assert places(tmp_path / "two" / "mlflow.db") == [(tmp_path / "two" / "mlruns").as_uri()]
    assert places(original) == [(tmp_path / "one" / "mlruns").as_uri()]


def test_a_database_that_was_moved_alone_goes_on_beside_itself(tmp_path):
    place = (tmp_path / "old" / "mlruns").as_uri()
    old = planted(tmp_path / "old", place)
    (tmp_path / "new").mkdir()
    database = old.rename(tmp_path / "new" / "mlflow.db")
    moved.follow(database)
    assert places(database) == [place]  # where its artifacts still are
    shutil.rmtree(tmp_path / "old")
    moved.follow(database)
    assert places(database) == [(tmp_path / "new" / "mlruns").as_uri()]


def test_places_that_a_person_chose_stay(tmp_path):
    (tmp_path / "big" / "mlruns").mkdir(parents=True)
    chosen = [(tmp_path / "big" / "mlruns").as_uri(), "s3://bucket/mlruns", "file:///no/disk"]
    database = planted(tmp_path / "here", *chosen, "mlflow-artifacts:/1")
    moved.follow(database)
    assert places(database) == [*chosen, "mlflow-artifacts:/1"]


def test_tables_that_are_not_known_are_left_alone(tmp_path, logged):
    (tmp_path / "mlruns").mkdir()
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection, connection:
        connection.execute("CREATE TABLE other (place TEXT)")
    moved.follow(tmp_path / "mlflow.db")
    assert "another place" in logged.text
