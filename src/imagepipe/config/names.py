"""What the stages of a run are called, their shares, and the scores with their columns."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """A score that the pictures of a run get: what it is called, and of which stage it is."""

    name: str
    stage: str

    @property
    def column(self) -> str:
        """Of the table: `score` of the only scorer, `score_NAME` of one of several."""
        return self.stage.replace("scorer", "score", 1)

    @property
    def error(self) -> str:
        """The column that says why a picture has none."""
        return f"{self.stage}_error"


def scorer_stages(names: Collection[str]) -> dict[str, str]:
    """{stage: scorer}: `scorer` for the only one, `scorer_NAME` for each of several."""
    return {f"scorer_{n}" if len(names) > 1 else "scorer": n for n in names}


def share_key(stage: str) -> str:
    """The key of a stage's share, as it is typed."""
    return f"resources.{stage.replace('_', '.', 1)}"
