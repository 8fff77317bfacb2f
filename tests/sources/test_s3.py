"""A whole run onto a real S3 server: every file there, and all that reads it back."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from helpers import one_session
from helpers.command import FAST, imagepipe
from helpers.s3_server import S3
from helpers.tracked import with_database
from mlflow import MlflowClient
from PIL import Image

from imagepipe.store import Store
from imagepipe.tracking.markdown import markdown

TABLE = "key,what\na b,a cat\n../c,a dog\nempty,\nd,a fox\n"
OWN = ["dataset=csv", "dataset.path=t.csv", "dataset.id=key", "dataset.prompt='{what}'"]
JOIN = ["dataset.join.path=worn.csv", "dataset.join.on=key"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("s3")
    with_database(folder / "outputs")
    (folder / "t.csv").write_text(TABLE)
    (folder / "worn.csv").write_text("key,wears\na b,hat\n../c,hat\nempty,hat\n")
    return folder


@pytest.fixture(scope="module")
def store(home: Path, s3: S3) -> Store:
    """What a run with a failed and an unmatched row left in the bucket."""
    store = Store(s3.named(f"{s3.bucket()}/my/run"))
    options = [*FAST, *OWN, *JOIN, f"sink.path='{store.url}'", "tracking.system_metrics=false"]
    done = one_session.job(home, "out", *options)
    assert done.code == 0, done.said
    assert f"written to {store.url}" in done.said
    assert f"failed rows: {store.place('failed.parquet')}" in done.said
    return store


def test_pictures_table_and_rejected_rows_are_in_the_bucket(store: Store):
    (part,) = store.parts("table")
    rows = {row["key"]: row for row in pq.read_table(store.open(part)).to_pylist()}
    assert set(rows) == {"a b", "../c"}
    assert store.parts("images") == sorted(row["image_path"] for row in rows.values())
    for row in rows.values():
        with Image.open(io.BytesIO(store.read(row["image_path"]))) as image:
            assert image.text["prompt"] == row["prompt"]
            assert image.size == (64, 64)
    (failed,) = pq.read_table(store.open("failed.parquet")).to_pylist()
    assert (failed["key"], failed["reason"]) == ("empty", "column 'what' is empty")
    (unmatched,) = pq.read_table(store.open("unmatched.parquet")).to_pylist()
    assert (unmatched["key"], unmatched["stage"]) == ("d", "join")
    assert not store.parts(".failed")


def test_what_there_is_to_look_at_is_in_the_runs_folder(home: Path, store: Store):
    out = home / "out"
    assert not {"table", "images", "failed.parquet"} & {path.name for path in out.iterdir()}
    assert "a cat" in (out / "gallery.html").read_text()
    assert (out / "contact_sheet.png").is_file()
    said = json.loads((out / "summary.json").read_text())
    assert (said["written"], said["failed"], said["unmatched"]) == (2, 1, 1)
    client = MlflowClient(f"sqlite:///{home / 'outputs' / 'mlflow.db'}")
    run = client.get_run(said["mlflow"]["run_id"])
    assert run.info.status == "FINISHED"
    assert markdown(store.url, 1000) in run.data.tags["mlflow.note.content"]
    assert len(client.list_artifacts(run.info.run_id, "images")) > 0


def test_a_second_run_there_is_refused(home: Path, store: Store):
    done = imagepipe(home, *FAST, *OWN, *JOIN, f"sink.path='{store.url}'")
    assert done.returncode == 2
    assert f"sink.path={store.url}: already holds a run" in done.stderr
    assert len(store.parts("table")) == 1


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("s3://no-such-bucket/run", "sink.path=s3://no-such-bucket/run: cannot be written to (NO_"),
        ("s3://id:hunter2@bucket/run", "sink.path=...: contains more than a place"),
        pytest.param(
            "'s3://[bucket/run'",
            "sink.path=...: is not an address (Invalid IPv6 URL)",
            marks=pytest.mark.faults,
        ),
        pytest.param(
            "ftpp://host/run",
            "cannot be opened: Protocol not known: ftpp",
            marks=pytest.mark.faults,
        ),
    ],
)
def test_a_place_that_cannot_work_ends_before_anything_starts(
    home: Path, s3: S3, path: str, said: str
):
    done = imagepipe(home, *FAST, f"sink.path={path}", "hydra.run.dir=bad")
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr and "hunter2" not in done.stderr
    assert not list(home.rglob("bad/**/*hunter2*"))
    assert "hunter2" not in "".join(path.read_text() for path in home.rglob("bad/.hydra/*"))


@pytest.mark.faults
def test_a_run_in_the_bucket_is_resumed(home: Path, store: Store):
    """As after a command that was killed before it wrote this part of the table."""
    (part,) = store.parts("table")
    before = store.read(part)
    store.remove(part)
    (home / "out" / "summary.json").unlink()
    done = imagepipe(home, "resume=out")
    assert done.returncode == 0, done.stderr
    said = json.loads((home / "out" / "summary.json").read_text())
    assert [said[end] for end in ("written", "failed", "unmatched", "already_done")] == [2, 1, 1, 0]
    assert store.parts("table") == [part]
    rows = [pq.read_table(io.BytesIO(whole)) for whole in (before, store.read(part))]
    assert rows[0].select(["key", "prompt", "seed"]) == rows[1].select(["key", "prompt", "seed"])
    assert len(store.parts("images")) == 2
