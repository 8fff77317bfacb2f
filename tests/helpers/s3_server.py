"""A real S3 server on this machine: moto's, in memory, on a free port."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from urllib.request import Request, urlopen


@dataclass(frozen=True)
class S3:
    """Where the server is, and what a client needs in its environment to reach it."""

    address: str
    numbers: count = field(default_factory=count)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }

    def bucket(self) -> str:
        """The URL of a new, empty bucket."""
        name = f"bucket{next(self.numbers)}"
        with urlopen(Request(f"{self.address}/{name}", method="PUT")) as answer:
            assert answer.status == 200
        return f"s3://{name}"
