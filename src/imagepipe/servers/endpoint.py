"""Checks of a server's address and key before anything is written."""

from __future__ import annotations

import os
import re
from urllib.parse import parse_qsl, urlsplit

from imagepipe.config import Server
from imagepipe.config.secrets import HIDDEN
from imagepipe.errors import UserError

VERSION = "api-version"  # what Azure wants in the query of each request


def check_secrets(server: Server) -> None:
    """Raise `UserError` for an address or a key's name that cannot be used; asks no server.

    The error never shows a text that may be a secret.
    """
    if server.base_url is not None:
        check_url(server.base_url, f"{server.section}.base_url")
    if server.api_key_env is not None:
        check_name(server.api_key_env, f"{server.section}.api_key_env")


def key(server: Server) -> str | None:
    """The key, from the environment of the process that asks."""
    if server.api_key_env is None:
        return None
    check_name(server.api_key_env, f"{server.section}.api_key_env")
    return os.environ[server.api_key_env]


def check_url(url: str, field: str = "llm.base_url") -> None:
    """Raise `UserError` if the key `field` cannot be `url`."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # out of range or no number: ValueError
    except ValueError:
        parts = urlsplit("")
    names = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if parts.username is not None or names - {VERSION} or parts.fragment:
        raise UserError(
            field=field,
            value=HIDDEN,
            problem="contains more than an address, which would be recorded",
            remedy="Leave user, password and query out, and name the key's variable in "
            f"{field.replace('base_url', 'api_key_env')}. Of a query only Azure's {VERSION} is "
            "taken.",
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(
            field=field,
            value=url,
            problem="is not an address of a server",
            remedy="Give one such as http://host:8000/v1.",
        )


def parted(url: str) -> tuple[str, dict[str, str]]:
    """The address that a request's own path goes behind, and the query that goes behind that."""
    parts = urlsplit(url)
    return parts._replace(query="").geturl(), dict(parse_qsl(parts.query))


def check_name(name: str, field: str = "llm.api_key_env") -> None:
    """Raise `UserError` if the key `field` cannot be `name`, or what that holds is no key.

    A key is not told from a name by its looks alone: what no variable is called is refused too.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or re.match(r"sk[-_]", name):
        problem = "is not a name of a variable; if it is the key itself, it was not recorded"
    elif not os.environ.get(name):
        problem = "names no variable that is set here"
    else:
        return _check_held(name, field)
    raise UserError(
        field=field,
        value=HIDDEN,
        problem=problem,
        remedy="Put the key into the environment and its variable's name here: "
        f"export OPENAI_API_KEY=..., {field}=OPENAI_API_KEY.",
    )


def _check_held(name: str, field: str) -> None:
    held = os.environ[name]
    if not (held.isascii() and held.isprintable() and held == held.strip()):
        raise UserError(
            field=field,
            value=name,
            problem="the variable holds a line end, blanks at an end, or a letter that no key has",
            remedy="Leave that out. The shell leaves out a file's last line end: "
            f'export {name}="$(cat FILE)".',
        )
