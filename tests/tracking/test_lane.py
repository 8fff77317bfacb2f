"""What holds a run's record, and what is left out of it: a real server, which answers badly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.mlflow_proxy import Gateway
from helpers.mlflow_server import Server, history, journalled
from helpers.served import served
from helpers.tracked import begin, config, files, finish, with_database
from helpers.waiting import until

from imagepipe import tracking
from imagepipe.errors import UserError

WHOLE = {"config.yaml", "gallery.html", "pictures.json", "summary.json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("server"))
    made.start()
    yield made
    made.kill()


@pytest.fixture
def gateway(server) -> Iterator[Gateway]:
    with served(Gateway(server.uri)) as made:
        yield made


def recorded(uri: str, run_id: str):
    from mlflow import MlflowClient

    store = MlflowClient(uri)
    return store, store.get_run(run_id)


def ended_run(folder: Path, settings, **values) -> str:
    """The id of a run that recorded two figures and has ended."""
    run = begin(folder.parent, folder.name, settings, **values)
    run.metrics({"written": 1.0}, 1)
    run.metrics({"written": 2.0}, 2)
    finish(run, folder)
    assert run.run_id
    return run.run_id


@pytest.mark.parametrize(
    ("broken", "left"),
    [
        ({"mlflow-artifacts": 500}, "config.yaml"),  # a bucket without keys
        ({"runs/log-inputs": 404}, "dataset inputs"),  # an older server
        ({"runs/set-tag": 500}, "note"),
    ],
    ids=["bucket", "older", "tag"],
)
def test_a_step_that_fails_is_left_out_and_sent_again(
    server, gateway, tmp_path, logged, broken, left
):
    gateway.answers = broken
    run_id = ended_run(tmp_path / "run", config(uri=gateway.uri))
    store, run = recorded(server.uri, run_id)
    assert run.info.status == "FINISHED"
    assert history(store, run_id) == journalled(tmp_path / "run")
    assert left in logged.text and "send the rest later" in logged.text
    assert logged.text.count("did not take") <= 2  # by each lane once
    assert "doctype" not in logged.text

    with pytest.raises(UserError, match=f"does not accept the run.*{left}"):
        tracking.replay(tmp_path / "run")
    gateway.answers = {}
    tracking.replay(tmp_path / "run")
    store, run = recorded(server.uri, run_id)
    assert set(files(store, run_id)) >= WHOLE
    assert run.inputs.dataset_inputs and run.data.tags["mlflow.note.content"]
    assert run.info.status == "FINISHED"


@pytest.mark.parametrize("code", [503, 429])
def test_a_gateway_without_its_server_holds_the_metrics(server, gateway, tmp_path, logged, code):
    run = begin(tmp_path, "run", config(uri=gateway.uri))
    assert run.run_id
    gateway.answers = {"runs/log-batch": code}
    gateway.asked.clear()
    run.metrics({"written": 1.0}, 1)
    until(lambda: any("log-batch" in path for path in gateway.asked))
    gateway.answers = {}
    finish(run, tmp_path / "run")
    store, _ = recorded(server.uri, run.run_id)
    assert history(store, run.run_id) == journalled(tmp_path / "run")
    assert "send the rest later" not in logged.text


def test_a_server_that_knows_no_logged_models_gets_the_pictures(server, gateway, tmp_path, logged):
    gateway.answers = {"logged-models": 404}  # MLflow 2
    run_id = ended_run(tmp_path / "run", config(uri=gateway.uri))
    gateway.answers = {}
    store, run = recorded(server.uri, run_id)
    before = files(store, run_id)
    assert len([name for name in before if name.startswith("images/")]) == 6
    assert run.info.status == "FINISHED" and not logged.text
    tracking.replay(tmp_path / "run")
    assert files(store, run_id) == before


@pytest.mark.parametrize("seen", [False, True])
def test_a_server_that_keeps_artifacts_on_its_own_disk(server, gateway, tmp_path, logged, seen):
    """The server's disk is this one's: it is another's where the server does not find the file."""
    from mlflow import MlflowClient

    place = tmp_path / "srv" / "artifacts"
    MlflowClient(server.uri).create_experiment(f"disk {seen}", artifact_location=place.as_uri())
    gateway.answers = {} if seen else {"mlflow/artifacts/list": 200}
    run_id = ended_run(tmp_path / "run", config(uri=gateway.uri, experiment=f"disk {seen}"))
    _, run = recorded(server.uri, run_id)
    assert run.info.status == "FINISHED" and run.data.metrics["written"] == 10
    assert ("--serve-artifacts" in logged.text) is not seen
    assert (place / run_id / "artifacts" / "pictures.json").is_file() is seen
    assert place.exists() is seen  # what the server cannot see is not left there


def test_a_servers_disk_that_cannot_be_written_is_said_with_the_reason(server, tmp_path, logged):
    from mlflow import MlflowClient

    (tmp_path / "file").touch()
    place = tmp_path / "file" / "artifacts"
    MlflowClient(server.uri).create_experiment("no disk", artifact_location=place.as_uri())
    run_id = ended_run(tmp_path / "run", config(uri=server.uri, experiment="no disk"))
    _, run = recorded(server.uri, run_id)
    assert run.info.status == "FINISHED" and run.data.tags["mlflow.note.content"]
    assert f"{place}/{run_id}/artifacts (Not a directory)" in logged.text
    assert logged.text.count("did not take") == 1


def test_artifacts_that_have_no_place_come_later(tmp_path, logged):
    (with_database(tmp_path) / "mlruns").touch()  # in the way of the folder beside the database
    run_id = ended_run(tmp_path / "run", config())
    store, run = recorded(f"sqlite:///{tmp_path}/mlflow.db", run_id)
    assert run.info.status == "FINISHED"
    assert history(store, run_id) == journalled(tmp_path / "run")
    assert "Not a directory" in logged.text and "send the rest later" in logged.text
    (tmp_path / "mlruns").unlink()
    tracking.replay(tmp_path / "run")
    assert set(files(store, run_id)) >= WHOLE
