"""A finished run on a local server that speaks the hub's protocol, pushed by the hub's client."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from helpers import one_session
from helpers.configs import composed
from helpers.hub_pushes import Hub, taking
from huggingface_hub import HfApi

from imagepipe.config import Sink
from imagepipe.errors import RunFailed, UserError
from imagepipe.execution.run import run
from imagepipe.shell import resume_command
from imagepipe.sink import card, hub

SINK = Sink("files", hub="me/cats")


def api(server: Hub, token: str | None = None) -> HfApi:
    return HfApi(endpoint=server.url, token=token or server.token)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a run leaves, and what is none of it."""
    for name in ("table/part-1.parquet", "table/part-2.parquet", "images/1.png", "images/2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    for name in ("summary.json", "run.json", "images/.0123abcd-3.png", "README.md", "gallery.html"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_a_push_makes_a_private_data_set_of_table_and_pictures(folder: Path):
    with taking() as server:
        assert (
            hub.push(str(folder), "me/cats", SINK, api(server)) == f"{server.url}/datasets/me/cats"
        )
        files = server.repositories["me/cats"]
        assert server.private == {"me/cats": True}
    assert {name: content.decode() for name, content in files.items()} == {
        "README.md": "README.md",
        **{name: name for name in ("table/part-1.parquet", "table/part-2.parquet")},
        **{name: name for name in ("images/1.png", "images/2.png")},
    }


def test_a_push_replaces_table_and_pictures_and_keeps_the_card(folder: Path):
    before = {"README.md": b"mine", "images/old.png": b"x", "table/part-1.parquet": b"old"}
    before |= {"notes.txt": b"mine too"}
    with taking(repositories={"me/cats": before}) as server:
        hub.push(str(folder), "me/cats", SINK, api(server))
        files = server.repositories["me/cats"]
    assert files["README.md"] == b"mine" and files["notes.txt"] == b"mine too"
    assert files["table/part-1.parquet"] == b"table/part-1.parquet"
    assert "images/old.png" not in files


@pytest.mark.parametrize(
    ("sink", "pushed"),
    [
        ({"image_bytes": True}, []),
        ({"webdataset": True, "png": False}, ["shards"]),
        ({"webdataset": True}, ["images", "shards"]),
    ],
    ids=["bytes", "shards", "both"],
)
def test_pictures_that_are_in_the_table_are_not_pushed_twice(sink: dict, pushed: list[str]):
    assert hub.folders(Sink("s", **sink)) == pushed


@pytest.mark.parametrize(
    ("options", "name", "token", "said"),
    [
        ({}, "me/cats", None, None),
        ({}, "ours/cats", None, None),
        ({"repositories": {"theirs/cats": {}}}, "theirs/cats", None, None),
        ({}, "theirs/cats", None, "belongs to another account than the token. Yours: me, ours"),
        (
            {"readable": ("me/cats",)},
            "me/cats",
            None,
            "the token may not write there (HTTP 403: You",
        ),
        ({}, "me/cats", "hf_wrong", "the hub does not accept the token. Set HF_TOKEN"),
        ({}, "cats", None, "is not a name of a data set. Name one as user/name"),
        ({}, "https://huggingface.co/datasets/me/cats", None, "is not a name of a data set"),
    ],
    ids=["new", "org", "theirs", "nobody", "read", "token", "name", "url"],
)
def test_what_could_not_be_pushed_is_refused_before_a_run(
    options: dict, name: str, token: str | None, said: str | None
):
    sink = Sink("files", hub=name)
    with taking(**options) as server:
        if said is None:
            hub.check(sink, 3, api(server, token))
            return
        with pytest.raises(UserError) as refused:
            hub.check(sink, 3, api(server, token))
    assert str(refused.value).startswith(f"sink.hub={name}: ") and said in str(refused.value)
    assert not server.commits and not server.private


def test_more_pictures_than_a_folder_of_the_hub_takes_are_refused():
    with pytest.raises(UserError, match=r"at most 10,000 files.*sink.image_bytes=true"):
        hub.check(SINK, 10_001)
    with pytest.raises(
        UserError, match=r"files in a folder, and table/ gets 10,001\. .*batch_size"
    ):
        hub.check(SINK, 10, parts=10_001)


def test_what_is_pushed_is_counted(folder: Path):
    assert hub.counted(folder, SINK) == {"table": 2, "images": 2}
    shards = Sink("files", webdataset=True, png=False)
    assert hub.counted(folder, shards) == {"table": 2, "shards": 0}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("{}/mine", "mine"),
        ("{}/gone", "gone"),
        ("mine", "mine"),
        ("below/mine", "mine"),
        ("owner/name", "owner/name"),
        ("asset:tiny", "asset:tiny"),
        ("accounts/ours/models/m", "accounts/ours/models/m"),
    ],
    ids=["here", "gone", "relative", "below", "hub", "asset", "server"],
)
def test_a_card_says_of_a_folder_on_this_machine_its_name_alone(
    path: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for folder in ("mine", "below/mine"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    config = composed("llm=none", "scorer=none")
    config.model.path = path.format(tmp_path)
    made = {"pictures": 1, "pictures_before": 0, "rows_read": 1}
    ends = dict.fromkeys(("written", "failed", "unmatched", "filtered", "already_done"), 0)
    text = card.card(config, made | ends, pa.schema([]), [])
    assert f"| model | {said} |" in text and str(tmp_path) not in text


def test_a_hub_that_is_away_is_told():
    gone = HfApi(endpoint="http://127.0.0.1:9", token="hf_x")
    with pytest.raises(UserError, match=r"the hub at http://127.0.0.1:9 does not answer"):
        hub.check(SINK, 1, gone)


def test_a_push_that_the_hub_refuses_says_why(folder: Path):
    said = "HTTP 402: the quota of this account is used up"
    with taking(refuse=402) as server, pytest.raises(UserError, match=said):
        hub.push(str(folder), "me/cats", SINK, api(server))


def test_an_object_store_is_not_pushed():
    with pytest.raises(UserError, match=r"sink.hub=me/x: is pushed from a folder"):
        composed("sink.hub=me/x", "sink.path=s3://bucket/run")


def test_a_card_tells_counts_models_and_columns():
    config = composed("model=sdxl_turbo", "llm=none", "scorer=clip")
    counts = {"written": 3, "failed": 1, "unmatched": 0, "filtered": 0, "already_done": 0}
    made = {"pictures": 3, "pictures_before": 0, "rows_read": 4, **counts}
    schema = pa.schema([("id", pa.int64()), ("a|b", pa.string()), ("seed", pa.int64())])
    schema = schema.append(pa.field("score", pa.float32()))
    text = card.card(config, made, schema, ["id", "a|b"])
    _, head, body = text.split("---\n", 2)
    assert "license" not in yaml.safe_load(head) and "# license:" in head
    assert yaml.safe_load(head)["size_categories"] == ["n<1K"]
    assert yaml.safe_load(head)["configs"][0]["data_files"] == "table/*.parquet"
    assert "trainedAlgorithmicMedia" in body and "made by a model" in body
    for line in (
        "| pictures | 3 |",
        "| rows failed | 1 |",
        "| a\\|b | string | from the input table |",
        "| seed | int64 | the seed of the picture |",
        "| score | float | result of clip for the picture |",
    ):
        assert line in body, body
    assert config.model.revision in body and config.model.licence in body


# --- a whole run


def test_a_run_that_is_complete_is_pushed_by_resume_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    """There is no token at first, then the hub refuses it, and then takes it."""
    small = ["model=noop", "model.width=16", "model.height=16", "llm=none", "scorer=none"]
    small += ["tracking=none", "limit=3", f"outputs={tmp_path / 'outputs'}"]
    out = one_session.run(tmp_path, "out", *small)
    config = replace(composed(*small, "sink.hub=ours/cats"), resume=str(out))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with taking(refuse=402) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        with pytest.raises(UserError, match="sink.hub=ours/cats: the hub .* token"):
            run(config, out, small)
        monkeypatch.setenv("HF_TOKEN", server.token)
        with pytest.raises(
            RunFailed, match="the run is complete, and it is not on the hub: "
        ) as no:
            run(config, out, small)
        assert f"push it again: {resume_command(out)} sink.hub=ours/cats" in str(no.value)
        server.refuse = None
        run(config, out, small)
        assert f"hub        {server.url}/datasets/ours/cats" in capsys.readouterr().err
        run(config, out, small)
        assert len(server.commits) == 1
        files = server.repositories["ours/cats"]
    table = pa.concat_tables(
        pq.read_table(io.BytesIO(content))
        for name, content in files.items()
        if name.startswith("table/")
    )
    assert sorted(table["image_path"].to_pylist()) == sorted(n for n in files if "images/" in n)
    assert b"| animal | string | from the input table |" in files["README.md"]
