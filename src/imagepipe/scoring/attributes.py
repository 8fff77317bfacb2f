"""Whether a picture shows what its row says, attribute by attribute, by a CLIP with questions.

Such a CLIP has a `questions.json` beside its weights, {question: {answer: text}}, and answers by
the text that is nearest (`ClipScorer.answers`), as the embedded scorer does for the toy world.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from imagepipe.config import Scorer
from imagepipe.errors import UserError, listed
from imagepipe.prompts.template import base_prompts
from imagepipe.scoring import SCORER_ERROR, clip, questions
from imagepipe.stages import weights
from imagepipe.stages.stage import Columns

ALL = "all"
NONE = "none"  # the right answer where a row's cell is empty


def measures(scorer: Scorer) -> tuple[str, ...]:
    """The names of its scores."""
    return (*scorer.questions, ALL)


def check(scorer: Scorer) -> None:
    """Raise UserError if the CLIP is unavailable or has no such questions."""
    questions.check(scorer)
    clip.check(scorer)
    where = weights.here(scorer.path or "", scorer.revision)
    if where is None:
        return
    known = clip.questions_of(scorer, where)
    for name in scorer.questions:
        if name not in known:
            raise UserError(
                field=f"{scorer.section}.questions.{name}",
                value=scorer.questions[name],
                problem=f"{scorer.path} has no such question",
                remedy=f"It has: {listed(known, name) or f'none, for it lacks {clip.QUESTIONS}'}.",
            )


class AttributeScorer:
    """1 for each question that is answered right, else 0, and `all`: whether all of them are.

    `scorer.questions` are the right answers, texts over the columns of a row; an empty cell means
    the answer "none". A `scoring.RowScorer`.
    """

    limits = (0.0, 1.0)

    def __init__(self, scorer: Scorer) -> None:
        self.right = dict(scorer.questions)
        self.reads = questions.columns(scorer)
        self.adds = pa.schema([(name, pa.float32()) for name in measures(scorer)])
        self.clip = clip.ClipScorer(scorer)

    def load(self) -> None:
        self.clip.load()

    def judge(self, images: np.ndarray, rows: pa.Table) -> Columns:
        """As `scoring.RowScorer`; a row whose right answer is none of the judge's has no score."""
        if not self.reads:  # a table without columns has no rows
            rows = pa.table({"none": pa.nulls(len(images))})
        given = self.clip.answers(images)
        found: dict[str, list[float | None]] = {}
        why: list[str | None] = [None] * len(images)
        for name, text in self.right.items():
            known = self.clip.questions[name]
            wanted = [one or NONE for one in base_prompts(text, {}, rows)[0]]
            pairs = zip(given[name], wanted, strict=True)
            found[name] = [float(one == right) if right in known else None for one, right in pairs]
            for place, right in enumerate(wanted):
                if right not in known:
                    why[place] = why[place] or f"{name}: the judge does not know {right!r}"
        found[ALL] = [_all(values) for values in zip(*found.values(), strict=True)]
        return {**found, SCORER_ERROR: why}


def _all(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return min(known) if len(known) == len(values) else None
