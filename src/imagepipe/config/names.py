"""What the stages of a run are called, their shares, and the scores with their columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from imagepipe.stages import engines

PICTURES = "pictures"  # the stage that reads those that go into the model; it has no engine
PROMPT = "prompt"  # the stage that fills the template; it has no engine


@dataclass(frozen=True)
class Score:
    """A score that the pictures of a run get: of which scorer, and of which stage it is.

    `part` is which, of a scorer that gives several. `is_text`: it is no score, but a caption.
    """

    scorer: str
    stage: str
    part: str = ""
    is_text: bool = False

    @property
    def name(self) -> str:
        """What reports call it."""
        return f"{self.scorer}_{self.part}" if self.part else self.scorer

    @property
    def column(self) -> str:
        """Of the table: `score` of the only scorer, `score_NAME` of one of several; `_PART` is
        added to it. A text stands under `scorer` in the place of `score`.
        """
        base = self.stage if self.is_text else self.stage.replace("scorer", "score", 1)
        return f"{base}_{self.part}" if self.part else base

    @property
    def error(self) -> str:
        """The column that says why a picture lacks it, or another of the same scorer."""
        return f"{self.stage}_error"


def said_by(scorer: Any, stage: str) -> tuple[Score, ...]:
    """What a scorer, by its section, says of each picture in the stage of that name."""
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
    """{stage: scorer}: `scorer` for the only one, `scorer_NAME` for each of several."""
    return {f"scorer_{n}" if len(names) > 1 else "scorer": n for n in names}


def share_key(stage: str) -> str:
    """The key of a stage's share, as it is typed."""
    return f"resources.{stage.replace('_', '.', 1)}"
