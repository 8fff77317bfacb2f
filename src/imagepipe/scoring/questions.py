"""The questions about a picture: texts with columns of its row, one result column for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from imagepipe.config import Scorer
from imagepipe.errors import UserError
from imagepipe.prompts.template import base_prompts, template_columns
from imagepipe.scoring import SCORER_ERROR
from imagepipe.stages.stage import Columns

YES, NO = "yes", "no"
LEAST_MASS = 0.01  # of the probability, for yes and no together; with less it answers neither
NEITHER = "the judge answers neither yes nor no"

Answers = Sequence[tuple[Any, str | None]]  # a value, or null and why there is none


class Questioner:
    """Asks each question of `scorer.questions` about each picture; a `scoring.RowScorer`.

    What it is depends on `ask`, and on `kind`, the type of the columns.
    """

    kind: ClassVar[pa.DataType] = pa.float32()
    limits = (0.0, 1.0)  # of a probability

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        self.reads = columns(scorer)
        self.adds = pa.schema([(name, self.kind) for name in scorer.questions])

    def ask(self, images: np.ndarray, texts: list[str]) -> Answers:
        """Question i of picture i, uint8 (n, height, width, 3)."""
        raise NotImplementedError

    def judge(self, images: np.ndarray, rows: pa.Table) -> Columns:
        """As `scoring.RowScorer`; what has an empty cell in a question is not asked that one."""
        if not self.reads:  # a table without columns has no rows
            rows = pa.table({"": pa.nulls(len(images))})
        found: dict[str, list[Any]] = {}
        why: list[str | None] = [None] * len(images)
        for name, text in self.scorer.questions.items():
            values, reasons = self._asked(images, *base_prompts(text, {}, rows))
            found[name] = values
            said = [reason and f"{name}: {reason}" for reason in reasons]
            why = [first or then for first, then in zip(why, said, strict=True)]
        return {**found, SCORER_ERROR: why}

    def _asked(
        self, images: np.ndarray, texts: list[str | None], reasons: list[str | None]
    ) -> tuple[list[Any], list[str | None]]:
        values: list[Any] = [None] * len(images)
        asked = [place for place, text in enumerate(texts) if text is not None]
        answers = self.ask(images[asked], [text for text in texts if text is not None])
        for place, (value, reason) in zip(asked, answers, strict=True):
            values[place], reasons[place] = value, reason
        return values, reasons


def check(scorer: Scorer) -> None:
    """Raise UserError if there is no question, or one is no template."""
    columns(scorer)
    if not scorer.questions:
        raise UserError(
            field=f"{scorer.section}.questions",
            value="{}",
            problem=f"{scorer.section}.engine={scorer.engine} needs at least one",
            remedy="Give them by the names of their columns, such as "
            '{shows: "Does this picture show {base_prompt}? Please answer yes or no."}.',
        )


def columns(scorer: Scorer) -> tuple[str, ...]:
    """The columns that the questions name, each once. Raises UserError for what is no template."""
    found: list[str] = []
    for name, text in scorer.questions.items():
        try:
            found += template_columns(text)
        except UserError as error:
            field = f"{scorer.section}.questions.{name}"
            raise UserError(
                field=field, value=text, problem=error.problem, remedy=error.remedy
            ) from None
    return tuple(dict.fromkeys(found))


def word(token: str) -> str:
    """The word in a token of any tokenizer: " Yes" and "yes," are "yes"."""
    return "".join(filter(str.isalpha, token)).casefold()


def of_tokens(first: Iterable[tuple[str, float]]) -> tuple[float | None, str | None]:
    """As `judged`, of the likeliest first tokens and their probabilities."""
    said = {YES: 0.0, NO: 0.0}
    for token, chance in first:
        if (one := word(token)) in said:
            said[one] += chance
    return judged(said[YES], said[NO])


def judged(yes: float, no: float) -> tuple[float | None, str | None]:
    """The probability of yes, from the probabilities that the first token says yes, and no.

    As in VQAScore (Lin et al. 2024, arXiv:2404.01291): P("Yes" | picture, question), 0 to 1, over
    all tokens that spell the word. Null with the reason if it says neither.
    """
    return (yes, None) if yes + no >= LEAST_MASS else (None, NEITHER)
