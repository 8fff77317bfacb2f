"""Whole files, in a folder and in a real S3 server's bucket; places that cannot work."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.s3_server import S3
from pyarrow import fs

from imagepipe.errors import UserError
from imagepipe.store import Store, below, check_url, reason, write_whole


@pytest.fixture(params=["folder", "shared URL", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, s3: S3) -> Store:
    urls = {
        "folder": str(tmp_path / "run"),
        "shared URL": f"file://{tmp_path}/run",
        "s3": f"{s3.bucket()}/some/run",
    }
    return Store(urls[request.param])


def test_what_is_written_can_be_listed_and_read_and_removed(store: Store):
    for name in ("table/b.parquet", "table/a.parquet", "table/.hidden", "images/x y.png"):
        store.write(name, name.encode())
    assert store.parts("table") == ["table/a.parquet", "table/b.parquet"]
    assert store.parts("nothing") == []
    assert store.read("images/x y.png") == b"images/x y.png"
    assert pickle.loads(pickle.dumps(store)).read("table/a.parquet") == b"table/a.parquet"
    assert store.exists("table/a.parquet") and not store.exists("table")
    store.write("table/a.parquet", b"again")
    assert store.open("table/a.parquet").read() == b"again"
    store.remove("table/a.parquet")
    assert store.parts("table") == ["table/b.parquet"]
    store.remove_folder("table")
    store.remove_folder("table")
    assert store.parts("table") == []
    with pytest.raises(FileNotFoundError):
        store.read("table/b.parquet")


def test_a_write_that_breaks_leaves_what_was_there_and_nothing_else(store: Store):
    for before in ([], [b"whole"]):
        for content in before:
            store.write("in/file", content)
        with pytest.raises(TypeError):
            store.write("in/file", "not bytes")
        with pytest.raises(TypeError), store.whole("in/file") as stream:
            _half(stream)
        assert [store.read(name) for name in store.parts("in")] == before
    with store.whole("in/file") as stream:
        stream.write(b"half")
        assert store.read("in/file") == b"whole"
        stream.write(b" and half")
    assert store.read("in/file") == b"half and half"


def _half(stream: Any) -> None:
    stream.write(b"ha")
    stream.write("not bytes")


def test_a_write_leaves_no_temporary_name(tmp_path: Path):
    write_whole(tmp_path / "new" / "file", b"whole")
    with pytest.raises(TypeError):
        write_whole(tmp_path / "new" / "file", "not bytes")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


def test_a_place_that_can_be_written_passes_and_stays_empty(store: Store):
    store.check("sink.path")
    assert not store.exists(".imagepipe-writable")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("s3://no-such-bucket/x", "NO_SUCH_BUCKET"),
        ("ftpp://host/x", "cannot be opened: Protocol not known"),
        ("/proc/nothing/x", "cannot be written to ("),
    ],
)
def test_a_place_that_cannot_work_is_named(s3: S3, path: str, said: str):
    with pytest.raises(UserError) as caught:
        Store.of(path, Path()).check("sink.path")
    assert str(caught.value).startswith(f"sink.path={path}: ")
    assert said in str(caught.value)


def test_a_folder_whose_name_is_no_text_is_named(tmp_path: Path):
    place = Store(str(tmp_path / "d_\udcff"))  # as Python reads a byte that is no UTF-8
    with pytest.raises(UserError, match=r"^hydra.run.dir=.*: has a name that is not UTF-8"):
        place.check("hydra.run.dir")


def test_the_address_in_the_environment_is_that_of_sink_and_source(tmp_path: Path, s3: S3):
    """In a process that has it from there alone, as a command has."""
    bucket = s3.bucket()
    code = (
        "import sys; from helpers.asked import dataset, prompts_of; from imagepipe.store import *; "
        "store = Store.of(sys.argv[1] + '/run', None); store.check('sink.path'); "
        "store.write('t.csv', b'id,what\\n1,a cat\\n'); "
        "print(prompts_of(dataset(sys.argv[1] + '/run/*.csv', 'csv')), store.exists('t.csv'))"
    )
    command = [sys.executable, "-c", code, bucket]
    done = subprocess.run(command, env=os.environ | s3.environment, capture_output=True, text=True)
    assert done.stdout.split() == ["['a", "cat']", "True"], done.stderr
    assert Store(s3.named(f"{bucket}/run")).read("t.csv") == b"id,what\n1,a cat\n"


@pytest.mark.faults
def test_a_server_that_is_away_is_named(monkeypatch, s3: S3):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="NETWORK_CONNECTION"):
        Store("s3://away/x").check("sink.path")


def test_of_a_server_that_is_away_the_reason_is_told():
    """By the client itself, without the retries over which `check` takes seconds."""
    once = fs.AwsStandardS3RetryStrategy(max_attempts=1)
    away = fs.S3FileSystem(
        access_key="a", secret_key="b", endpoint_override="http://127.0.0.1:9", retry_strategy=once
    )
    with pytest.raises(OSError, match="AWS Error") as caught:
        away.get_file_info("bucket/x")
    assert reason(caught.value).startswith("NETWORK_CONNECTION during HeadObject operation")


@pytest.mark.parametrize(
    "url",
    [
        "s3://id:hunter2@bucket/x",
        "s3://hunter2@bucket/x",
        "s3://bucket/x?secret_key=hunter2",
        "abfs://account:hunter2@container/x",
        "gs://bucket/x?anything=hunter2",
    ],
)
def test_a_key_in_a_url_is_refused_and_not_shown(url: str):
    with pytest.raises(UserError) as caught:
        check_url("sink.path", url)
    assert "hunter2" not in str(caught.value)
    assert "AWS_SECRET_ACCESS_KEY" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["/shared/a:b@c?d", "s3://bucket/x?region=eu-west-1", "abfs://box@me.dfs.core.windows.net/x"],
)
def test_a_place_without_a_key_passes(url: str):
    check_url("sink.path", url)


def test_what_is_no_address_is_refused_and_not_shown():
    with pytest.raises(
        UserError, match=r"^sink.path=\.\.\.: is not an address \(Invalid IPv6 URL\)"
    ):
        check_url("sink.path", "s3://[bucket/run")


def test_a_place_inside_another_keeps_its_options():
    assert below("s3://bucket/run/?region=x", "3") == "s3://bucket/run/3?region=x"
    assert below("/shared/why?", "3") == "/shared/why?/3"
