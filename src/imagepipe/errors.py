"""The errors that users see as one plain line, and helpers that format texts and figures."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

__all__ = ["Interrupted", "RunFailed", "UserError"]  # what a plug-in may rely on: docs/plugins.md

LINE_CHARS = 200  # of an error, which may list every weight
CHAINED = "\nThe above exception was the direct cause of the following exception:"  # Python's words
MOST_BYTES = 1900  # of a whole message
VALUE_BYTES = 300  # of the value that it is about
MOST_NAMES, NAME_BYTES = 12, 75  # of a list of names


def shown(text: object, most: int = MOST_BYTES) -> str:
    """`text` as a terminal may show it: cut in its middle, and without signs that steer it.

    What the user's file holds may be an escape sequence, which would move the cursor, colour what
    follows or turn the direction of the writing. Lines and tabs stay. `most` are bytes of UTF-8.
    """
    text = str(text)
    kept = text if len(text) <= 2 * most else text[:most] + text[-most:]
    plain = "".join(sign if _is_plain(sign) else _escaped(sign) for sign in kept)
    whole = plain.encode()
    if len(whole) <= most:
        return plain
    begin, end = whole[: most * 2 // 3], whole[-(most // 4) :]
    cut = f" ... ({len(text):,} characters) ... "
    return begin.decode(errors="ignore") + cut + end.decode(errors="ignore")


def _is_plain(sign: str) -> bool:
    # Cc: control, Cf: direction and other unseen signs, Cs: half of a surrogate pair.
    return sign in "\n\t" or unicodedata.category(sign) not in ("Cc", "Cf", "Cs")


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape", "surrogatepass").decode("ascii")


def figure(value: float, digits: int = 3, sign: str = "") -> str:
    """`value` in so many digits, and whole where it has more: 0.0425, 12.3, 12,345.

    What rounds to 0 is 0. `sign` is `+` where that is said too.
    """
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:{sign},.0f}"
    return f"{value:{sign}z.{digits}g}"


def listed(names: Iterable[object], near: str | None = None) -> str:
    """The first of `names`, or those that are most like `near`, and how many more there are."""
    every = [shown(name, NAME_BYTES) for name in names]
    some = every[:MOST_NAMES]
    if near is not None and len(every) > MOST_NAMES:
        some = difflib.get_close_matches(near, every, MOST_NAMES, cutoff=0.0)
    more = f" ... and {len(every) - len(some):,} more" if len(every) > len(some) else ""
    return ", ".join(some) + more


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`Did you mean "..."? ` for the closest of `known`, or nothing where none is close.

    Never for `word` itself: where that is known, something else is wrong.
    """
    names = [name for name in known if name != word]
    close = [name for name in names if name.casefold() == word.casefold()]
    close = close or difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if not close:  # "modle.steps" and "steps" alike: compare the last part too
        tails = {name.rpartition(".")[2]: name for name in names}
        tail = difflib.get_close_matches(word.rpartition(".")[2], tails, n=1, cutoff=0.75)
        close = [tails[name] for name in tail]
    return f'Did you mean "{shown(close[0], NAME_BYTES)}"? ' if close else ""


class UserError(Exception):
    """A setting, or a file that it names, cannot be used.

    The command prints it without a traceback and exits with 2. `field` is the configuration key
    (``dataset.path``), `value` its value, `problem` what is wrong and `remedy` what to do.
    """

    def __init__(self, *, field: str, value: object, problem: str, remedy: str) -> None:
        self.field, self.value, self.problem, self.remedy = field, value, problem, remedy
        said = f"{shown(field, VALUE_BYTES)}={shown(value, VALUE_BYTES)}"
        what = re.sub(r"\s*\n\s*", " ", problem.strip())  # a library's words may end as they like
        what = what if what.endswith("...") else what.removesuffix(".")
        super().__init__(shown(f"{said}: {what}. {remedy}"))

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive pickling, since Ray carries errors from workers to the driver."""
        return _rebuild, (self.field, self.value, self.problem, self.remedy)


def _rebuild(field: str, value: object, problem: str, remedy: str) -> UserError:
    return UserError(field=field, value=value, problem=problem, remedy=remedy)


class RunFailed(Exception):
    """A run failed after it had started; the message says what happened and what to do next.

    The command exits with 1, without a traceback.
    """


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM stopped a run. What it wrote is complete and can be resumed.

    It is not an Exception, so it stops a whole sweep, too. The command exits with 130.
    """


def one_line(error: BaseException | str, limit: int = LINE_CHARS) -> str:
    """What `error` or a text says, in at most `limit` characters; of one without words its class.

    That is its first line. Ray begins with where the error was: of one of Ray's it is what caused
    it, or else the last line, of a chain of exceptions that of the one which began it.
    """
    cause = getattr(error, "cause", None) or error
    whole = str(error).partition(CHAINED)[0] if _is_rays(cause) else str(cause)
    lines = [line.strip() for line in whole.splitlines() if line.strip()]
    line = lines[-1 if _is_rays(cause) else 0] if lines else type(cause).__name__
    line = re.sub(rf"^{__name__}\.\w+: ", "", line)  # one of ours needs no class
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def with_class(error: BaseException, limit: int = LINE_CHARS) -> str:
    """As `one_line`, behind the name of its class, which Ray's last line has already."""
    cause = getattr(error, "cause", None) or error
    kind = type(cause).__name__
    line = one_line(error, limit - len(f"{kind}: "))
    return line if line == kind or _is_rays(cause) else f"{kind}: {line}"


def _is_rays(error: object) -> bool:
    return type(error).__module__.startswith("ray.")
