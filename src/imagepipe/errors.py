"""The errors that a person sees as one plain line."""

from __future__ import annotations

from typing import Any

LINE_CHARS = 200  # of an error, which may list every weight


class UserError(Exception):
    """Something a person typed, or a file they named, is not usable.

    Shown without a traceback; the command exits with 2. `field` is the configuration key
    (``dataset.path``), `value` what it holds, `problem` what is wrong with it and `remedy` what
    would be right.
    """

    def __init__(self, *, field: str, value: object, problem: str, remedy: str) -> None:
        self.field, self.value, self.problem, self.remedy = field, value, problem, remedy
        super().__init__(f"{field}={value}: {problem}. {remedy}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive pickling, since Ray carries errors from workers to the driver."""
        return _rebuild, (self.field, self.value, self.problem, self.remedy)


def _rebuild(field: str, value: object, problem: str, remedy: str) -> UserError:
    return UserError(field=field, value=value, problem=problem, remedy=remedy)


class RunFailed(Exception):
    """A run that started did not end well; the message says what happened and what to do next.

    The command exits with 1, without a traceback.
    """


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM ended a run, which left right states and says what there is of it.

    No Exception, so that it ends a whole sweep too. The command exits with 130, as shells do.
    """


def one_line(error: BaseException, limit: int = LINE_CHARS) -> str:
    """What `error` says, in a line of at most `limit` characters; without words, its class.

    That is its first line. Ray begins with where the error was: of one of Ray's it is what caused
    it, or else the last line.
    """
    cause = getattr(error, "cause", None) or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    line = lines[-1 if _is_rays(cause) else 0] if lines else type(cause).__name__
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def with_class(error: BaseException, limit: int = LINE_CHARS) -> str:
    """As `one_line`, behind the name of its class, which Ray's last line has already."""
    cause = getattr(error, "cause", None) or error
    kind = type(cause).__name__
    line = one_line(cause, limit - len(f"{kind}: "))
    return line if line == kind or _is_rays(cause) else f"{kind}: {line}"


def _is_rays(error: BaseException) -> bool:
    return type(error).__module__.startswith("ray.")
