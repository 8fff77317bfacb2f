"""Files of the web: no connection is made into a private network, that of a redirect neither."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from helpers.served import served

from imagepipe.diffusion import web


@pytest.mark.parametrize(
    ("address", "private"),
    [
        pytest.param("127.0.0.1", True, id="this-machine"),
        pytest.param("10.1.2.3", True, id="ten"),
        pytest.param("192.168.0.1", True, id="home"),
        pytest.param("172.16.0.1", True, id="company"),
        pytest.param("169.254.169.254", True, id="cloud"),
        pytest.param("100.64.0.1", True, id="carrier"),
        pytest.param("0.0.0.0", True, id="any"),
        pytest.param("224.0.0.1", True, id="multicast"),
        pytest.param("::1", True, id="this-machine-6"),
        pytest.param("fe80::1%eth0", True, id="link"),
        pytest.param("fd00::1", True, id="unique-local"),
        pytest.param("::ffff:10.0.0.1", True, id="mapped"),
        pytest.param("2002:a00:1::", True, id="six-to-four"),
        pytest.param("64:ff9b::a00:1", True, id="translated"),
        pytest.param("93.184.216.34", False, id="public"),
        pytest.param("2606:4700:4700::1111", False, id="public-6"),
        pytest.param("::ffff:93.184.216.34", False, id="public-mapped"),
    ],
)
def test_an_address_is_private_or_not(address, private):
    assert web.is_private(address) is private


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        port = self.server.server_address[1]
        moved = {"/away": f"http://127.0.0.2:{port}/a", "/file": "file:///etc/passwd", "/on": "/a"}
        if self.path in moved:
            self.send_response(302)
            self.send_header("Location", moved[self.path])
            self.end_headers()
            return
        self.send_response(200 if self.path == "/a" else 404)
        self.end_headers()
        self.wfile.write(b"content")

    def log_message(self, *_: object) -> None:
        """Nothing is to be read of it."""


@pytest.fixture
def server() -> Iterator[str]:
    with _serving() as url:
        yield url


@contextmanager
def _serving() -> Iterator[str]:
    with served(ThreadingHTTPServer(("127.0.0.1", 0), _Handler)) as serving:
        yield f"http://127.0.0.1:{serving.server_address[1]}"


def second_is_private(address: str) -> bool:
    """So that a test needs no server in the public internet."""
    return address == "127.0.0.2"


def test_what_a_server_has_is_fetched_and_redirects_are_followed(server):
    for path in ("/a", "/on"):
        assert web.fetch(server + path, 100, second_is_private) == b"content"
        assert web.fetch(server + path, 100, None) == b"content"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        pytest.param("/away", "127.0.0.2 is 127.0.0.2, a private address", id="redirected"),
        pytest.param("/file", "Redirection to url 'file:///etc/passwd' is not allowed", id="file"),
        pytest.param("/none", "the server says 404 Not Found", id="missing"),
    ],
)
def test_what_cannot_be_fetched_says_why(server, path, said):
    with pytest.raises(web.Unfetched) as caught:
        web.fetch(server + path, 100, second_is_private)
    assert said in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::1]"])
def test_no_connection_is_made_to_this_machine(host):
    """By whichever name; nobody listens there, and that is not what is said."""
    with pytest.raises(web.Unfetched) as caught:
        web.fetch(f"http://{host}:9/a", 100)
    assert "a private address. model.private_urls=true allows it" in str(caught.value)


def test_more_than_is_allowed_is_not_read(server):
    with pytest.raises(web.Unfetched) as caught:
        web.fetch(f"{server}/a", 3, None)
    assert "is larger than" in str(caught.value)


def test_a_file_that_is_never_all_there_is_given_up(server):
    with pytest.raises(web.Unfetched, match="takes too long"):
        web.fetch(f"{server}/a", 100, None, longest_s=0)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("simplecache::http://10.0.0.1/a.png", id="chain"),
        pytest.param("hf://datasets/a/b::http://10.0.0.1/a.png", id="chain-of-a-store"),
        pytest.param("s3://bucket/a.png?endpoint_override=10.0.0.1", id="s3"),
        pytest.param("gs://bucket/a.png?endpoint_override=10.0.0.1", id="gs"),
        pytest.param("abfs://container@10.0.0.1:80/a.png", id="azure"),
        pytest.param("webhdfs://10.0.0.1/a.png", id="webhdfs"),
        pytest.param("ftp://10.0.0.1/a.png", id="ftp"),
    ],
)
def test_an_address_of_a_store_that_may_be_any_server_is_refused(url):
    with pytest.raises(web.Unfetched) as caught:
        web.check_store(url)
    assert "may lead into a private network. model.private_urls=true allows it" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("s3://bucket/a.png", id="s3"),
        pytest.param("gs://bucket/a.png", id="gs"),
        pytest.param("hf://datasets/a/b/c.png", id="hf"),
        pytest.param("abfs://container@account.dfs.core.windows.net/a.png", id="azure"),
        pytest.param("file:///a.png", id="file"),
    ],
)
def test_an_address_in_a_store_of_its_provider_is_taken(url):
    web.check_store(url)
