from __future__ import annotations

import json
import logging
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.mlflow_server import Server, history, journalled
from helpers.tracked import (
    PICTURES,
    SUMMARY,
    begin,
    client,
    config,
    files,
    finish,
    picture,
    with_database,
)
from helpers.waiting import until

from imagepipe import tracking
from imagepipe.config import Tracking
from imagepipe.errors import UserError
from imagepipe.shell import python
from imagepipe.sink.results import Picture
from imagepipe.tracking.__main__ import main as send_later
from imagepipe.tracking.address import resolve
from imagepipe.tracking.journal import Journal


@pytest.fixture(scope="module")
def outputs(tmp_path_factory) -> Path:
    return with_database(tmp_path_factory.mktemp("outputs"))


@pytest.mark.mlflow_release
def test_a_run_is_recorded_whole(outputs, logged):
    folder = outputs / "whole"
    run = begin(outputs, "whole", config(run_name="first"))
    for step in range(3):
        run.metrics({"written": step * 5.0, "images_per_s": 2.0}, step)
    finish(run, folder)

    store = client(outputs)
    record = store.get_run(run.run_id)
    assert record.info.status == "FINISHED"
    assert record.info.run_name == "first"
    assert record.data.params == {"model": "tiny"}
    assert record.data.tags["kind"] == "test"
    assert record.data.tags["mlflow.note.content"] == (
        r"&lt;b&gt;12&lt;&#47;b&gt; rows of \*cats\*"
    )
    assert record.data.metrics == {
        "rows_read": 12,
        "written": 10,
        "failed": 2,
        "images_per_s": 2,
        "images_per_s/end_to_end": 2.5,
        "images_per_s/steady": 4,
        "stage/llm/rows_per_s": 7,
        "stage/llm/utilisation": 0.5,
    }
    found = history(store, run.run_id)
    assert found == journalled(folder)
    assert {step for key, _, step, _ in found if key == "written"} == {0, 1, 2}
    assert {(value, step) for key, value, step, _ in found if key == "rows_read"} == {(12, 0)}
    artifacts = files(store, run.run_id)
    assert {"config.yaml", "gallery.html", "pictures.json", "summary.json"} <= set(artifacts)
    samples = [name.split("+")[0] for name in artifacts if name.endswith("compressed.webp")]
    assert samples == [f"images/sample~{number:02d}" for number in range(3)]
    assert run.run_id in run.url and "imagepipe ui" in run.url
    assert not [record for record in logged.records if record.levelno >= logging.WARNING]


def test_an_experiment_can_be_named_by_its_id(outputs):
    first = begin(outputs, "named", config(experiment="team"))
    second = begin(outputs, "by-id", config(experiment=first.experiment_id))
    assert second.experiment_id == first.experiment_id
    third = begin(outputs, "new", config(experiment="4711"))
    assert client(outputs).get_experiment(third.experiment_id).name == "4711"
    for run, name in ((first, "named"), (second, "by-id"), (third, "new")):
        finish(run, outputs / name)


def test_the_store_lies_under_outputs_whatever_the_current_folder(outputs, monkeypatch, tmp_path):
    monkeypatch.chdir(outputs.parent)
    run = begin(Path(outputs.name), "relative", config())
    assert run.run_id
    monkeypatch.chdir(tmp_path)
    finish(run, outputs / "relative")
    store = client(outputs)
    assert store.get_run(run.run_id).info.artifact_uri.startswith(f"file://{outputs}/mlruns/")
    assert (outputs / "mlruns" / run.run_id / "artifacts" / "summary.json").is_file()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["c#1", "q?1 p%20q 50%"])
def test_the_store_lies_there_whatever_the_folders_name(tmp_path, name):
    outputs = with_database(tmp_path / name)
    run = begin(outputs, "run", config())
    assert run.run_id
    finish(run, outputs / "run")
    assert (outputs / "mlflow.db").is_file()
    assert (outputs / "mlruns" / run.run_id / "artifacts" / "summary.json").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    asked = shlex.split(run.url.partition("   then ")[0])
    again = begin(outputs, "again", config(uri=asked[asked.index("--uri") + 1]))
    assert again.experiment_id == run.experiment_id
    finish(again, outputs / "again")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_database_is_named_as_sqlalchemy_has_it(tmp_path):
    for typed, name in (("a b#1", "a b#1"), ("p%20q", "p q"), ("q%3F", "q?")):
        address = resolve(config(uri=f"sqlite:///{tmp_path}/{typed}/x.db"), tmp_path)
        assert address.sqlite_file == tmp_path / name / "x.db"
        assert address.sqlite_file.parent.is_dir()


def test_an_empty_uri_is_none(tmp_path):
    tracking.check(config(uri=""), Path())
    assert resolve(config(uri=""), tmp_path) == resolve(config(), tmp_path)


def test_dataset_inputs_are_shown_without_their_passwords(outputs):
    run = begin(outputs, "datasets", config())
    finish(run, outputs / "datasets")
    [given] = client(outputs).get_run(run.run_id).inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("animals", "d1")
    assert json.loads(given.dataset.source)["uri"] == "s3://shop/animals.csv"
    assert json.loads(given.dataset.profile) == {"num_rows": 12}
    assert "secret" not in (outputs / "datasets" / tracking.JOURNAL).read_text()


@pytest.mark.mlflow_release
def test_the_table_has_exactly_prompt_and_image(outputs):
    run = begin(outputs, "table", config())
    finish(run, outputs / "table")
    path = outputs / "mlruns" / run.run_id / "artifacts" / "pictures.json"
    table = json.loads(path.read_text())
    assert table["columns"] == ["prompt", "image"]
    assert [row[0] for row in table["data"]] == [picture.base_prompt for picture in PICTURES[:3]]


@pytest.mark.mlflow_release
def test_replaying_twice_changes_nothing(outputs):
    run = begin(outputs, "twice", config())
    run.metrics({"written": 1.0}, 0)
    finish(run, outputs / "twice", "FAILED")
    store = client(outputs)

    def state():
        info = store.get_run(run.run_id).info
        return info.status, info.end_time, history(store, run.run_id), files(store, run.run_id)

    before = state()
    assert before[0] == "FAILED"
    assert tracking.replay(outputs / "twice") == run.url
    assert tracking.replay(outputs / "twice") == run.url
    assert state() == before


@pytest.mark.mlflow_release
def test_a_resumed_run_goes_on_with_its_record(outputs, logged):
    first = begin(outputs, "resumed", config())
    first.metrics({"written": 1.0}, 1)
    finish(first, outputs / "resumed", "KILLED")
    (outputs / "resumed" / "summary.json").unlink()  # as a run does that is gone on with
    second = begin(outputs, "resumed", config())
    assert second.run_id == first.run_id
    assert client(outputs).get_run(first.run_id).info.status == "RUNNING"
    second.metrics({"written": 2.0}, 2)
    finish(second, outputs / "resumed")
    assert client(outputs).get_run(first.run_id).info.status == "FINISHED"
    assert history(client(outputs), first.run_id) == journalled(outputs / "resumed")
    assert "no longer there" not in logged.text


@pytest.mark.mlflow_release
def test_what_mlflow_refuses_is_said_and_the_rest_is_sent(outputs, logged):
    first = begin(outputs, "refused", config())
    finish(first, outputs / "refused", "KILLED")
    run = begin(outputs, "refused", config(), params={"no$name": "x"}, config_yaml="seed: 1\n")
    run.metrics({"good": 1.0}, 0)
    finish(run, outputs / "refused")
    assert "MLflow refused the run's parameters" in logged.text
    record = client(outputs).get_run(run.run_id)
    assert record.info.status == "FINISHED"
    assert record.data.params == {"model": "tiny"}
    assert record.data.metrics["good"] == 1
    path = outputs / "mlruns" / run.run_id / "artifacts" / "config.yaml"
    assert path.read_text() == "seed: 1\n"


@pytest.mark.mlflow_release
def test_long_and_odd_values_are_made_to_fit(outputs, logged):
    values = {"params": {"long": "x" * 10_000}, "tags": {"t": "y" * 10_000}}
    run = begin(outputs, "odd", config(run_name="z" * 300), **values)
    run.metrics({"a$b" + "c" * 300: 1.0, "nan": float("nan")}, 0)
    run.finish("FINISHED", SUMMARY, [], outputs / "odd", "<" * 10_000)
    record = client(outputs).get_run(run.run_id)
    assert record.info.run_name == "z" * 249 + "…"
    assert record.data.params["long"].endswith("x…")
    assert record.data.tags["t"].endswith("y…")
    assert record.data.tags["mlflow.note.content"].endswith("&lt;…")
    assert record.data.metrics["a_b" + "c" * 247] == 1
    assert not [record for record in logged.records if record.levelno >= logging.WARNING]


def test_a_run_in_a_deleted_experiment_says_how_it_is_brought_back(tmp_path, logged):
    with_database(tmp_path)
    first = begin(tmp_path, "first", config())
    finish(first, tmp_path / "first")
    client(tmp_path).delete_experiment(first.experiment_id)
    run = begin(tmp_path, "run", config())
    finish(run, tmp_path / "run")
    assert run.run_id is None
    command = f"mlflow experiments restore -x {first.experiment_id}`, or begin with another"
    assert command in logged.text
    client(tmp_path).restore_experiment(first.experiment_id)
    assert send_later([str(tmp_path / "run")]) == 0
    assert len(client(tmp_path).search_runs([first.experiment_id])) == 2


def test_odd_prompts_and_broken_pictures_do_not_stop_the_rest(outputs, logged):
    run = begin(outputs, "broken", config())
    good = Picture("1", "\ud800 \0 猫", "", 1, picture(1).png)
    run.finish("FINISHED", SUMMARY, [good], outputs / "broken", "\ud800 \0")
    names = files(client(outputs), run.run_id)
    assert "pictures.json" in names
    assert not logged.text

    run = begin(outputs, "broken_too", config())
    bad = Picture("1", "a cat", "", 1, b"no png")
    run.finish("FINISHED", SUMMARY, [bad], outputs / "broken_too", None)
    assert client(outputs).get_run(run.run_id).info.status == "FINISHED"
    assert "MLflow refused the run's sample pictures" in logged.text


@pytest.mark.mlflow_release
def test_system_metrics_belong_to_the_run(outputs):
    run = begin(outputs, "system", config(system_metrics=True, system_metrics_interval_s=0.2))
    assert run.run_id
    name = "system/cpu_utilization_percentage"
    until(lambda: sum(key == name for key, *_ in journalled(outputs / "system")) >= 2)
    finish(run, outputs / "system")
    found = client(outputs).get_metric_history(run.run_id, name)
    assert len(found) >= 2
    assert all(0 <= metric.value <= 100 for metric in found)


def test_a_torn_line_is_skipped_and_the_next_is_whole(tmp_path):
    journal = Journal(tmp_path)
    journal.append("start", run="r1")
    with journal.path.open("ab") as file:
        file.write(b'{"kind":"metr')
    assert [event["kind"] for event, _ in journal.read()] == ["start"]
    journal.append("metrics", step=0, values={"a": 1.0})
    assert [event["kind"] for event, _ in journal.read()] == ["start", "metrics"]
    assert journal.run_key() == "r1"


def test_no_tracking_leaves_nothing(tmp_path):
    run = begin(tmp_path, "none", Tracking(name="none", backend="none"))
    run.metrics({"written": 1.0}, 0)
    run.finish("FINISHED", SUMMARY, PICTURES, tmp_path, "note")
    assert (run.run_id, run.experiment_id, run.url) == (None, None, None)
    assert not list((tmp_path / "none").iterdir())
    assert not list(tmp_path.glob("ml*"))


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("file:./mlruns", "not a store"),
        ("ftp://host/x", "not a store"),
        ("./mlruns", "does not say"),
        ("localhost:5000", "not a store"),
        ("http://", "no host"),
        ("http://host:port", "not an address"),
        ("http://host:99999", "not an address"),
        ("http://a b", "blanks"),
        ("sqlite://", "no file"),
        ("sqlite:////proc/no/mlflow.db", "No such file or directory"),
        ("http://[::1:5000", "brackets"),
        ("http://[ a b", "brackets"),
        (
            "http://host:5000/#/experiments/1",
            r"of a web page\. Give the server's own: http://host:5000/$",
        ),
        ("http://host:5000#", "of a web page"),
        ("sqlite:////no/q?1/mlflow.db", "write %3F"),
        ("sqlite:/mlflow.db", "no file"),
        (" sqlite:////no/mlflow.db", "blanks"),
    ],
)
def test_a_uri_that_cannot_be_right_ends_the_run_before_it_starts(tmp_path, uri, problem):
    with pytest.raises(UserError, match=problem) as caught:
        begin(tmp_path, "bad", config(uri=uri))
    assert caught.value.field == "tracking.uri"
    assert not (tmp_path / "bad" / tracking.JOURNAL).exists()


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "notes.db"
    path.write_text("my notes, not yours")
    with pytest.raises(UserError, match="not a sqlite database"):
        begin(tmp_path, "bad", config(uri=f"sqlite:///{path}"))
    assert path.read_text() == "my notes, not yours"


@pytest.mark.parametrize(
    "uri",
    [
        "http://user:hunter2@host:5000",
        "https://hunter2@host",
        "http://host/?token=hunter2",
        "postgresql://user:hunter2@host/db",
        "postgresql://host/db?password=hunter2",
        "ftp://user:hunter2@host",
        "http://user:[hunter2]@host",
        "http://host/#/x?token=hunter2",
        "sqlite:////no/mlflow.db?token=hunter2",
    ],
)
def test_a_password_is_refused_and_never_shown(tmp_path, uri, logged):
    with pytest.raises(UserError) as caught:
        begin(tmp_path, "secret", config(uri=uri))
    shown = f"{caught.value!r}{caught.value.value}{logged.text}"
    assert "hunter2" not in shown
    assert not list((tmp_path / "secret").iterdir())
    if not uri.startswith("ftp") and not re.search("[][#]|sqlite", uri):
        assert "MLFLOW_TRACKING_PASSWORD" in str(caught.value)


@pytest.mark.parametrize("name", ["", "  "])
def test_an_experiment_without_a_name_is_refused(name):
    with pytest.raises(UserError, match=r"tracking\.experiment='.*is not a name"):
        tracking.check(config(experiment=name), Path())
    tracking.check(config(experiment=name, backend="none"), Path())


def test_an_unknown_backend_is_refused():
    with pytest.raises(UserError, match=r"tracking\.backend=wandb"):
        tracking.check(config(backend="wandb"), Path())


def test_a_folder_without_a_record_cannot_be_replayed(tmp_path, capsys):
    assert send_later([str(tmp_path)]) == 2
    assert "folder=" in capsys.readouterr().err


def test_importing_it_loads_nothing_heavy():
    code = (
        "import sys, imagepipe.tracking, imagepipe.reports.gallery;"
        "print({'mlflow', 'PIL', 'jinja2', 'ray', 'torch', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.mlflow_release
@pytest.mark.faults
def test_processes_may_make_the_database_at_the_same_time(tmp_path):
    code = (
        "import sys; from pathlib import Path; from helpers.tracked import begin, config, finish;"
        "run = begin(Path(sys.argv[1]), sys.argv[2], config());"
        "finish(run, Path(sys.argv[1], sys.argv[2]))"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path)]
    started = [
        subprocess.Popen([*arguments, name], stderr=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    errors = [process.communicate()[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], errors
    store = client(tmp_path)
    [experiment] = [e for e in store.search_experiments() if e.name == "imagepipe"]
    assert len(store.search_runs([experiment.experiment_id])) == 2


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.kill()


@pytest.mark.faults
@pytest.mark.mlflow_release
def test_nothing_is_lost_when_the_server_goes_and_comes_back(tmp_path, server, logged):
    from mlflow import MlflowClient

    logged.set_level(logging.INFO)
    settings = config(uri=server.uri)
    server.start()
    gone = begin(tmp_path, "gone", settings)  # the server goes in mid-run and stays away
    back = begin(tmp_path, "back", settings)  # the server is back before the end
    assert gone.run_id and back.run_id
    assert gone.url.startswith(f"{server.uri}/#/experiments/")
    for run in (gone, back):
        run.metrics({"written": 1.0}, 1)
    store = MlflowClient(server.uri)
    until(lambda: all(history(store, run.run_id) for run in (gone, back)))
    until(lambda: all("config.yaml" in files(store, run.run_id) for run in (gone, back)))
    server.kill()

    never = begin(tmp_path, "never", settings)  # the server is away from the start
    assert never.run_id is None and never.url is None
    assert logged.text.count("does not accept the run (") == 1
    logged.clear()
    for run in (gone, back, never):
        run.metrics({"written": 2.0}, 2)
    until(lambda: logged.text.count("does not accept the run (") == 2)
    assert all(record.thread != threading.get_ident() for record in logged.records)  # none waited
    finish(gone, tmp_path / "gone")
    finish(never, tmp_path / "never")
    later = f"send the rest later with: {python()} -m imagepipe track"
    assert logged.text.count(later) == 2
    assert logged.text.count("does not accept the run (") == 2
    assert send_later([str(tmp_path / "gone")]) == 2

    server.start()
    logged.clear()
    back.metrics({"written": 3.0}, 3)
    finish(back, tmp_path / "back")
    assert not [record for record in logged.records if record.levelno >= logging.WARNING]
    assert send_later([str(tmp_path / "gone")]) == 0
    assert send_later([str(tmp_path / "never")]) == 0
    assert send_later([str(tmp_path / "never")]) == 0

    runs = store.search_runs([back.experiment_id])
    assert len(runs) == 3
    for run in runs:
        [folder] = [
            tmp_path / name
            for name in ("gone", "back", "never")
            if Journal(tmp_path / name).run_key() == run.data.tags["imagepipe.run"]
        ]
        events = [event for event, _ in Journal(folder).read()]
        assert history(store, run.info.run_id) == journalled(folder)
        assert (run.info.start_time, run.info.end_time) == (events[0]["time"], events[-1]["time"])
        assert run.info.status == "FINISHED"
        assert {"config.yaml", "gallery.html", "pictures.json", "summary.json"} <= set(
            files(store, run.info.run_id)
        )
