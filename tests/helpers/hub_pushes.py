"""A server that takes data sets as the hub does: what its client sends when it pushes.

https://huggingface.co/docs/hub/api. The server decides how files are sent: here each stands in its
commit, in base64.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from helpers.served import served

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """`repositories` are the files of each by path; `who` has the token, and its organisation.

    `refuse` is the status that answers commits, where there is one.
    """

    token: str = "hf_of_the_test"
    who: str = "me"
    orgs: tuple[str, ...] = ("ours",)
    readable: tuple[str, ...] = ()  # repositories that the token may not write to
    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    refuse: int | None = None
    commits: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def take(self, name: str, lines: list[dict[str, dict[str, str]]]) -> None:
        """One commit."""
        files = self.repositories[name]
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                self.commits.append(value["summary"])
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "deletedFile":
                del files[value["path"]]
            else:
                raise ValueError(line["key"])


@contextmanager
def taking(**options: object) -> Iterator[Hub]:
    """A hub on a free port, stopped again at the end."""
    hub = Hub(**options)

    class Handler(_Handler):
        mine = hub

    with served(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        hub.port = server.server_port
        yield hub


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    mine: Hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        words = urlsplit(self.path).path.strip("/").split("/")
        if not self._is_known():
            return
        if words == ["api", "whoami-v2"]:
            told = {"name": self.mine.who, "orgs": [{"name": org} for org in self.mine.orgs]}
            self._answer(200, {"type": "user", **told})
        elif words[:2] == ["api", "datasets"]:
            self._tell("/".join(words[2:4]), words[4:])
        else:  # datasets/OWNER/NAME/resolve/REVISION/FILE
            self._give("/".join(words[1:3]), "/".join(words[5:]))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        words = urlsplit(self.path).path.strip("/").split("/")
        if not self._is_known():
            return
        if words == ["api", "repos", "create"]:
            self._create(json.loads(body))
        elif words == ["api", "validate-yaml"]:
            self._answer(200, {"errors": [], "warnings": []})
        elif words[4] == "preupload":
            files = [
                {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                for one in json.loads(body)["files"]
            ]
            self._answer(200, {"files": files})
        elif words[4] == "commit":
            self._commit("/".join(words[2:4]), body)

    def _is_known(self) -> bool:
        known = self.headers.get("Authorization") == f"Bearer {self.mine.token}"
        if not known:
            self._answer(401, {"error": "Invalid credentials in Authorization header"})
        return known

    def _tell(self, name: str, rest: list[str]) -> None:
        files = self.mine.repositories.get(name)
        if name in self.mine.readable:
            self._answer(403, {"error": "You may read this, not write"})
        elif files is None:
            self._answer(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        elif rest[:1] == ["tree"]:
            listed = [
                {"type": "file", "oid": "0", "size": len(content), "path": path}
                for path, content in files.items()
            ]
            self._answer(200, listed)
        else:
            siblings = [{"rfilename": path} for path in files]
            self._answer(200, {"id": name, "sha": COMMIT, "siblings": siblings})

    def _give(self, name: str, path: str) -> None:
        content = self.mine.repositories.get(name, {}).get(path)
        if content is None:
            self._answer(404, {}, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        else:
            self._answer(200, {}, {"ETag": '"0"', "X-Repo-Commit": COMMIT})

    def _create(self, asked: dict[str, str]) -> None:
        name = f"{asked.get('organization') or self.mine.who}/{asked['name']}"
        is_new = name not in self.mine.repositories
        if is_new:
            self.mine.repositories[name] = {}
            self.mine.private[name] = asked.get("visibility") == "private"
        url = f"{self.mine.url}/datasets/{name}"
        self._answer(200 if is_new else 409, {"url": url, "name": name, "id": "0"})

    def _commit(self, name: str, body: bytes) -> None:
        if self.mine.refuse:
            self._answer(self.mine.refuse, {"error": "the quota of this account is used up"})
            return
        self.mine.take(name, [json.loads(line) for line in body.splitlines()])
        url = f"{self.mine.url}/datasets/{name}/commit/{COMMIT}"
        self._answer(200, {"commitUrl": url, "commitOid": COMMIT, "success": True})

    def _answer(self, code: int, told: object, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(told).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        for key, text in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(key, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Not into the tests' output."""
