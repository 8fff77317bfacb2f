"""One request to a server with OpenAI's API, and what to say if it fails.

The client library retries and obeys Retry-After. Ray Data's HTTP processor would not do: one
request that keeps failing ends its batch and the run, and a refusal (401) counts as an answer.
"""

from __future__ import annotations

import os
import re
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from imagepipe.config import Server
from imagepipe.config.secrets import HIDDEN
from imagepipe.errors import UserError, one_line
from imagepipe.servers import endpoint

if TYPE_CHECKING:
    from openai import OpenAI

T = TypeVar("T")

CONNECT_S = 10.0  # to a server
SEEDS = 1 << 31  # seeds have 31 bits, which is what all servers take
REASON_CHARS = 300  # of a server's complaint, which may be a whole page
# By which the client goes elsewhere, or trusts others; their values may hold a password.
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "ssl_cert_file", "ssl_cert_dir")


@dataclass(frozen=True)
class Question:
    """A request. `request` of its section changes `fields`, of which a null is left out, and not
    what is `fixed`.
    """

    path: str  # behind the server's address
    asked_for: str  # in words: "chat completions"
    fixed: Mapping[str, Any]
    fields: Mapping[str, Any]
    files: tuple[tuple[str, bytes], ...] = ()  # PNGs by their fields: it goes as a form then

    @property
    def body(self) -> dict[str, Any]:
        return {**self.fixed, **{k: v for k, v in self.fields.items() if v is not None}}


def ask(client: OpenAI, question: Question) -> str:
    """The body of the answer to one question, as it came. Raises OpenAIError."""
    if not question.files:
        return client.post(question.path, cast_to=str, body=question.body)
    files = [(name, (f"{n}.png", png, "image/png")) for n, (name, png) in enumerate(question.files)]
    form: Any = {"headers": {"Content-Type": "multipart/form-data"}}
    return client.post(question.path, cast_to=str, body=question.body, files=files, options=form)


class Asker:
    """Asks many questions at once, each in a thread of its own, from the process that loads it.

    Failures that may pass (no connection, 408, 409, 429, 5xx, a timeout) are tried
    `max_retries` of the section times more; what fails then fails its question alone.
    """

    def __init__(self, server: Server) -> None:
        self.key = endpoint.key(server)
        self.client = client(server, server.max_retries)
        weakref.finalize(self, self.client.close)

    def answers(
        self,
        questions: Sequence[Question],
        read: Callable[[str], T],
        refused: Callable[[str], T | None] = lambda _: None,
    ) -> list[tuple[T, None] | tuple[None, str]]:
        """What `read` makes of each answer's body, and null; or null, and why there is none.

        `refused` is asked first for what the body of a refused question says.
        """
        from openai import APIStatusError

        def answer(question: Question) -> tuple[T, None] | tuple[None, str]:
            try:
                return read(ask(self.client, question)), None
            except Exception as error:  # one that travelled on would have all asked again
                body = error.response.text if isinstance(error, APIStatusError) else None
                found = refused(body) if body else None
                return (None, plain(error, self.key)) if found is None else (found, None)

        with ThreadPoolExecutor(max(1, len(questions))) as threads:
            return list(threads.map(answer, questions))


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
    """A client of the server at `base_url`; a server of Azure gets the key as it wants it.

    Raises UserError where the environment names a proxy or certificates that cannot be used.
    """
    from openai import OpenAI, Timeout

    address, query = endpoint.parted(server.base_url or "")
    key = endpoint.key(server) or "none"  # the client insists on one
    return OpenAI(
        base_url=address,
        api_key=key,
        default_query=query,
        default_headers={"api-key": key} if query else None,
        timeout=Timeout(server.timeout_s, connect=min(CONNECT_S, server.timeout_s)),
        max_retries=max_retries,
        http_client=_http_client(server),
    )


def _http_client(server: Server) -> Any:
    from openai import DefaultHttpxClient

    pace: list[Any] = [Pace(server.requests_per_minute)] if server.requests_per_minute else []
    try:
        return DefaultHttpxClient(event_hooks={"request": pace, "response": [_mark_spent]})
    except (ImportError, OSError, ValueError) as error:
        names = [name for name in os.environ if name.lower() in VARIABLES]
        raise UserError(
            field="environment",
            value=", ".join(sorted(names)),
            problem=f"{server.section}.base_url cannot be asked by that ({one_line(error)})",
            remedy="Unset or correct it. A SOCKS proxy needs one more package: pip install socksio",
        ) from error


def is_by_proxy(url: str) -> bool:
    """Whether the environment names a proxy that `url` is asked through."""
    parts, proxies = urlsplit(url), getproxies()
    named = parts.scheme in proxies or "all" in proxies
    return named and not proxy_bypass(parts.hostname or "")


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
    from openai import APIConnectionError, APIStatusError, APITimeoutError

    if isinstance(error, APIConnectionError) and not isinstance(error, APITimeoutError):
        error = error.__cause__ or error  # which has the words
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
