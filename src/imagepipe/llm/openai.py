"""Answers from a server that speaks OpenAI's chat completions, such as vLLM's own.

The client library retries and obeys Retry-After. Ray Data's HTTP processor would not do: one
request that fails for good takes its batch and the run with it, and a refusal (401) counts as an
answer.
"""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from imagepipe.config.secrets import HIDDEN
from imagepipe.llm import Answer, completion, endpoint
from imagepipe.llm.chat import messages
from imagepipe.llm.endpoint import Server

if TYPE_CHECKING:
    from openai import OpenAI

    from imagepipe.config import LLM

CONNECT_S = 10.0  # to a server
REASON_CHARS = 300  # of a server's complaint, which may be a whole page


class OpenAIEnhancer:
    """Asks all rows of a batch at once, each in a thread of its own.

    Failures that may pass (no connection, 408, 409, 429, 5xx, a timeout) are tried
    `llm.max_retries` times more; what fails then fails its row alone.
    """

    def __init__(self, config: LLM) -> None:
        self.config = config
        self.client: Any = None
        self.key: str | None = None

    def load(self) -> None:
        self.key = endpoint.key(self.config)
        self.client = client(self.config, self.config.max_retries)

    def enhance(self, prompts: list[str], seasons: list[str], seeds: list[int]) -> list[Answer]:
        with ThreadPoolExecutor(max(1, len(prompts))) as threads:
            return list(threads.map(self._answer, prompts, seasons, seeds))

    def _answer(self, prompt: str, season: str, seed: int) -> Answer:
        try:
            said = ask(self.client, request(self.config, prompt, season, seed))
            return completion.read(said)
        except Exception as error:  # one that travelled on would have the whole batch asked again
            return Answer("", error=plain(error, self.key))


def ask(client: OpenAI, request: dict[str, Any]) -> str:
    """The body of the answer to one question, as it came. Raises OpenAIError."""
    text: str = client.chat.completions.with_raw_response.create(**request).http_response.text
    return text


def request(config: LLM, prompt: str, season: str, seed: int) -> dict[str, Any]:
    """The arguments of the client for one question.

    `llm.request` comes last; what it does not know goes into the body as it is. A seed has 31 bits,
    which is what all servers take.
    """
    template = config.chat_template_kwargs
    fields = {
        "temperature": config.temperature,
        "top_p": config.top_p,
        "max_tokens": config.max_tokens,
        "seed": seed % (1 << 31),
        "stop": config.stop or None,
        "chat_template_kwargs": template or None,
        **config.request,
    }
    return {
        "model": config.path,
        "messages": messages(config.system, config.user, prompt, season),
        "extra_body": {name: value for name, value in fields.items() if value is not None},
    }


class Pace:
    """Lets through so many requests a minute, evenly spaced, retries included."""

    def __init__(self, per_minute: float) -> None:
        self.seconds = 60 / per_minute
        self.lock = threading.Lock()
        self.next = time.monotonic()

    def __call__(self, _: object) -> None:
        """Wait for this request's turn."""
        with self.lock:
            turn = max(self.next, time.monotonic())
            self.next = turn + self.seconds
        time.sleep(max(0.0, turn - time.monotonic()))


def client(server: Server, max_retries: int) -> OpenAI:
    """A client of the server at `base_url`; a server of Azure gets the key as it wants it."""
    from openai import DefaultHttpxClient, OpenAI, Timeout

    pace: list[Any] = [Pace(server.requests_per_minute)] if server.requests_per_minute else []
    address, query = endpoint.parted(server.base_url or "")
    key = endpoint.key(server) or "none"  # the client insists on one
    return OpenAI(
        base_url=address,
        api_key=key,
        default_query=query,
        default_headers={"api-key": key} if query else None,
        timeout=Timeout(server.timeout_s, connect=min(CONNECT_S, server.timeout_s)),
        max_retries=max_retries,
        http_client=DefaultHttpxClient(event_hooks={"request": pace, "response": [_mark_spent]}),
    )


def _mark_spent(response: Any) -> None:
    """Keep the client from asking again where an account has nothing left to spend.

    It obeys this header, and takes each 429 for one that passes.
    """
    if response.status_code == 429:
        response.read()
        if is_spent(response.text):
            response.headers["x-should-retry"] = "false"


def is_spent(body: str) -> bool:
    """Whether a 429 is about money, by OpenAI's codes: others say "quota" of a minute's too."""
    return re.search(r"insufficient_quota|billing_(?:hard_limit|not_active)", body) is not None


def plain(error: BaseException, key: str | None) -> str:
    """What to tell of `error`, with the beginning of a body that the server sent.

    Without the key: some servers repeat one that they do not like.
    """
    from openai import APIStatusError

    said = f"{type(error).__name__}: {error}"
    if isinstance(error, APIStatusError):
        body = _message(error.response.text)
        said = f"{type(error).__name__}: HTTP {error.status_code}: {body}"
    said = " ".join(said.replace(key or HIDDEN, HIDDEN).split())
    return "".join(filter(str.isprintable, said))[:REASON_CHARS]


def _message(body: str) -> str:
    """The message of an error as OpenAI words it; any other body as it is."""
    import json

    try:
        error = json.loads(body)["error"]
        alone = isinstance(error["message"], str) and error["message"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return body
    return error["message"] if alone else body
