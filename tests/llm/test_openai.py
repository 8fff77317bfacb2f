"""The openai engine against a real server that answers, refuses, stalls and talks nonsense."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from helpers import one_session
from helpers.chat_server import ChatServer, completion, serving
from helpers.command import imagepipe, summary
from helpers.tracked import with_database

from imagepipe.config import LLM
from imagepipe.errors import UserError
from imagepipe.llm import Answer, check, make

KEY = "sk-a-secret-of-ours"
PROMPTS = ["a cat", "a dog", "an owl", "a fox"]


def config(server: ChatServer, **changes: object) -> LLM:
    values = {"name": "m", "engine": "openai", "path": "m", "base_url": server.url}
    return LLM(**{**values, "user": "{prompt} ({season})", "max_retries": 0, **changes})


def ask(server: ChatServer, prompts: list[str] = PROMPTS, **changes: object) -> list[Answer]:
    enhancer = make(config(server, **changes))
    enhancer.load()
    return enhancer.enhance(prompts, ["winter"] * len(prompts), list(range(len(prompts))))


def refusal(config: LLM) -> str:
    with pytest.raises(UserError) as caught:
        check(config)
    return str(caught.value)


def test_the_question_the_sampling_and_the_seed_arrive() -> None:
    with serving() as server:
        answers = ask(
            server,
            system="Be brief.",
            temperature=0.3,
            top_p=0.9,
            max_tokens=17,
            chat_template_kwargs={"enable_thinking": False},
        )
    assert answers == [
        Answer(f"{p} (winter), in falling snow", 11, 7, finish_reason="stop") for p in PROMPTS
    ]
    asked = {chat["messages"][1]["content"]: chat for chat in server.chats}
    assert asked["an owl (winter)"] == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "an owl (winter)"},
        ],
        "temperature": 0.3,
        "top_p": 0.9,
        "max_tokens": 17,
        "seed": 2,
        "chat_template_kwargs": {"enable_thinking": False},
    }


def test_the_rows_of_a_batch_are_asked_at_once() -> None:
    with serving(together=threading.Barrier(len(PROMPTS))) as server:
        assert [answer.error for answer in ask(server)] == [None] * len(PROMPTS)


def test_the_key_comes_from_the_named_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_KEY", KEY)
    with serving(key=KEY) as server:
        check(config(server, api_key_env="OUR_KEY"))
        assert ask(server, api_key_env="OUR_KEY")[0].text
        monkeypatch.setenv("OUR_KEY", "sk-wrong")
        said = refusal(config(server, api_key_env="OUR_KEY"))
        (answer,) = ask(server, PROMPTS[:1], api_key_env="OUR_KEY")
        assert "does not accept the key (HTTP 401)" in refusal(config(server))
    assert "llm.api_key_env=OUR_KEY: the server does not accept the key (HTTP 401)" in said
    assert "401" in str(answer.error)
    assert "sk-wrong" not in said + str(answer.error)  # which the server repeated


def test_a_server_in_trouble_is_asked_again() -> None:
    script = [(503, {}, "{}"), (500, {}, "{}"), (429, {"Retry-After": "1"}, "{}")]
    with serving(script=script) as server:
        (answer,) = ask(server, PROMPTS[:1], max_retries=3)
    assert answer.text == "a cat (winter), in falling snow"
    assert len(server.times) == 4
    assert server.times[3] - server.times[2] >= 1  # as the server asked for


def test_a_server_that_stays_in_trouble_fails_the_row() -> None:
    with serving(script=[(429, {"Retry-After": "0.01"}, "{}")] * 3) as server:
        (answer,) = ask(server, PROMPTS[:1], max_retries=2)
    assert (answer.text, len(server.chats)) == ("", 3)
    assert str(answer.error).startswith("RateLimitError")


def test_one_request_that_fails_does_not_take_the_batch() -> None:
    with serving(replies={"a dog": (400, '{"error": {"message": "no dogs"}}')}) as server:
        answers = ask(server, max_retries=2)
    assert [bool(answer.error) for answer in answers] == [False, True, False, False]
    assert "no dogs" in str(answers[1].error)
    assert len(server.chats) == 4  # what will not pass is not asked again


@pytest.mark.parametrize(
    "error",
    [
        {"code": "content_filter", "message": "The response was filtered", "status": 400},
        {"innererror": {"code": "ResponsibleAIPolicyViolation"}, "message": "no"},
        {"code": "data_inspection_failed", "message": "Input data may be inappropriate."},
        {"message": "Content Exists Risk", "type": "invalid_request_error"},
    ],
    ids=["azure", "policy", "dashscope", "deepseek"],
)
def test_a_question_that_a_filter_stops_is_answered_with_nothing(error: dict[str, object]) -> None:
    with serving(replies={"a dog": (400, json.dumps({"error": error}))}) as server:
        answers = ask(server, max_retries=2)
    assert answers[1] == Answer("", finish_reason="content_filter")
    assert [bool(answer.text) for answer in answers] == [True, False, True, True]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "text/html"}, "<html>Welcome to nginx!</html>"),
        ({}, '{"choices": [{"message"'),
        ({}, '{"choices": []}'),
        ({}, '{"object": "list"}'),
        ({}, "null"),
        ({}, '["a", "b"]'),
        ({}, ""),
    ],
)
def test_nonsense_fails_the_row(headers: dict[str, str], body: str) -> None:
    with serving(script=[(200, headers, body)]) as server:
        bad, good = (ask(server, PROMPTS[:1])[0] for _ in range(2))
    assert "is not a chat completion" in str(bad.error)
    assert good.text


def test_an_answer_without_a_text_or_counts_is_an_empty_one() -> None:
    body = json.dumps({"choices": [{"message": {"role": "assistant", "content": None}}]})
    with serving(script=[(200, {}, body), (200, {}, completion("  "))]) as server:
        assert ask(server, PROMPTS[:1]) == [Answer("", None, None)]
        assert ask(server, PROMPTS[:1]) == [Answer("", 11, 7, finish_reason="stop")]


def test_a_server_that_stalls_fails_the_row() -> None:
    with serving(wait_s=3) as server:
        (answer,) = ask(server, PROMPTS[:1], timeout_s=0.2)
    assert str(answer.error).startswith("APITimeoutError")


def test_requests_keep_to_the_rate_retries_too() -> None:
    script = [(429, {"Retry-After": "0.001"}, "{}")] * 2
    with serving(script=script) as server:
        began = time.monotonic()  # a busy machine may let the first one wait
        answers = ask(server, requests_per_minute=600, max_retries=2)
    assert [answer.error for answer in answers] == [None] * 4
    assert len(server.times) == 6
    assert server.times[-1] - began > 4.9 * 0.1  # five gaps


def test_a_server_that_is_not_there_is_refused_before_the_run() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        server = ChatServer(port=unused.getsockname()[1])
        assert f"llm.base_url={server.url}: no server answers there" in refusal(config(server))


def test_a_server_that_does_not_list_its_models_is_believed() -> None:
    for status in (404, 500):
        with serving(models_status=status) as server:
            check(config(server))


@pytest.mark.parametrize("missing", ["base_url", "path"])
def test_address_and_model_are_needed(missing: str) -> None:
    assert f"llm.{missing}=None: this engine needs" in refusal(
        config(ChatServer(), **{missing: None})
    )


# --- what may be a secret


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (f"llm.api_key_env={KEY}", "llm.api_key_env=...: is not a name of a variable"),
        (f"+llm.api_key_env='{KEY}'", "llm.api_key_env=...: is not a name of a variable"),
        ("llm.api_key_env=gsk_9aSecretOfOurs", "names no variable that is set here"),
        (f"llm.api_key_env=PATH,{KEY}", "llm.api_key_env=...: is not a name of a variable"),
        ("llm.base_url=http://me:aSecretOfOurs@host/v1", "contains more than an address"),
        ("llm.base_url=http://host/v1?api_key=aSecretOfOurs", "contains more than an address"),
    ],
)
def test_a_typed_key_reaches_no_file_and_no_message(tmp_path: Path, typed: str, said: str) -> None:
    done = imagepipe(tmp_path, "-m", "llm=openai", typed)
    assert done.returncode == 2
    assert said in done.stderr
    assert "secret" not in (done.stderr + done.stdout).lower()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("key", "typed", "said"),
    [
        (KEY, ["hydra.run.dir=out"], "is not a name of a variable"),
        ("gsk_9aSecretOfOurs", ["hydra.run.dir=out"], "names no variable that is set here"),
        ("gsk_9aSecretOfOurs", ["-m", "seed=1,2", "hydra.sweep.dir=out"], "names no variable"),
    ],
)
def test_a_key_in_a_preset_is_not_copied(
    tmp_path: Path, key: str, typed: list[str], said: str
) -> None:
    preset = tmp_path / "conf" / "llm" / "mine.yaml"
    preset.parent.mkdir(parents=True)
    preset.write_text(
        "name: mine\nengine: openai\npath: m\nbase_url: http://127.0.0.1:9/v1\n"
        f"api_key_env: {key}\n"
    )
    done = imagepipe(tmp_path, *typed, "llm=mine", "--config-dir", "conf")
    assert done.returncode == 2
    assert f"llm.api_key_env=...: {said}" in done.stderr
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path != preset]
    assert not [path for path in files if key.encode() in path.read_bytes()]
    assert key not in done.stderr + done.stdout


@pytest.mark.parametrize("held", [f"{KEY}\n", f" {KEY}", f"{KEY}\tb", f"{KEY}\r\n", f"é{KEY}"])
def test_a_variable_that_holds_no_key_is_refused_without_its_text(
    monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    monkeypatch.setenv("OUR_KEY", held)
    with serving(key=KEY) as server:
        asked = config(server, api_key_env="OUR_KEY")
        said = refusal(asked)
        with pytest.raises(UserError) as caught:
            make(asked).load()
    assert said == str(caught.value)
    assert "llm.api_key_env=OUR_KEY: the variable holds a line end" in said
    assert "secret" not in said


def test_a_connection_that_fails_does_not_tell_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_KEY", KEY)
    with serving(key=KEY, models_moved_to=f"{KEY}://host") as server:
        said = refusal(config(server, api_key_env="OUR_KEY"))
    assert "where no server answers (UnsupportedProtocol: " in said
    assert KEY not in said


def test_a_long_complaint_is_not_cut_within_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_KEY", KEY)
    lengths = range(210, 280, 10)
    complaints = [json.dumps({"error": {"message": "x" * n + KEY}}) for n in lengths]
    with serving(script=[(400, {}, complaint) for complaint in complaints]) as server:
        answers = ask(server, ["a cat"] * len(complaints), api_key_env="OUR_KEY")
    assert all("x" * 210 in str(answer.error) for answer in answers)
    assert not [answer for answer in answers if "sk-" in str(answer.error)]


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    done = imagepipe(tmp_path, "llm=openai", "llm.base_url=localhost:8000")
    assert done.returncode == 2
    assert "llm.base_url=localhost:8000: is not an address of a server" in done.stderr


# --- a whole run


def test_a_run_counts_answers_fallbacks_and_failures(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,what\n1,a cat\n2,a dog\n3,an owl\n4,\n5,a fox\n")
    with_database(tmp_path / "outputs")
    replies = {"a dog": (200, "I'm sorry, but I can't."), "an owl": (400, "bad")}
    with serving(replies=replies) as server:
        out = one_session.run(
            tmp_path,
            "out",
            *("llm=openai", f"llm.base_url={server.url}", "llm.path=m", "llm.max_retries=0"),
            *("llm.system=''", "llm.user='{prompt}'"),
            *("model=noop", "model.width=64", "model.height=64", "tracking.system_metrics=false"),
            *("dataset=csv", "dataset.path=t.csv", 'dataset.prompt="{what}"'),
        )
    rows = {row["id"]: row for row in pq.read_table(out / "table").to_pylist()}
    said = {key: (row["prompt"], row["llm_fallback"]) for key, row in rows.items()}
    assert said == {
        "1": ("a cat, in falling snow", None),
        "2": ("a dog", "refusal"),
        "5": ("a fox, in falling snow", None),
    }
    failed = {row["id"]: row for row in pq.read_table(out / "failed.parquet").to_pylist()}
    assert {key: row["stage"] for key, row in failed.items()} == {"3": "llm", "4": "prompt"}
    assert "HTTP 400" in failed["3"]["reason"]
    counts = summary(out)["llm"]
    assert (counts["engine"], counts["tokens_in"], counts["tokens_out"]) == ("openai", 33, 21)
    assert (counts["fell_back"], counts["fallbacks"]) == (1, {"refusal": 1})
    assert _metrics(out)["llm/fell_back"] == 1


def _metrics(out: Path) -> dict[str, float]:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{out.parent / 'outputs' / 'mlflow.db'}")
    found = client.get_run(summary(out)["mlflow"]["run_id"])
    assert found.data.params["llm_engine"] == "openai"
    return found.data.metrics
