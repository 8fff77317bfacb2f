"""What of an address may be written down."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from imagepipe.errors import UserError

HIDDEN = "..."  # stands for what may be a secret

# In the names of secrets, with those of signed links: X-Amz-Signature, Azure's sig. A tokenizer is
# none.
SECRET = re.compile(
    r"passw|pwd|token(?!i[sz])|secret|key|credential|(^|-)sig(nature)?$", re.IGNORECASE
)


def has_secret(parts: SplitResult) -> bool:
    """Whether an address carries a password, or something in its query that is called like one.

    A web server's user without a password is a token, as GitHub's are.
    """
    named = any(SECRET.search(name) for name, _ in parse_qsl(parts.query))
    token = parts.username is not None and parts.scheme in ("http", "https")
    return parts.password is not None or token or named


def without_secrets(url: str) -> str:
    """`url` without the user and password that it may carry, nor its query."""
    parts = urlsplit(url)
    if not parts.scheme or not parts.netloc:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def check_table(field: str, path: Any) -> None:
    """Raise UserError where a table's `path`, or one of a list, carries a secret; shows none."""
    for entry in path if isinstance(path, list | tuple) else [path]:
        try:
            inside = any(has_secret(urlsplit(part)) for part in str(entry).split("::"))
        except ValueError:  # no address, so a path
            inside = False
        if inside:
            raise UserError(
                field=field,
                value=HIDDEN,
                problem="carries a password, a key or a signature, which would be written down",
                remedy="Give it in the environment, as the store's own tools take it "
                "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for s3://), or fetch the file first.",
            )
