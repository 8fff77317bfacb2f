"""Answers from a server that speaks OpenAI's chat completions, such as vLLM's own.

The client library retries and obeys Retry-After. Ray Data's HTTP processor would not do: one
request that fails for good takes its batch and the run with it, and a refusal (401) counts as an
answer.
"""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from imagepipe.config.secrets import HIDDEN
from imagepipe.errors import UserError, with_class
from imagepipe.llm import Answer, endpoint
from imagepipe.llm.chat import messages

if TYPE_CHECKING:
    from openai import OpenAI

    from imagepipe.config import LLM

CHECK_S = 10.0  # for a server's first sign of life
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
        self.client = _client(self.config, self.config.timeout_s, self.config.max_retries)

    def enhance(self, prompts: list[str], seasons: list[str], seeds: list[int]) -> list[Answer]:
        with ThreadPoolExecutor(max(1, len(prompts))) as threads:
            return list(threads.map(self._answer, prompts, seasons, seeds))

    def _answer(self, prompt: str, season: str, seed: int) -> Answer:
        from openai import OpenAIError

        try:
            said = self.client.chat.completions.with_raw_response.create(
                **self._request(prompt, season, seed)
            )
            return _read(said.http_response.text)
        except (OpenAIError, ValueError) as error:
            return Answer("", error=_plain(error, self.key))

    def _request(self, prompt: str, season: str, seed: int) -> dict[str, Any]:
        config = self.config
        template = config.chat_template_kwargs
        return {
            "model": config.path,
            "messages": messages(config.system, config.user, prompt, season),
            "temperature": config.temperature,
            "top_p": config.top_p,
            "max_tokens": config.max_tokens,
            "seed": seed,
            **({"extra_body": {"chat_template_kwargs": template}} if template else {}),
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


def check(config: LLM) -> None:
    """Ask the server for its models. Raises `UserError` where it cannot be used as configured.

    A server that answers in another way than with 401 or 403 is believed to be there: not every
    one lists its models.
    """
    import openai

    endpoint.check_secrets(config)
    for field, value in (("llm.base_url", config.base_url), ("llm.path", config.path)):
        if value is None:
            raise UserError(
                field=field,
                value=None,
                problem="the openai engine needs a server's address and a model's name",
                remedy="Such as llm.base_url=http://host:8000/v1 llm.path=NAME.",
            )
    key = endpoint.key(config)
    try:
        _client(config, CHECK_S, max_retries=0).models.list()
    except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
        raise UserError(
            field="llm.api_key_env",
            value=config.api_key_env,
            problem=f"the server does not accept the key (HTTP {error.status_code})",
            remedy="Put the right key into that variable."
            if config.api_key_env
            else "Put a key into the environment and name its variable here.",
        ) from None
    except openai.APIConnectionError as error:
        raise UserError(
            field="llm.base_url",
            value=config.base_url,
            problem=f"no server answers there ({_plain(error.__cause__ or error, key)})",
            remedy="Start it, or give the right address, such as http://host:8000/v1.",
        ) from None
    except (openai.APIStatusError, ValueError):
        return


def _client(config: LLM, timeout_s: float, max_retries: int) -> OpenAI:
    from openai import DefaultHttpxClient, OpenAI

    pace: list[Any] = [Pace(config.requests_per_minute)] if config.requests_per_minute else []
    return OpenAI(
        base_url=config.base_url,
        api_key=endpoint.key(config) or "none",  # the client insists on one
        timeout=timeout_s,
        max_retries=max_retries,
        http_client=DefaultHttpxClient(event_hooks={"request": pace}),
    )


def _read(text: str) -> Answer:
    """The answer of a chat completion. Raises ValueError where `text` is none."""
    import json

    try:
        completion = json.loads(text)
        message = completion["choices"][0]["message"]["content"]
        usage = completion.get("usage") or {}
        return Answer(
            str(message or "").strip(), usage.get("prompt_tokens"), usage.get("completion_tokens")
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        raise ValueError(f"the server's answer is no chat completion: {text!r}") from None


def _plain(error: BaseException, key: str | None) -> str:
    """What to tell of `error`, without the key: some servers repeat one that they do not like."""
    whole = with_class(error, limit=sys.maxsize)
    return whole.replace(key or HIDDEN, HIDDEN)[:REASON_CHARS]
