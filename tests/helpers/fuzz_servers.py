"""Whatever a server of OpenAI's kind may answer: real HTTP for its status, headers and bodies, and
many more of its completions read and judged without.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from functools import cache
from typing import Any

import pyarrow as pa
from helpers import poison
from helpers.chat_server import completion, serving
from helpers.fuzz import is_plain
from hypothesis import strategies as st

from imagepipe.config import LLM
from imagepipe.errors import UserError
from imagepipe.llm import Answer
from imagepipe.llm import completion as completions
from imagepipe.llm.answers import FALLBACKS
from imagepipe.llm.openai import OpenAIEnhancer, check
from imagepipe.llm.stage import ADDS, columns_of
from imagepipe.stages.stage import FAILED_REASON

BASES = ("a red cat wearing a hat", "cat", "{a} <b>", "猫と帽子", "note: a sign", "1. a list")
WORDS = (
    *("a red cat wearing a hat", "in falling snow", "Sure! Here is it:", "<think>", "</think>"),
    *("```", "**", '"', "“", "Note:", "Prompt:", "\n\n", "\n", "1. ", "- ", "{", "}", "[", "]"),
    *("<|im_end|>", "<|channel|>final<|message|>", "assistant", "I cannot", "?", ".", ": ", "猫"),
    *('{"prompt": "a cat"}', "</s>", "\x00", "\x1b[31m", "\u202e", "\ud83d", "é" * 40, "| a | b |"),
    *("analysis", "Season: winter", "(12 words)", "--ar 16:9", "[INST]", "...", "!" * 9, "<b>"),
)
SAID = st.one_of(
    st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join),
    st.lists(st.sampled_from(WORDS), max_size=8).map("".join),
    *(st.text(max_size=60), poison.SURROGATES, st.sampled_from([t[:900] for t in poison.LONG])),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=5,
)
PARTS = st.lists(
    st.one_of(
        JSON,
        st.fixed_dictionaries(
            {"type": st.sampled_from(["text", "thinking", "refusal", "image"]), "text": SAID},
            optional={"thinking": st.one_of(SAID, JSON), "refusal": SAID},
        ),
    ),
    max_size=3,
)
FINISHED = st.sampled_from(["stop", "length", "content_filter", "refusal", "tool_calls", None, 1])
MESSAGES = st.fixed_dictionaries(
    {"content": st.one_of(SAID, PARTS, JSON)},
    optional={
        "refusal": st.one_of(SAID, JSON),
        "reasoning_content": SAID,
        "reasoning": JSON,
        "tool_calls": JSON,
    },
)
CHOICES = st.fixed_dictionaries(
    {"message": st.one_of(MESSAGES, JSON)},
    optional={"finish_reason": st.one_of(FINISHED, JSON), "error": JSON},
)
COMPLETIONS = st.fixed_dictionaries(
    {"choices": st.one_of(st.lists(CHOICES, min_size=1, max_size=2), JSON)},
    optional={
        "usage": st.one_of(JSON, st.fixed_dictionaries({"prompt_tokens": JSON})),
        "error": st.one_of(JSON, st.fixed_dictionaries({"message": SAID, "code": JSON})),
    },
)
PIECES = st.fixed_dictionaries(
    {
        "choices": st.one_of(
            JSON,
            st.lists(
                st.fixed_dictionaries(
                    {"delta": st.one_of(MESSAGES, JSON)}, optional={"finish_reason": FINISHED}
                ),
                max_size=2,
            ),
        )
    },
    optional={"usage": JSON},
)
EVENTS = st.one_of(
    PIECES.map(json.dumps), JSON.map(json.dumps), st.sampled_from(["[DONE]", "", ": alive", "{"])
)


def _stream(events: list[str], end: str) -> str:
    return "".join(f"data: {event}{end}" for event in events)


BODIES = st.one_of(
    COMPLETIONS.map(json.dumps),
    st.builds(_stream, st.lists(EVENTS, max_size=4), st.sampled_from(["\n\n", "\r\n\r\n", "\n"])),
    *(JSON.map(json.dumps), SAID, SAID.map(completion)),
    st.fixed_dictionaries({"error": st.one_of(SAID, JSON, st.dictionaries(SAID, JSON))}).map(
        json.dumps
    ),
    st.sampled_from(["", "<html>", "[" * 9000, "null", "{" * 9, '"', "data: {}\n\n", "\ufeff{}"]),
)


def bodies() -> st.SearchStrategy[tuple[str, str]]:
    """A base prompt, and the body that answers it."""
    return st.tuples(st.sampled_from(BASES), BODIES)


class NoLimit:
    """A text encoder that cuts nothing."""

    def cuts(self, prompt: str) -> bool:
        return False


def check_body(given: tuple[str, str]) -> None:
    """It fails its row plainly, or leaves a prompt that can be drawn: the base prompt, or words of
    the answer.
    """
    base, body = given
    try:
        answer = completions.read(body)
    except ValueError:  # which fails the row
        return
    config = LLM(name="t", engine="openai", stop=["STOP"])
    rows = pa.table({"base_prompt": [base], "seed": [1]})
    columns = columns_of(rows, [answer], config, NoLimit())
    assert columns[FAILED_REASON] == [None], columns
    row = {field.name: pa.array(columns[field.name], field.type)[0].as_py() for field in ADDS}
    _is_drawable(base, row, answer)


def _is_drawable(base: str, row: dict[str, Any], answer: Answer) -> None:
    prompt, why = row["prompt"], row["llm_fallback"]
    assert why is None or why in FALLBACKS
    if why is not None:
        assert prompt == base, row
        return
    assert prompt.strip(), row
    odd = [sign for sign in prompt if unicodedata.category(sign) in ("Cc", "Cs")]
    assert not odd, (odd, row)
    said = iter(answer.text + (answer.reasoning or ""))
    assert all(sign in said for sign in filter(str.isalnum, prompt)), row  # in that order
    assert row["llm_answer"] is not None or prompt == answer.text.strip(), row


STATUS = st.sampled_from([200, 200, 400, 401, 402, 403, 404, 405, 408, 409, 422, 429, 500, 503])
HEADERS = st.dictionaries(
    st.sampled_from(["Content-Type", "Retry-After", "x-should-retry"]),
    st.sampled_from(["text/html", "application/json; charset=latin-1", "0", "-1", "x", "true"]),
)
KEY, KEY_ENV = "key-of-the-test", "FUZZ_KEY"


def replies() -> st.SearchStrategy[tuple[int, dict[str, str], str]]:
    """A status, headers and a body, which may repeat the key."""
    bodies = st.one_of(BODIES, BODIES.map(lambda body: body + KEY))
    return st.tuples(
        STATUS, HEADERS, bodies.map(lambda text: text.encode("utf-8", "replace").decode())
    )


@cache
def _server() -> tuple[Any, Any]:
    """One for all, which ends with the process."""
    open_server = serving()
    return open_server, open_server.__enter__()


def _refused(config: LLM) -> str | None:
    try:
        check(config)
    except UserError as error:
        return str(error)
    return None


def check_reply(given: tuple[int, dict[str, str], str]) -> None:
    """The question before a run is refused plainly or passes; a row fails alone, with the reason.

    Neither shows the key.
    """
    _, server = _server()
    config = replace(
        LLM(name="t", engine="openai", path="m"),
        base_url=server.url,
        api_key_env=KEY_ENV,
        max_retries=0,
        timeout_s=5.0,
    )
    server.script[:] = [given]
    if refused := _refused(config):
        assert KEY not in is_plain(refused)
    server.script[:] = [given]
    enhancer = OpenAIEnhancer(config)
    enhancer.load()
    (answer,) = enhancer.enhance(["a red cat"], ["winter"], [1])
    if answer.error is not None:
        assert KEY not in is_plain(answer.error)
