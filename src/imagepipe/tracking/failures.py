"""What an MLflow error means: no connection, a refusal that stands, or one failed step."""

from __future__ import annotations

import re
from collections.abc import Iterator

from imagepipe.errors import one_line

# MLflow's error codes of a store that has no time, or of a gateway before one that is away.
AWAY = ("TEMPORARILY_UNAVAILABLE", "DEADLINE_EXCEEDED", "REQUEST_LIMIT_EXCEEDED")
REFUSALS = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")  # that trying again does not mend
PAGE = re.compile(r"[\W]*(Response (body|text): '?)?<(!doctype|html)", re.IGNORECASE)


class OwnDisk(RuntimeError):
    """The server keeps artifacts in a folder of its own disk, which is not that of this machine."""

    def __init__(self, folder: str, seen: str) -> None:
        super().__init__(
            f"the server keeps artifacts in a folder of its own disk, {folder} ({seen}). Start it "
            "with --serve-artifacts, and name another tracking.experiment: each keeps its place"
        )


def is_away(error: BaseException) -> bool:
    """Whether there was no connection, which trying again later may mend.

    A server that answers 500 is there: the step is at fault, and others may pass.
    """
    from requests.exceptions import ConnectionError as NoConnection
    from requests.exceptions import RetryError, Timeout

    away = (NoConnection, RetryError, Timeout, ConnectionError, TimeoutError)
    chain = list(_chain(error))
    no_answer = any(isinstance(one, away) for one in chain) and " 500 " not in str(chain[-1])
    return no_answer or getattr(error, "error_code", None) in AWAY


def is_refusal(error: BaseException) -> bool:
    """Whether MLflow refused a value as such, or a picture or text is broken in itself."""
    from PIL import UnidentifiedImageError

    broken = isinstance(error, UnidentifiedImageError | UnicodeError)
    return broken or getattr(error, "error_code", None) in REFUSALS


def reason(error: BaseException) -> str:
    """The words of `error` for the user; of a failed connection those of its innermost cause.

    The words around a connection's say at length which address was asked, and are cut before they
    come to the cause.
    """
    if is_away(error):
        *_, inner = _chain(error)
        return one_line(getattr(inner, "strerror", None) or str(inner) or type(inner).__name__)
    if isinstance(error, OwnDisk):
        return str(error)
    return one_line(PAGE.split(str(error))[0] or type(error).__name__)


def cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """`error`, and what it was raised from, the innermost last."""
    while error is not None:
        yield error
        hidden = None if error.__suppress_context__ else error.__context__
        error = error.__cause__ or hidden
