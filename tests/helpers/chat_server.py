"""A small server that speaks OpenAI's chat completions over real HTTP."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

from helpers.served import served


@dataclass
class ChatServer:
    """What it was asked, and how it shall answer.

    `script` holds (status, headers, body) for the first chats; later ones are answered with the
    question and "in falling snow". `replies` are answers to questions that hold a text, or whole
    bodies where they begin with a brace. `chances` are the probabilities of the first token, for
    questions that hold a text, of a server that gives logprobs.
    """

    key: str | None = None
    script: list[tuple[int, dict[str, str], str]] = field(default_factory=list)
    replies: dict[str, tuple[int, str]] = field(default_factory=dict)
    chances: dict[str, dict[str, float]] = field(default_factory=dict)
    together: threading.Barrier | None = None  # answer no one before so many have asked
    wait_s: float = 0.0
    models: Sequence[str] = ("m",)
    models_status: int = 200
    models_moved_to: str | None = None
    chats: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)  # names in small letters
    times: list[float] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)  # by path, for whoever gets them
    port: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def read(self, headers: Any, body: bytes) -> dict[str, Any]:
        """What a request holds."""
        read: dict[str, Any] = json.loads(body)
        return read

    def answer(self, asked: dict[str, Any]) -> tuple[int, dict[str, str], str]:
        with self.lock:
            self.chats.append(asked)
            self.times.append(time.monotonic())
            scripted = self.script.pop(0) if self.script else None
        if self.together:
            self.together.wait()
        time.sleep(self.wait_s)
        if scripted:
            return scripted
        return self.reply(asked)

    def reply(self, asked: dict[str, Any]) -> tuple[int, dict[str, str], str]:
        """What is not in the script."""
        question = question_of(asked)
        for text, chances in self.chances.items():
            if text in question and asked.get("logprobs"):
                most = sorted(chances.items(), key=lambda pair: -pair[1])[: asked["top_logprobs"]]
                return 200, {}, completion(most[0][0], dict(most))
        for text, (status, said) in self.replies.items():
            if text in question:
                whole = status != 200 or said.startswith("{")
                return status, {}, said if whole else completion(said)
        return 200, {}, completion(f" {question}, in falling snow\n")


Served = TypeVar("Served", bound=ChatServer)


def question_of(asked: dict[str, Any]) -> str:
    """The text of the last message, which may have pictures beside it."""
    content = asked["messages"][-1]["content"]
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    return " ".join(part["text"] for part in parts if part["type"] == "text")


def first_token(chances: dict[str, float]) -> dict[str, Any]:
    """`logprobs` of a choice, as OpenAI words it."""
    tokens = [
        {"token": token, "logprob": math.log(chance), "bytes": list(token.encode())}
        for token, chance in chances.items()
    ]
    return {"content": [{**tokens[0], "top_logprobs": tokens}], "refusal": None}


def completion(text: str, chances: dict[str, float] | None = None) -> str:
    return json.dumps(
        {
            "id": "chat-1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "logprobs": first_token(chances) if chances else None,
                    "message": {"role": "assistant", "content": text},
                }
            ],
            "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
        }
    )


def serving(**options: Any) -> AbstractContextManager[ChatServer]:
    """A server on a free port, stopped again at the end."""
    return running(ChatServer(**options))


@contextmanager
def running(chat: Served) -> Iterator[Served]:
    """`chat` on a free port, stopped again at the end."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path in chat.files:
                self._send(200, {"Content-Type": "image/png"}, chat.files[self.path])
                return
            data = [{"id": name, "object": "model"} for name in chat.models]
            models = {"object": "list", "data": data}
            known = self.path == "/v1/models" and chat.models_status == 200
            headers = {"Location": chat.models_moved_to} if chat.models_moved_to else {}
            status = 302 if headers else 200 if known else chat.models_status
            self._send(status, headers, json.dumps(models))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            chat.paths.append(self.path)
            chat.headers.append({name.lower(): value for name, value in self.headers.items()})
            moved = {"Location": chat.models_moved_to} if chat.models_moved_to else {}
            self._send(*((302, moved, "") if moved else chat.answer(chat.read(self.headers, body))))

        def _send(self, status: int, headers: dict[str, str], body: str | bytes) -> None:
            given = self.headers.get("Authorization", "")
            if chat.key and given != f"Bearer {chat.key}":
                status, headers, body = 401, {}, json.dumps({"error": f"bad key: {given}"})
            content = body.encode() if isinstance(body, str) else body
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """A client that did not wait is no error here."""

    with served(Server(("127.0.0.1", 0), Handler)) as server:
        chat.port = server.server_address[1]
        yield chat
