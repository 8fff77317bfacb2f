"""Servers that are nearly OpenAI's: the question before the run, parameters, bodies, messages."""

from __future__ import annotations

import json
import re
from typing import Any

import pyarrow as pa
import pytest
from helpers.chat_server import ChatServer, completion, serving

from imagepipe.config import LLM
from imagepipe.diffusion.limits import PromptLimit
from imagepipe.errors import UserError
from imagepipe.llm import Answer, check, make
from imagepipe.llm.completion import read
from imagepipe.llm.stage import stage
from imagepipe.stages.stage import FAILED_REASON, FAILED_STAGE, apply

MAX_TOKENS = "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
BOTH = "`temperature` and `top_p` cannot both be specified for this model."
NO_SEED = {"message": {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs"}]}}


def config(server: ChatServer, **changes: object) -> LLM:
    values = {"name": "m", "engine": "openai", "path": "m", "base_url": server.url}
    return LLM(**{**values, "user": "{prompt}", "max_retries": 2, **changes})


def refused(status: int, body: object, **changes: object) -> str:
    text = body if isinstance(body, str) else json.dumps(body)
    with serving(script=[(status, {}, text)]) as server, pytest.raises(UserError) as caught:
        check(config(server, **changes))
    return str(caught.value).replace(server.url, "URL")


def error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error"}}


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, error(MAX_TOKENS), "'llm.request={max_tokens: null, max_completion_tokens: ${llm.ma"),
        (400, error(BOTH), "'llm.request={top_p: null}'"),
        (422, NO_SEED, "'llm.request={seed: null}'"),
        (400, [error('Unknown name "seed": Cannot find field.')], "'llm.request={seed: null}'"),
        (400, error("Only the default temperature is supported"), "{temperature: null}"),
        (
            404,
            error("model 'm' not found"),
            "llm.path=m: the server refuses the question (HTTP",
        ),
        (404, error("model 'm' not found"), "Its models: m."),
        (400, error("This model only supports stream=true"), "'llm.request={stream: true}'"),
        (400, error("maximum context length of the model is 8"), "Ask for less, or name a model"),
        (400, error("System role not supported"), "llm.system=Be brief.: the server refuses"),
        (
            404,
            "404 page not found",
            "llm.base_url=URL: there are no chat completions at URL/chat",
        ),
        (
            400,
            {"error": "Context length exceeded"},
            '400: {"error": "Context length exceeded',
        ),
        (
            400,
            error("'max_tokens' is too large: the context length is 32"),
            "Ask for less, or name",
        ),
        (
            400,
            [error("API key not valid. Pass a valid one.")],
            "the server does not accept the key",
        ),
        (403, error("API key expired"), "the server does not accept the key (HTTP 403)"),
        (500, error("Conversation roles must alternate user/assistant"), "set llm.system='' and"),
        (400, error("the tokenizer has no chat template"), "Start the server with a chat template"),
        (403, "Your IP is not allowed", "(HTTP 403: Your IP is not allowed)"),
        (402, error("Insufficient Balance"), "its account has no credit left: HTTP 402"),
        (
            429,
            {"error": {"code": "insufficient_quota"}},
            "its account has no credit left",
        ),
        (
            200,
            {"error": {"message": "no such model"}},
            'not a chat completion: {"error": {"message"',
        ),
        (200, {"error": "out of memory"}, "Its own log says more; type the command again once"),
        (200, "", "not a chat completion: nothing at all. Use the address"),
        (
            200,
            'data: {"choices"',
            "the server's answer is not a chat completion: data",
        ),
        (200, {"choices": [{"error": {"message": "overloaded"}}]}, "overloaded"),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_what_a_server_will_not_take_is_refused_before_the_run(
    status: int, body: object, said: str
) -> None:
    assert said in refused(status, body, system="Be brief.")


def test_a_server_that_has_no_models_says_so() -> None:
    missing = (404, {}, json.dumps(error("The model `m` does not exist")))
    with serving(script=[missing], models=()) as server, pytest.raises(UserError) as caught:
        check(config(server))
    assert str(caught.value).endswith("Its models: none.")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("", "/v1"),
        ("/", "/v1"),
        ("/v1/chat/completions", "/v1"),
        ("/v1/completions/", "/v1"),
        ("/api/chat", "/v1"),
        ("/openai/v1/models", "/openai/v1"),
    ],
)
def test_an_address_that_is_nearly_right_is_told(typed: str, meant: str) -> None:
    missing = (404, {}, "404 page not found")
    with serving(script=[missing]) as server:
        root = server.url.removesuffix("/v1")
        asked = config(server, base_url=root + typed)
        with pytest.raises(UserError) as caught:
            check(asked)
    assert f"Try llm.base_url={root}{meant}." in str(caught.value)


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (
            307,
            {"Location": "http://127.0.0.1:1/x"},
            "sends the question on to http://127.0.0.1:1, ",
        ),
        (
            301,
            {"Location": "https://127.0.0.1:1/x"},
            "sends the question on to https://127.0.0.1:1",
        ),
        (
            307,
            {"Location": "/v1/chat/completions"},
            "answers, but so that nothing can be read (TooManyRedirects: ",
        ),
        (200, {"Content-Encoding": "gzip"}, "nothing can be read (DecodingError: "),
    ],
    ids=["elsewhere", "other-scheme", "round", "no-gzip"],
)
def test_what_leads_astray_is_refused_and_fails_a_row_with_its_cause(
    status: int, headers: dict[str, str], said: str
) -> None:
    """The same comes for every row, though the server lists its models."""
    script = [(status, headers, "not packed") for _ in range(50)]
    with serving(script=script) as server:
        asked = config(server, max_retries=0)
        with pytest.raises(UserError) as caught:
            check(asked)
        enhancer = make(asked)
        enhancer.load()
        (answer,) = enhancer.enhance(["a cat"], ["winter"], [1])
    assert str(caught.value).startswith(f"llm.base_url={server.url}: ") and said in str(
        caught.value
    )
    kind = re.search(r"\((\w+): ", str(caught.value))
    assert kind is not None and str(answer.error).startswith(f"{kind[1]}: ")


PIECE = 'data: {"choices": [{"delta": {"content": "a cat in"}, "finish_reason": null}]}\n\n'


@pytest.mark.parametrize(
    ("text", "finish"),
    [
        (f": PROCESSING\n\n: PROCESSING\n\n{PIECE}data: [DONE]\n\n", None),
        (f"event: message\nid: 1\n{PIECE}data: [DONE]\n\n", None),
        (f"\nretry: 10\n{PIECE}data: [DONE]", None),
        (PIECE, "incomplete"),  # its end did not come
    ],
    ids=["remarks", "named", "retry", "cut"],
)
def test_a_stream_may_hold_more_than_data_and_needs_an_end(text: str, finish: str | None) -> None:
    answer = read(text)
    assert (answer.text, answer.finish_reason) == ("a cat in", finish)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
def test_what_may_pass_refuses_no_run(status: int) -> None:
    with serving(script=[(status, {}, "{}")]) as server:
        check(config(server))
    assert len(server.chats) == 1


def test_a_server_that_takes_too_long_is_told_with_the_limit() -> None:
    with serving(wait_s=2) as server, pytest.raises(UserError) as caught:
        check(config(server, timeout_s=0.2))
    assert "llm.timeout_s=0.2" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("all_proxy", "socks5://127.0.0.1:9", "SOCKS proxy, but .* pip install socksio"),
        ("HTTP_PROXY", "none://u:pw@host", r"Unknown scheme .* Unset or correct it\."),
        ("SSL_CERT_FILE", "/none", r"llm.base_url cannot be asked by that \(.*No such file"),
        ("http_proxy", "http://127.0.0.1:1", "there through the proxy .* host into no_proxy"),
    ],
    ids=["socks", "scheme", "certificates", "away"],
)
def test_what_the_environment_has_for_the_way_to_a_server_is_told(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    for one in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(one, raising=False)
    monkeypatch.setenv(name, value)
    server = LLM(name="m", engine="openai", path="m", base_url="http://host.invalid/v1", user="x")
    with pytest.raises(UserError, match=said) as caught:
        check(server)
    assert "pw" not in str(caught.value)
    assert caught.value.field == "llm.base_url" or name in str(caught.value.value)


def test_the_one_question_is_asked_as_a_rows_is() -> None:
    with serving() as server:
        check(config(server, system="Be brief.", request={"top_k": 5}))
    (asked,) = server.chats
    assert asked["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (asked["top_k"], asked["max_tokens"]) == (5, 64)


def test_parameters_are_left_out_renamed_and_added() -> None:
    changes = {"max_tokens": None, "max_completion_tokens": 64, "seed": None, "think": False}
    with serving() as server:
        (answer,) = asking(server, stop=["END"], request=changes)
    assert answer.error is None
    (asked,) = server.chats
    assert {name: value for name, value in asked.items() if name not in ("model", "messages")} == {
        "temperature": 0.8,
        "top_p": 1.0,
        "stop": ["END"],
        "max_completion_tokens": 64,
        "think": False,
    }


def test_a_seed_has_no_more_bits_than_every_server_takes() -> None:
    with serving() as server:
        asking(server, seeds=[2**63 - 1])
    assert server.chats[0]["seed"] == 2**31 - 1


def test_azures_version_and_key_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_KEY", "abc")
    with serving() as server:
        (answer,) = asking(
            server,
            base_url=f"{server.url}?api-version=2024-06-01",
            api_key_env="OUR_KEY",
        )
    assert answer.error is None
    assert server.paths == ["/v1/chat/completions?api-version=2024-06-01"]
    assert server.headers[0]["api-key"] == "abc"


def asking(server: ChatServer, seeds: list[int] | None = None, **changes: object) -> list[Answer]:
    enhancer = make(config(server, **changes))
    enhancer.load()
    return enhancer.enhance(["a cat"], ["winter"], seeds or [1])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"error": {"message": "no dogs"}}', "BadRequestError: HTTP 400: no dogs"),
        ('{"error": "no dogs"}', 'BadRequestError: HTTP 400: {"error": "no dogs"}'),
        ('{"detail": "no dogs"}', 'BadRequestError: HTTP 400: {"detail": "no dogs"}'),
        ("no\n\tdogs\x1b[31m", "BadRequestError: HTTP 400: no dogs[31m"),
        ("", "BadRequestError: HTTP 400:"),
        ("x" * 9000, f"BadRequestError: HTTP 400: {'x' * 273}"),
    ],
)
def test_the_beginning_of_any_body_is_told(body: str, said: str) -> None:
    with serving(script=[(400, {}, body)]) as server:
        (answer,) = asking(server)
    assert answer.error == said


def test_an_account_without_money_is_asked_once() -> None:
    spent = (429, {"Retry-After": "0.01"}, '{"error": {"code": "insufficient_quota"}}')
    busy = (429, {"Retry-After": "0.01"}, '{"error": {"message": "quota of this minute"}}')
    for reply, times in ((spent, 1), (busy, 3)):
        with serving(script=[reply] * 3) as server:
            (answer,) = asking(server)
        assert len(server.chats) == times
        assert "HTTP 429" in str(answer.error)


PART = {"type": "text", "text": "a cat"}
THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ({"content": "a cat "}, Answer("a cat")),
        ({"content": [PART, {"type": "text", "text": " in snow"}]}, Answer("a cat in snow")),
        ({"content": [THOUGHT, PART]}, Answer("a cat", reasoning="Hm.")),
        ({"content": ["a cat"]}, Answer("a cat")),
        ({"content": [{"type": "refusal", "refusal": "No."}]}, Answer("", refusal="No.")),
        ({"content": None, "refusal": "No."}, Answer("", refusal="No.")),
        ({"content": None, "reasoning_content": "Hm."}, Answer("", reasoning="Hm.")),
        ({"content": "a cat", "reasoning": "Hm."}, Answer("a cat", reasoning="Hm.")),
        ({"content": 5}, Answer("")),
        ({"content": {"a": 1}, "refusal": 7}, Answer("")),
        ({"content": PART}, Answer("a cat")),
    ],
)
def test_a_message_is_read_in_each_of_its_forms(message: dict[str, Any], answer: Answer) -> None:
    assert read(json.dumps({"choices": [{"message": message}], "usage": 5})) == answer


def test_an_answer_that_comes_in_pieces_is_read() -> None:
    def piece(**delta: str | None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        return f"data: {json.dumps({'choices': [choice]})}\n\n"

    pieces = [
        *(piece(role="assistant", content=""), piece(reasoning_content="Hm. "), ": ping\n\n"),
        *(piece(content="a cat"), piece(content=None), piece(content=" in snow")),
        'data: {"choices": [{"delta": {}, "finish_reason": "length"}]}\n\n',
        'data: {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 4}}\n\n',
        "data: [DONE]\n\n",
    ]
    whole = Answer("a cat in snow", 5, 4, finish_reason="length", reasoning="Hm. ")
    assert read("".join(pieces)) == whole
    with pytest.raises(ValueError, match="not a chat completion: data: .*overloaded"):
        read('data: {"error": {"message": "overloaded"}}\n\n')


def test_a_mark_before_a_body_is_no_part_of_it() -> None:
    assert read("\ufeff" + completion("a cat")).text == "a cat"


ODD: dict[str, object] = {
    "text": {"prompt_tokens": "11", "completion_tokens": None},
    "huge": {"prompt_tokens": 2**40, "completion_tokens": 7.5},
    "float": {"prompt_tokens": 11.0, "completion_tokens": -1},
    "list": [1],
}


def counted(usage: object) -> str:
    return json.dumps({**json.loads(completion("a cat, falling snow")), "usage": usage})


def test_one_odd_answer_has_no_neighbour_asked_again() -> None:
    """Through the stage, which halves a batch that raises: a server is asked once a row."""
    replies = {"half": (200, "a cat half an emoji \ud83d")}
    replies |= {name: (200, counted(usage)) for name, usage in ODD.items()}
    rows = ["half", *ODD, "plain", "broken"]
    with serving(replies=replies | {"broken": (200, "{}")}) as server:
        llm = config(server)
        table = pa.table(
            {
                "base_prompt": [f"a cat {name}" for name in rows],
                "seed": pa.array(range(len(rows)), pa.int64()),
                FAILED_STAGE: pa.nulls(len(rows), pa.string()),
                FAILED_REASON: pa.nulls(len(rows), pa.string()),
            }
        )
        asked = stage(llm, limit=Choking)
        done = apply(asked, asked.recipe(), table)
    assert len(server.chats) == len(rows)
    reasons = dict(zip(rows, done[FAILED_REASON].to_pylist(), strict=True))
    assert {name for name, why in reasons.items() if why} == {"plain", "broken"}
    assert reasons["plain"] == "ValueError: a tokenizer of ours chokes"
    assert done["prompt"].to_pylist()[0] == "a cat half an emoji"
    tokens = zip(done["llm_tokens_in"].to_pylist(), done["llm_tokens_out"].to_pylist(), strict=True)
    assert list(tokens)[1:5] == [(None, None), (None, None), (11, None), (None, None)]


class Choking(PromptLimit):
    """A text encoder that cannot read one of the answers."""

    def cuts(self, prompt: str) -> bool:
        if "plain" in prompt:
            raise ValueError("a tokenizer of ours chokes")
        return False
