"""A server that gives models as the hub does: what its client asks for when it downloads.

https://huggingface.co/docs/hub/api: a repository's information and tree, and files with ETag, size,
commit and ranges.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from helpers.served import served

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def serving(repositories: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of a hub with the folders `repositories/OWNER/NAME`, and the paths of the files
    that it has given, which grows.
    """
    given: list[str] = []

    class Handler(Hub):
        root, sent = repositories, given

    with served(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_port}", given


class Hub(BaseHTTPRequestHandler):
    """`root` holds the repositories; `sent` is added to."""

    protocol_version = "HTTP/1.1"
    root: Path
    sent: list[str]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        words = urlsplit(self.path).path.strip("/").split("/")
        if words[:2] == ["api", "models"]:
            self._tell("/".join(words[2:4]), words[4:])
        else:  # OWNER/NAME/resolve/REVISION/FILE
            self._give(self.root.joinpath(*words[:2], *words[4:]))

    def _tell(self, name: str, rest: list[str]) -> None:
        folder = self.root / name
        if not folder.is_dir():
            self._answer(401, b"{}", {"X-Error-Code": "RepoNotFound"})
            return
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        if rest[:1] == ["tree"]:
            told: object = [
                {"type": "file", "oid": digest(path), "size": path.stat().st_size, "path": one}
                for path, one in ((path, str(path.relative_to(folder))) for path in files)
            ]
        else:
            siblings = [{"rfilename": str(path.relative_to(folder))} for path in files]
            told = {"id": name, "sha": COMMIT, "siblings": siblings, "gated": False}
        self._answer(200, json.dumps(told).encode(), {})

    def _give(self, path: Path) -> None:
        if not path.is_file():
            self._answer(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
            return
        if self.command == "GET":
            self.sent.append("/".join(path.relative_to(self.root).parts[2:]))
        self._answer(200, path.read_bytes(), {"ETag": f'"{digest(path)}"', "X-Repo-Commit": COMMIT})

    def _answer(self, code: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        for key, text in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, text)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not into the tests' output."""


def digest(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()


def asked(home: Path, *typed: str, **variables: str) -> subprocess.CompletedProcess:
    """`imagepipe TYPED`, with the hub's cache in `home` and no other variables of the hub's."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return subprocess.run(
        [sys.executable, "-m", "imagepipe", *typed],
        capture_output=True,
        text=True,
        env=clean | {"HF_HOME": str(home)} | variables,
    )
