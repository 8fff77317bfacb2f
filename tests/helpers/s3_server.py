"""A real S3 server on this machine: moto's, in memory, on a free port."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

# The server takes any; processes that were started before it have them too.
KEYS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
}


@dataclass(frozen=True)
class S3:
    """Where the server is, and what a client needs in its environment to reach it."""

    address: str
    numbers: count = field(default_factory=count)

    @property
    def environment(self) -> dict[str, str]:
        return {"AWS_ENDPOINT_URL": self.address, **KEYS}

    def named(self, url: str) -> str:
        """`url` with the server's address, for processes that have but its keys."""
        return f"{url}?endpoint_override={urlsplit(self.address).netloc}&scheme=http"

    def bucket(self) -> str:
        """The URL of a new, empty bucket."""
        name = f"bucket{next(self.numbers)}"
        with urlopen(Request(f"{self.address}/{name}", method="PUT")) as answer:
            assert answer.status == 200
        return f"s3://{name}"
