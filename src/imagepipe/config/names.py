"""The names of a run's stages, of their shares, and of the scores with their columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from imagepipe.stages import engines

PICTURES = "pictures"  # the stage that reads those that go into the model; it has no engine
PROMPT = "prompt"  # the stage that fills the template; it has no engine


@dataclass(frozen=True)
class Score:
    """A score of a run's pictures, with its scorer and its stage.

    `part` names one of several results of a scorer. `is_text`: a caption, not a score.
    """

    scorer: str
    stage: str
    part: str = ""
    is_text: bool = False

    @property
    def name(self) -> str:
        """The score's name in reports."""
        return f"{self.scorer}_{self.part}" if self.part else self.scorer

    @property
    def column(self) -> str:
        """Its column in the table: `score` for a single scorer, `score_NAME` for one of several,
        with `_PART` added. A text is in `scorer` instead of `score`.
        """
        base = self.stage if self.is_text else self.stage.replace("scorer", "score", 1)
        return f"{base}_{self.part}" if self.part else base

    @property
    def error(self) -> str:
        """The column that says why a score of this scorer is missing."""
        return f"{self.stage}_error"


def said_by(scorer: Any, stage: str) -> tuple[Score, ...]:
    """The results of a scorer for each picture, from its section and the name of its stage."""
    line = engines.TABLE["scorer"].get(scorer.engine)
    if line is None or not line.by_row:
        return (Score(scorer.name, stage),)
    parts = (*scorer.questions, *line.also)
    return tuple(Score(scorer.name, stage, part, line.writes) for part in parts)


def by_error(scores: Iterable[Score]) -> dict[str, list[Score]]:
    """The scores of each scorer, by the column that says why one is missing."""
    found: dict[str, list[Score]] = {}
    for score in scores:
        found.setdefault(score.error, []).append(score)
    return found


def scorer_stages(names: Collection[str]) -> dict[str, str]:
    """{stage: scorer}: the stage is `scorer` for a single one, `scorer_NAME` for each of
    several.
    """
    return {f"scorer_{n}" if len(names) > 1 else "scorer": n for n in names}


def share_key(stage: str) -> str:
    """The key of a stage's share, as it is typed."""
    return f"resources.{stage.replace('_', '.', 1)}"
