"""The error for a file that does not follow its format."""

from __future__ import annotations


class Unreadable(Exception):
    """A file that is not what its format says: the problem, and a remedy."""

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem, self.remedy = problem, remedy
        super().__init__(problem)
