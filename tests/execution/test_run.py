"""The whole pipeline as a person runs it: real Ray, the real engines, real files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers import one_session
from helpers.command import FAST, GREY_LEVELS, imagepipe, run, start, summary, table
from helpers.configs import composed
from helpers.tracked import with_database
from PIL import Image

from imagepipe.errors import UserError
from imagepipe.execution.prepare import prepared


@pytest.fixture(scope="module")
def default_run(tmp_path_factory) -> Path:
    """What `make run` does, with fewer rows."""
    folder = tmp_path_factory.mktemp("default")
    with_database(folder / "outputs")
    return run(folder, "out", "limit=6", "tracking.system_metrics=false")


@pytest.mark.faults
@pytest.mark.ray_release
def test_a_stage_that_never_starts_ends_the_run_and_says_why(tmp_path):
    never = ["model.engine=custom", "model._target_=helpers.painters.Never"]
    options = [*FAST, *never, "scorer=none", "limit=2", "tracking=none"]
    done = imagepipe(tmp_path, *options, "ray.start_timeout_s=0.1", "ray.num_cpus=2")
    assert done.returncode == 1
    why = "(model): none of its processes started within ray.start_timeout_s=0.1 s. One asks for "
    assert f"{why}1 CPUs, 0 GPUs; free now are " in done.stderr
    assert "Traceback" not in done.stderr


def test_the_default_run_leaves_pictures_table_gallery_and_summary(default_run):
    rows = table(default_run)
    assert [row["id"] for row in rows] == [str(number) for number in range(100, 106)]
    for row in rows:
        assert row["base_prompt"] == f"{row['animal']} wearing a {row['outfit']}"
        assert row["prompt"].startswith(row["base_prompt"])
        assert len(row["prompt"]) > len(row["base_prompt"])
        with Image.open(default_run / row["image_path"]) as image:
            assert image.size == (128, 128)
            assert image.text["prompt"] == row["prompt"]
            assert image.text["seed"] == str(row["seed"])
            assert image.text["mlflow_run_id"] == summary(default_run)["mlflow"]["run_id"]
    with Image.open(default_run / "contact_sheet.png") as sheet:
        assert sheet.width >= 800
    page = (default_run / "gallery.html").read_text()
    assert all(row["prompt"] in page for row in rows)
    assert (default_run / ".hydra" / "config.yaml").is_file()
    assert not (default_run / "failed.parquet").exists()


@pytest.mark.ray_release
def test_the_summary_has_rates_times_stages_and_versions(default_run):
    said = summary(default_run)
    assert said["pictures"] == said["written"] == 6
    assert 0 < said["images_per_s"]["end_to_end"] < said["pictures"]
    assert 0 < said["time_to_first_image_s"] <= said["seconds"]
    assert {"llm", "model", "write"} <= set(said["stages"])
    assert said["stages"]["model"]["rows"] == 6
    assert said["stages"]["model"]["busy_s"] > 0
    assert said["versions"]["ray"]
    assert said["resources"]["model"]["num_cpus"] > 0


@pytest.mark.mlflow_release
def test_the_run_is_in_mlflow(default_run):
    from mlflow import MlflowClient

    store = default_run.parent / "outputs" / "mlflow.db"
    client = MlflowClient(f"sqlite:///{store}")
    found = client.get_run(summary(default_run)["mlflow"]["run_id"])
    assert found.info.status == "FINISHED"
    assert found.data.params["model"] == "tiny"
    assert found.data.metrics["written"] == found.data.metrics["rows_done"] == 6
    names = {file.path for file in client.list_artifacts(found.info.run_id)}
    assert {"summary.json", "contact_sheet.png", "gallery.html"} <= names


ALIKE = ["limit=4", "llm=tiny", "scorer=none", "resources=cpu", "tracking=none"]
ALIKE += ["resources.model.pool=1"]


@pytest.fixture(scope="module")
def alike(tmp_path_factory) -> dict[str, Path]:
    """Two runs over the same four rows."""
    folder = tmp_path_factory.mktemp("alike")
    return {name: one_session.run(folder, name, *ALIKE) for name in ("one", "again")}


def test_the_same_configuration_gives_the_same_bytes(alike):
    pictures = sorted(path.name for path in (alike["one"] / "images").iterdir())
    assert len(pictures) == 4
    for name in pictures:
        one, again = ((alike[run] / "images" / name).read_bytes() for run in ("one", "again"))
        assert one == again


@pytest.mark.faults
def test_a_batch_size_changes_no_picture_beyond_the_tolerance(alike, tmp_path):
    batches = ["resources.model.batch_size=1", "resources.llm.batch_size=3"]
    first, second = alike["one"], one_session.run(tmp_path, "other", *ALIKE, *batches)
    for path in (first / "images").iterdir():
        one, two = (
            np.asarray(Image.open(out / "images" / path.name), np.int16) for out in (first, second)
        )
        assert np.abs(one - two).max() <= GREY_LEVELS
    assert [row["prompt"] for row in table(first)] == [row["prompt"] for row in table(second)]


def test_a_strangers_tables_with_every_kind_of_row(tmp_path):
    """The arguments of the README: quotes, paths as ids, empty cells, a row without a match."""
    (tmp_path / "subjects.csv").write_bytes(
        b'key,what\na,"A cat, ""happy"""\n../../etc/passwd,a dog\nempty,\n'
        b"bad,\xff\xfe\nlonely,a fox\n\xf0\x9f\x98\x80,a\ttab\n"
    )
    (tmp_path / "clothes.csv").write_text(
        "key,wears\na,red scarf\n../../etc/passwd,crown\nempty,hat\nbad,hat\n😀,cape\n"
    )
    joined = [*FAST, "tracking=none", "dataset.id=key", "dataset.join.on=key"]
    joined += [f"dataset.join.path={tmp_path}/clothes.csv"]
    joined += ['dataset.prompt="{what} wearing a {wears}"']
    table = ["dataset=csv", f"dataset.path={tmp_path}/subjects.csv"]
    out = one_session.run(tmp_path, "out", *table, *joined)
    said = summary(out)
    ends = {end: said[end] for end in ("rows_read", "written", "failed", "unmatched")}
    assert ends == {"rows_read": 6, "written": 3, "failed": 2, "unmatched": 1}
    rows = {row["key"]: row for row in pq.read_table(out / "table").to_pylist()}
    assert rows["a"]["base_prompt"] == 'A cat, "happy" wearing a red scarf'
    assert (
        sorted(path.parent for path in out.rglob("*.png") if path.name != "contact_sheet.png")
        == [out / "images"] * 3
    )
    failed = {row["key"]: row for row in pq.read_table(out / "failed.parquet").to_pylist()}
    assert failed["empty"]["reason"] == "column 'what' is empty"
    assert failed["bad"]["what"] == b"\xff\xfe"
    assert failed["bad"]["stage"] == "read"
    (lonely,) = pq.read_table(out / "unmatched.parquet").to_pylist()
    assert (lonely["key"], lonely["stage"]) == ("lonely", "join")
    (tmp_path / "clothes.csv").write_text("key,wears\nempty,hat\nbad,hat\nlonely,cape\n")
    both = ",".join(str(out / f"{name}.parquet") for name in ("failed", "unmatched"))
    rejected = ["dataset=parquet", f"dataset.path=[{both}]", "dataset.join.format=csv"]
    again = one_session.run(tmp_path, "again", *rejected, *joined)
    prompts = {row["key"]: row["base_prompt"] for row in pq.read_table(again / "table").to_pylist()}
    assert prompts == {"lonely": "a fox wearing a cape"}
    failed = {row["key"]: row for row in pq.read_table(again / "failed.parquet").to_pylist()}
    assert (failed["bad"]["what"], failed["bad"]["stage"]) == (b"\xff\xfe", "read")
    assert (failed["empty"]["stage"], failed["empty"]["reason"]) == (
        "prompt",
        "column 'what' is empty",
    )


@pytest.fixture(scope="module")
def away(tmp_path_factory) -> one_session.Job:
    """Of several pictures a row, with a store that is away: port 9 discards, where anything listens
    there at all.
    """
    each = ["sink=parquet", "model.images_per_prompt=3", "limit=5"]
    store = ["tracking.uri=http://127.0.0.1:9", "tracking.system_metrics=false"]
    return one_session.job(tmp_path_factory.mktemp("away"), "out", *FAST, *each, *store)


def test_several_pictures_a_row_in_the_table_alone(away):
    rows = pq.read_table(away.folder / "table").to_pylist()
    assert len(rows) == 15
    assert all(row["image"]["bytes"].startswith(b"\x89PNG") for row in rows)
    assert not (away.folder / "images").exists()
    assert summary(away.folder)["pictures"] == 15


def test_a_store_that_is_away_is_told_of_and_costs_nothing(away):
    assert away.code == 0, away.said
    assert "MLflow at http://127.0.0.1:9 does not accept the run" in away.said
    assert "send the rest later with: " in away.said
    assert "python -m imagepipe track " in away.said
    assert summary(away.folder)["written"] == 5


def test_sigterm_ends_the_run_and_its_mlflow_run(tmp_path):
    from mlflow import MlflowClient

    out = tmp_path / "out"
    (tmp_path / "slow").touch()
    with_database(tmp_path / "outputs")
    never = ["model.engine=custom", "model._target_=helpers.painters.Slow"]
    options = f"{{seconds: 3600, slow: {tmp_path / 'slow'}, bad: {tmp_path / 'bad'}}}"
    never.append(f"+model.options={options}")
    command = start(tmp_path, f"hydra.run.dir={out}", *FAST, *never)
    command.until((out / "tracking.jsonl").exists, "its record")
    command.process.terminate()
    command.until(lambda: "interrupted" in command.said or "stopping: " in command.said, "its end")
    (tmp_path / "slow").unlink()
    code, said = command.wait()
    assert code == 130, said
    assert "imagepipe: interrupted" in said
    assert "Traceback" not in said
    assert summary(out)["status"] == "KILLED"
    client = MlflowClient(f"sqlite:///{tmp_path / 'outputs' / 'mlflow.db'}")
    assert client.get_run(summary(out)["mlflow"]["run_id"]).info.status == "KILLED"


@pytest.mark.faults
@pytest.mark.parametrize("while_there_is", ["out/.lock", "ray/session_*"])
def test_sigterm_while_ray_starts_is_as_ctrl_c(while_there_is: str):
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # short, for the sockets of Ray
        folder = Path(name)
        typed = [*FAST, "tracking=none", "limit=2", "hydra.run.dir=out", "sink.path=place"]
        with start(folder, *typed, RAY_TMPDIR=name) as command:
            command.until(lambda: list(folder.glob(while_there_is)), while_there_is)
            command.process.terminate()
            code, said = command.gone()
        assert code == 130, said
        assert said == "imagepipe: interrupted\n"  # nothing is there to resume
        assert {path.name for path in folder.iterdir()} <= {"ray", command.log.name}


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["dataset=csv", "dataset.path=no.csv", "dataset.prompt='{a}'"], "dataset.path=no.csv"),
        (["llm=tinny"], 'llm=tinny: there is no such choice. Did you mean "tiny"?'),
        (["+model.stepz=3"], 'model.stepz=3: there is no such key. Did you mean "model.steps"?'),
        (["tracking.uri=ftp://x"], "tracking.uri=ftp://x"),
        pytest.param(
            ["model.path=no/where"],
            "model.path=no/where: is not a folder here",
            marks=pytest.mark.faults,
        ),
    ],
)
def test_bad_input_ends_before_anything_starts(tmp_path, overrides: list[str], said: str):
    done = imagepipe(tmp_path, f"hydra.run.dir={tmp_path / 'out'}", *overrides)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "table").exists()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model.path=./nowhere", "model.path=./nowhere: no model is there"),
        ("llm.path=./nowhere", "llm.path=./nowhere: no model is there"),
        ("model.scheduler=EulerDiscreteSchedule", 'Did you mean "EulerDiscreteScheduler"?'),
        ("dataset.prompt='{animl}'", 'Did you mean "animal"?'),
        ("dataset.id=ids", "dataset.id=ids"),
    ],
)
def test_what_a_run_would_stumble_over_is_found_before_it(tmp_path, override: str, said: str):
    config = composed("tracking=none", override)
    with pytest.raises(UserError) as refused, prepared(config, tmp_path / "out", [override]):
        pass
    assert said in str(refused.value)
    assert not (tmp_path / "out" / "table").exists()


@pytest.mark.parametrize(
    ("override", "remedy"),
    [
        ("tracking.uri=http://me:hunter2@host:5000", "MLFLOW_TRACKING_PASSWORD"),
        ("dataset.path=[a.csv,s3://me:hunter2@shop/a.csv]", "AWS_SECRET_ACCESS_KEY"),
        ("dataset.join.path='https://host/b.csv?X-Amz-Signature=hunter2'", "fetch the file first"),
        ("dataset.path=https://hunter2@raw.host/a.csv", "fetch the file first"),
        ("llm.base_url=choice(http://a:8000/v1,http://me:hunter2@b)", "name the key's variable"),
    ],
)
def test_a_secret_in_an_address_reaches_no_file(tmp_path, override: str, remedy: str):
    done = imagepipe(tmp_path, override)
    assert done.returncode == 2
    assert remedy in done.stderr
    assert "hunter2" not in done.stderr + done.stdout
    assert not list(tmp_path.iterdir())


def test_a_secret_that_is_typed_as_part_of_a_value_is_not_kept(tmp_path):
    typed = "+ray.runtime_env={env_vars: {MY_TOKEN: hunter2}}"
    done = imagepipe(tmp_path, typed, "hydra.run.dir=out")
    assert done.returncode == 2
    assert "ray.runtime_env.env_vars.MY_TOKEN=...: looks like a secret" in done.stderr
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in left if b"hunter2" in path.read_bytes()]


def test_an_address_may_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("OUR_STORE", "ftp://x")
    done = imagepipe(tmp_path, "tracking.uri=${oc.env:OUR_STORE}", "hydra.run.dir=out")
    assert done.returncode == 2
    assert "tracking.uri=ftp://x: " in done.stderr


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    done = imagepipe(tmp_path, f"hydra.run.dir={tmp_path / 'file' / 'out'}")
    assert done.returncode == 2
    assert "cannot create a folder there (Not a directory)" in done.stderr


def test_a_folder_in_which_ray_cannot_start_is_refused(tmp_path, monkeypatch):
    """Its sockets have paths of 107 characters at most."""
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / ("deep" * 25)))
    folders = ["hydra.run.dir=new/out", "sink.path=new/place"]
    done = imagepipe(tmp_path, *FAST, "scorer=none", "tracking=none", *folders)
    assert done.returncode == 2
    assert done.stderr.startswith(f"imagepipe: RAY_TMPDIR={tmp_path}/deep")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_a_run_is_refused(default_run):
    done = imagepipe(default_run.parent, f"hydra.run.dir={default_run}")
    assert done.returncode == 2
    assert "already holds a run" in done.stderr
