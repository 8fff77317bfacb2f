"""A real MLflow server behind a gateway that answers for it where a test says so."""

from __future__ import annotations

import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = b"<!doctype html><title>Error</title>" + b"<p>" * 400  # as servers and gateways answer
JSON = b"{}"  # an empty answer, as MLflow's own are


class Gateway(ThreadingHTTPServer):
    """Hands each request on to `server`, but for those whose path has a part in `answers`."""

    daemon_threads = True

    def __init__(self, server: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.server, self.uri = server, f"http://127.0.0.1:{self.server_port}"
        self.answers: dict[str, int] = {}  # part of a path, and the status; 200 is an empty answer
        self.asked: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: Gateway

    def _pass_on(self) -> None:
        self.server.asked.append(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or None
        found = [code for part, code in self.server.answers.items() if part in self.path]
        if found:
            self._answer(found[0], JSON if found[0] == 200 else PAGE)
            return
        request = urllib.request.Request(
            f"{self.server.server}{self.path}", body, dict(self.headers), method=self.command
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                self._answer(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            self._answer(error.code, error.read())

    def _answer(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: pytest shows what matters."""
