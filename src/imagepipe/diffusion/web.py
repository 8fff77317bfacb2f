"""Downloads pictures that a table names, but not from a private network.

Otherwise the author of a table could read, through this machine, what only this machine can reach.
So the address of each connection is checked, also after a redirect, and exactly that address is
used. Storage addresses must lead to the provider of the store.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection, InvalidURL
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    Request,
    UnknownHandler,
    build_opener,
)

from imagepipe.errors import one_line

TIMEOUT_S = 30.0  # without a byte
LONGEST_S = 600.0  # of a file: a server that sends it drop by drop would hold a process for ever
TRANSLATED = IPv6Network("64:ff9b::/96")  # an IPv4 address in its last bits: RFC 6052
MOST_BYTES = 256 << 20  # of a file: more is no picture that a model takes or a server draws
SAYS = {"User-Agent": "imagepipe"}
WEB = ("http", "https")
# Addresses of these schemes name no server: they lead to a disk, or to who runs the store.
STORES = ("file", "s3", "gs", "gcs", "hf")
AZURE = ("abfs", "abfss")  # of these that is told by the name of the server
AZURES_OWN = ".core.windows.net"


class Unfetched(Exception):
    """Why a URL gives no file."""


def is_private(address: str) -> bool:
    """Whether `address`, as 10.0.0.1 or fe80::1%eth0, is not of the public internet."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        inside = found.ipv4_mapped or found.sixtofour or (found.teredo or (None, None))[1]
        low = IPv4Address(int(found) & 0xFFFFFFFF) if found in TRANSLATED else None
        found = inside or low or found
    return not found.is_global or found.is_multicast


def check_store(url: str) -> None:
    """Raise Unfetched where `url`, of a scheme that is none of WEB, may lead to any server: by its
    scheme, by options such as S3's `endpoint_override`, or as a chain of fsspec's.
    """
    parts = urlsplit(url)
    azures = parts.scheme in AZURE and (parts.hostname or "").endswith(AZURES_OWN)
    if not (azures or parts.scheme in STORES) or "?" in url or "::" in url:
        raise Unfetched(
            "such an address may lead into a private network. model.private_urls=true allows it"
        )


def fetch(
    url: str,
    most: int,
    refused: Callable[[str], bool] | None = is_private,
    longest_s: float = LONGEST_S,
) -> bytes:
    """The content at a URL, at most `most` bytes. Raises Unfetched.

    No connection is made to an address that is `refused`; null: all are allowed, through the
    proxies in the environment.
    """
    opener = build_opener() if refused is None else _guarded(refused)
    try:
        with opener.open(Request(url, headers=SAYS), timeout=TIMEOUT_S) as answer:
            content = _read(answer, most, time.monotonic() + longest_s)
    except HTTPError as error:
        error.close()
        raise Unfetched(f"the server says {error.code} {error.reason}") from error
    except URLError as error:
        raise Unfetched(one_line(str(error.reason))) from error
    except InvalidURL as error:  # which repeats it, with what may be a signature
        raise Unfetched("is not an address: it holds a blank or another such sign") from error
    except (OSError, HTTPException, ValueError) as error:
        raise Unfetched(one_line(error)) from error
    if len(content) > most:
        raise Unfetched(f"is larger than {most >> 20} MiB")
    return content


def _read(answer: Any, most: int, until: float) -> bytes:
    """More than `most` bytes where there are more. Raises Unfetched at `until`, on
    `time.monotonic`.
    """
    found = bytearray()
    while len(found) <= most and (some := answer.read1(1 << 16)):
        found += some
        if time.monotonic() >= until:
            raise Unfetched("takes too long")
    return bytes(found)


def _guarded(refused: Callable[[str], bool]) -> OpenerDirector:
    """For http and https only, and without proxies, whose addresses could not be checked."""
    opener = OpenerDirector()
    for handler in (
        *(_Http(refused=refused), _Https(refused=refused)),
        *(HTTPRedirectHandler(), HTTPErrorProcessor(), HTTPDefaultErrorHandler()),
        UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


class _Guarded:
    """Knows which addresses no connection goes to."""

    def __init__(self, *args: Any, refused: Callable[[str], bool], **options: Any) -> None:
        super().__init__(*args, **options)
        self.refused = refused


class _Http(_Guarded, HTTPHandler):
    def http_open(self, req: Request) -> Any:
        return self.do_open(partial(_Plain, refused=self.refused), req)


class _Https(_Guarded, HTTPSHandler):
    def https_open(self, req: Request) -> Any:
        return self.do_open(partial(_Secure, refused=self.refused), req)


class _Plain(_Guarded, HTTPConnection):
    def connect(self) -> None:
        self.sock = _connected(self.host, self.port, self.refused)


class _Secure(_Guarded, HTTPSConnection):
    def connect(self) -> None:
        import ssl

        sock = _connected(self.host, self.port, self.refused)
        self.sock = ssl.create_default_context().wrap_socket(sock, server_hostname=self.host)


def _connected(host: str, port: int, refused: Callable[[str], bool]) -> socket.socket:
    """To the first address of `host` that answers. Raises OSError, also where one is refused."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(where[0]) for *_, where in found))
    for address in addresses:
        if refused(address):
            raise OSError(
                f"{host} is {address}, a private address. model.private_urls=true allows it"
            )
    for address in addresses[:-1]:
        try:
            return socket.create_connection((address, port), TIMEOUT_S)
        except OSError:
            continue
    return socket.create_connection((addresses[-1], port), TIMEOUT_S)
