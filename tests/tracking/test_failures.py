"""What is said of a connection that failed, and which failures are one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import closing

import pytest
from PIL import UnidentifiedImageError

from imagepipe.tracking.failures import is_away, is_refusal, reason
from imagepipe.tracking.sender import ENVIRONMENT


def listener(then: Callable[[socket.socket], None]) -> int:
    """The port of a server that does `then` with each connection."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with server:
            for _ in range(2):  # MLflow tries twice
                connection, _ = server.accept()
                with connection:
                    then(connection)

    threading.Thread(target=serve, daemon=True).start()
    return server.getsockname()[1]


def closed() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        (lambda: f"http://127.0.0.1:{closed()}", "Connection refused"),
        (lambda: "http://mlflow.nowhere.invalid:5000", "[Nn]ame"),
        (lambda: f"https://127.0.0.1:{listener(lambda one: one.sendall(b'no TLS'))}", "SSL"),
        (lambda: f"http://127.0.0.1:{listener(lambda one: None)}", "closed|reset"),
    ],
    ids=["refused", "name", "tls", "closed"],
)
def test_the_innermost_reason_of_a_failed_connection_is_told(monkeypatch, uri, said):
    from mlflow import MlflowClient

    for key, value in ENVIRONMENT.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(Exception, match="API request") as caught:
        MlflowClient(uri()).get_experiment_by_name("x")
    assert is_away(caught.value)
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(reason(caught.value))
    assert len(reason(caught.value)) < 120


def test_other_failures_are_no_failed_connection():
    from mlflow.exceptions import MlflowException, RestException
    from mlflow.protos import databricks_pb2 as codes

    lost = MlflowException("no", error_code=codes.TEMPORARILY_UNAVAILABLE)
    unknown = MlflowException(
        "x failed with error code 404 != 200. Response body: '<!doctype html><p>'",
        error_code=codes.ENDPOINT_NOT_FOUND,
    )
    refused = RestException({"error_code": "INVALID_PARAMETER_VALUE", "message": "too long"})
    assert is_away(lost) and not is_refusal(lost)
    assert not is_away(unknown) and not is_refusal(unknown)
    assert reason(unknown) == "x failed with error code 404 != 200"
    assert is_refusal(refused) and is_refusal(UnidentifiedImageError())
    for error in (PermissionError(13, "no"), FileNotFoundError(), KeyError("x"), ValueError()):
        assert not is_away(error) and not is_refusal(error) and reason(error)


def test_pages_of_text_are_cut():
    page = "x failed" + " for a reason" * 100 + "\n[SQL: SELECT 1]"
    said = reason(ValueError(page))
    assert said.startswith("x failed for a reason") and said.endswith("...") and len(said) == 200
    assert reason(ValueError("no such table\n[SQL: SELECT 1]")) == "no such table"
