"""What a run must not tell: its secrets to any file, and anything to its libraries' makers."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from helpers.chat_server import serving
from helpers.command import imagepipe as command
from helpers.configs import composed
from helpers.served import served
from helpers.tracked import with_database

import imagepipe
from imagepipe import NO_TELEMETRY, tracking
from imagepipe.cli.checks import refuse_typed_secrets
from imagepipe.config import Tracking
from imagepipe.errors import UserError
from imagepipe.execution import manifest

SECRETS = {
    "MY_LLM_KEY": "sk-llm-0cfb5d4a1b",
    "MLFLOW_TRACKING_PASSWORD": "pw-mlflow-77ae21c0",
    "MLFLOW_TRACKING_TOKEN": "tk-mlflow-3f3a9b12",
    "HF_TOKEN": "hf_QwErTyUiOpAsDfGhJk",
    "AWS_SECRET_ACCESS_KEY": "aws-5b1c9e8d7f",
}
# Where a cloud's machine asks what it is. Ray does, whatever is set; the question tells nothing.
METADATA = ("http://169.254.169.254/", "http://metadata.google.internal/")
# An engine whose "unknown words" are what its process may tell to whom.
TELLING = """
import os

from imagepipe import NO_TELEMETRY
from imagepipe.diffusion.noop import NoopGenerator


class Telling(NoopGenerator):
    def unknown_words(self, prompt):
        return [f"{name}={os.environ.get(name)}" for name in NO_TELEMETRY]
"""


@contextmanager
def proxy() -> Iterator[tuple[str, list[str]]]:
    """The address of a proxy that lets nothing through, and what was asked of it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def refuse(self) -> None:
            asked.append(f"{self.command} {self.path}")
            self.send_error(502)

        do_CONNECT = do_GET = do_HEAD = do_POST = do_PUT = refuse

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with served(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_port}", asked


@dataclass(frozen=True)
class Left:
    """What a failing, talkative run with secrets in its environment left behind."""

    home: Path
    code: int
    said: str
    asked_of_proxy: list[str]


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    home = tmp_path_factory.mktemp("secrets")
    with_database(home / "outputs")
    (home / "telling.py").write_text(TELLING)
    rows = [f"{n},a cat {n}" for n in range(10)]
    (home / "t.csv").write_text("\n".join(["id,what", *rows, "10,a fox", "11,an owl", ""]))
    key = SECRETS["MY_LLM_KEY"]
    complaints = {
        "fox": (401, f"bad key: Bearer {key}"),
        "owl": (400, f"Bearer {key} is no friend"),
    }
    replies = {
        word: (status, json.dumps({"error": {"message": text}}))
        for word, (status, text) in complaints.items()
    }
    # Some libraries tell nothing where they believe to be tested.
    unset = ("HF_HUB_OFFLINE", "PYTEST_CURRENT_TEST", "CI", *NO_TELEMETRY)
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    with serving(key=key, replies=replies) as chat, proxy() as (address, asked):
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), address)
        proxies |= {name.lower(): value for name, value in proxies.items()}
        done = subprocess.run(
            [
                *(sys.executable, "-m", "imagepipe", "hydra.run.dir=out", "verbose=true"),
                *("dataset=csv", "dataset.path=t.csv", "dataset.prompt='{what}'"),
                *("llm=openai", f"llm.base_url={chat.url}", "llm.path=m", "llm.max_retries=0"),
                *("llm.api_key_env=MY_LLM_KEY", "model=noop", "model.engine=custom"),
                *("model._target_=telling.Telling", "model.width=32", "model.height=32"),
                *("max_failures=1", "resources.rows_per_block=2", "scorer=none"),
            ],
            cwd=home,
            capture_output=True,
            text=True,
            env=environment
            | SECRETS
            | proxies
            | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
        )
    return Left(home, done.returncode, done.stdout + done.stderr, asked)


def test_the_run_failed_as_it_should(left: Left):
    assert left.code == 1, left.said
    assert "rows failed, more than max_failures=1" in left.said
    reasons = pq.read_table(left.home / "out" / "failed.parquet")["reason"].to_pylist()
    assert len(reasons) == 2 and all("Bearer ..." in reason for reason in reasons)


def test_no_secret_is_in_what_the_run_said_or_left(left: Left):
    files = [path for path in left.home.rglob("*") if path.is_file()]
    assert {"mlflow.db", "config.yaml", "tracking.jsonl", "run.json"} <= {f.name for f in files}
    for name, secret in SECRETS.items():
        forms = (secret.encode(), base64.b64encode(secret.encode()).rstrip(b"="))
        assert secret not in left.said, name
        for file in files:
            assert not any(form in contents(file) for form in forms), f"{name} in {file}"


def contents(file: Path) -> bytes:
    """The bytes of `file`, and those of a table uncompressed."""
    raw = file.read_bytes()
    return raw + str(pq.read_table(file).to_pylist()).encode() if file.suffix == ".parquet" else raw


def test_nobody_is_told_of_the_run_by_its_driver_or_its_workers(left: Left):
    assert [asked for asked in left.asked_of_proxy if not any(h in asked for h in METADATA)] == []
    table = pq.read_table(left.home / "out" / "table").to_pylist()
    said = {name for row in table for name in row["unknown_words"].split(", ")}
    assert said == {f"{name}={value}" for name, value in NO_TELEMETRY.items()}


def test_a_persons_own_choice_of_telemetry_stands():
    code = (
        "import imagepipe, os; print(os.environ['VLLM_NO_USAGE_STATS'], os.environ['DO_NOT_TRACK'])"
    )
    environment = {k: v for k, v in os.environ.items() if k not in NO_TELEMETRY}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment | {"VLLM_NO_USAGE_STATS": "0"},
        check=True,
    )
    assert done.stdout.split() == ["0", imagepipe.NO_TELEMETRY["DO_NOT_TRACK"]]


@pytest.mark.parametrize(
    "argument",
    [
        "+hydra.job.env_set.OPENAI_API_KEY=hunter2",
        "+hydra.job.env_set={OPENAI_API_KEY: hunter2}",
        "+ray.runtime_env={env_vars: {DB_PASSWD: hunter2}}",
        "+llm.options.api_key=choice(hunter2,hunter3)",
        "dataset.more_joins=[{path: 'https://me:hunter2@shop/a.csv', on: id}]",
        "dataset.path=https://shop/a.csv?X-Amz-Signature=hunter2",
        "dataset.path=postgresql+psycopg://me:hunter2@host/shop",
        "dataset.path='mssql+pyodbc://?odbc_connect=DRIVER%3Dx%3BPWD%3Dhunter2'",
        "+dataset.read.password=hunter2",
        "dataset.read={password_env: my-hunter2}",
        "dataset.join.read={api_key: hunter2}",
        "dataset.more_joins=[{path: a.csv, on: id, read: {token: hunter2}}]",
        "tracking.uri='sqlite:///a.db','http://me:hunter2@b'",
    ],
)
def test_what_is_typed_is_looked_through_before_anything_is_written(argument: str):
    with pytest.raises(UserError) as refusal:
        refuse_typed_secrets(["model=noop", argument])
    assert "hunter2" not in str(refusal.value)


def test_what_is_typed_is_read_as_hydra_reads_it():
    legal = ["tracking.uri=${oc.env:MLFLOW_TRACKING_URI,null}", "llm.api_key_env=${oc.env:A,B}"]
    legal += ['tracking.uri="sqlite:////my/a,b.db"', "~ray.runtime_env.env_vars.MY_TOKEN"]
    refuse_typed_secrets([*legal, "tracking.uri=null", "sink.path='my,[own]'"])


PRESETS = {
    "tracking": "name: mine\nbackend: mlflow\nuri: http://me:hunter2@host:5000\n",
    "llm": "name: mine\nengine: openai\nbase_url: http://me:hunter2@host/v1\n"
    "path: ${oc.env:NOT_SET_HERE}\n",
    "experiment": "# @package _global_\nhydra: {job: {env_set: {MY_TOKEN: hunter2}}}\n",
}


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ("tracking", "tracking.uri=http://host:5000: contains a user"),
        ("llm", "Environment variable 'NOT_SET_HERE' not found"),
        ("experiment", "hydra.job.env_set.MY_TOKEN=...: looks like a secret"),
    ],
)
def test_what_a_preset_may_not_hold_stays_nowhere_else(tmp_path, group: str, said: str):
    asked = ["hydra.run.dir=out", "hydra.output_subdir=cfg", f"{group}=mine"]
    done = command(tmp_path, "--config-dir", str(presets(tmp_path, group)), *asked)
    assert done.returncode == 2
    assert said in done.stderr
    assert "hunter2" not in done.stderr + done.stdout
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def presets(tmp_path: Path, group: str) -> Path:
    """A folder of a person's own with the preset `mine` of `group`."""
    path = tmp_path / "own" / group / "mine.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(PRESETS[group])
    return tmp_path / "own"


def test_a_refused_resume_leaves_the_run_as_it_is(tmp_path):
    out = tmp_path / "out"
    (out / ".hydra").mkdir(parents=True)
    (out / ".hydra" / "config.yaml").write_text("seed: 0\n")
    (out / manifest.RECORD).write_text(
        manifest.to_json(manifest.of(composed(), ["model=noop"], []))
    )
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    own = presets(tmp_path, "tracking")
    done = command(tmp_path, "resume=out", f"--config-dir={own}", "tracking=mine")
    assert done.returncode == 2
    assert "contains a user, password or token" in done.stderr
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "uri",
    ["http://me:hunter2@host", "http://host/#/x?token=hunter2", "mysql://h/d?password=hunter2"],
)
def test_an_address_that_is_not_used_is_written_down_too(uri: str):
    with pytest.raises(UserError) as refusal:
        tracking.check(Tracking(name="mine", backend="none", uri=uri), Path())
    assert "hunter2" not in str(refusal.value)
    for unused in ("databricks", "file:///mlruns", "http://host:5000"):
        tracking.check(Tracking(name="mine", backend="none", uri=unused), Path())
