"""The stage that scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from imagepipe.config import Score, Scorer, said_by, share_key
from imagepipe.scoring import SCORER_ERROR, ImageScorer, RowScorer, recipe
from imagepipe.stages import engines
from imagepipe.stages.pictures import pictures
from imagepipe.stages.stage import Columns, Stage

NO_NUMBER = "the scorer gave a number that is none"
BY_PROMPT = "prompt"  # the column that an ImageScorer reads


def stage(scorer: Scorer, each: int, name: str = "scorer") -> Stage:
    """The stage that adds `score`: for a row of `each` pictures a list of `each` float32.

    It reads the whole prompt, as the model did. A score that is no finite number is null, and
    those of a row that the scorer fails with are: the pictures are drawn by then, and kept.
    `scorer_error` says why (text; null if all have a score). One of several is called by its
    `name`, and so are its columns. A scorer that says several things has a column for each, which
    holds texts where it writes.
    """
    scores = said_by(scorer, name)
    kind = pa.string() if scores[0].is_text else pa.float32()
    adds = [(score.column, pa.list_(kind, each)) for score in scores]
    adds.append((scores[0].error, pa.string()))
    hint = f"give it more of a GPU ({share_key(name)}.num_gpus)"
    make = partial(_row_scorer, recipe(scorer), engines.of("scorer", scorer).by_row)
    return Stage(
        name,
        ("image", *make().reads),
        pa.schema(adds),
        partial(_worker, make, each, scores),
        out_of_memory_hint=hint,
        error=scores[0].error,
    )


class _ByPrompt:
    """An ImageScorer as a RowScorer with one score."""

    def __init__(self, scorer: ImageScorer) -> None:
        self.scorer = scorer
        self.reads: tuple[str, ...] = (BY_PROMPT,)
        self.adds = pa.schema([("", pa.float32())])

    def load(self) -> None:
        self.scorer.load()

    def judge(self, images: np.ndarray, rows: pa.Table) -> Columns:
        """Raises ValueError if the scorer gives another number of scores."""
        scores = self.scorer.score(images, rows[BY_PROMPT].to_pylist()).astype(np.float32)
        if scores.shape != (len(images),):
            raise ValueError(f"the scorer gave {scores.shape} for {len(images)} pictures")
        return {"": scores, SCORER_ERROR: [None] * len(images)}


def _row_scorer(make: Callable[[], Any], by_row: bool) -> RowScorer:
    made = make()
    judge: RowScorer = made if by_row else _ByPrompt(made)
    return judge


def _worker(
    make: Callable[[], RowScorer], each: int, scores: Sequence[Score]
) -> Callable[[pa.Table], Columns]:
    judge = make()
    judge.load()
    error = scores[0].error

    def work(rows: pa.Table) -> Columns:
        images = [image for of_row in pictures(rows["image"]) for image in of_row]
        read = rows.select(list(judge.reads)).take(np.repeat(np.arange(rows.num_rows), each))
        said = _judged(judge, images, read)
        values = {score.column: _values(said[score.part], judge, score.part) for score in scores}
        lists = {name: pa.FixedSizeListArray.from_arrays(v, each) for name, v in values.items()}
        return {**lists, error: _reasons(said[SCORER_ERROR], list(values.values()), each)}

    return work


def _judged(judge: RowScorer, images: list[np.ndarray], rows: pa.Table) -> dict[str, list[Any]]:
    """What `judge` says of the pictures; those of one size are judged together."""
    found: dict[str, list[Any]] = {
        name: [None] * len(images) for name in (*judge.adds.names, SCORER_ERROR)
    }
    for size in {image.shape for image in images}:
        places = [place for place, image in enumerate(images) if image.shape == size]
        said = judge.judge(np.stack([images[place] for place in places]), rows.take(places))
        for name, values in found.items():
            for place, value in zip(places, said[name], strict=True):
                values[place] = value
    return found


def _values(values: Any, judge: RowScorer, part: str) -> pa.Array:
    """A value a picture; null in the place of a number that is none."""
    column = pa.array(values, judge.adds.field(part).type, from_pandas=True)
    if not pa.types.is_floating(column.type):
        return column
    return pc.if_else(pc.is_finite(column), column, None)


def _reasons(said: Sequence[str | None], values: Sequence[pa.Array], each: int) -> list[str | None]:
    """For each row the first reason of its pictures, where a value is missing."""
    lacks = np.any([column.is_null().to_numpy(zero_copy_only=False) for column in values], axis=0)
    why = [(text or NO_NUMBER) if lack else None for text, lack in zip(said, lacks, strict=True)]
    rows = (why[start : start + each] for start in range(0, len(why), each))
    return [next(filter(None, row), None) for row in rows]
