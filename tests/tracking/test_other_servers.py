"""A server that answers everything and is no MLflow: the record stays to be sent elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from helpers.tracked import begin, config, finish

from imagepipe import tracking


class Agreeable(BaseHTTPRequestHandler):
    """Whatever it is asked, all is well."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Agreeable) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_what_is_no_mlflow_is_said_and_the_record_stays(tmp_path: Path, address: str, logged):
    run = begin(tmp_path, "run", config(uri=address))
    finish(run, tmp_path / "run")
    assert (run.run_id, run.url) == (None, None)
    assert "not as MLflow does: the run got no id" in logged.text
    assert "send the rest later" in logged.text
    assert (tmp_path / "run" / tracking.JOURNAL).exists()
