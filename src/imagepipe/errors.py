"""The errors that a person sees as one plain line."""

from __future__ import annotations

from typing import Any


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
