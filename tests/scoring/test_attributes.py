"""Attributes judged one by one, by the embedded scorer on renderings of the toy world."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from imagepipe.config import Scorer
from imagepipe.errors import UserError
from imagepipe.scoring import SCORER_ERROR, check, make
from toyworld import held_out, judge

CASES = held_out.load(held_out.DEFAULT)[::40]
PARTS = ("animal", "garment", "colour", "season", "medium")
SCORER = Scorer(
    "toy", "attributes", "asset:tiny_clip", questions={name: f"{{{name}}}" for name in PARTS}
)


def rows(**changes: object) -> pa.Table:
    scenes = [{**asdict(case.scene), **changes} for case in CASES]
    return pa.table({name: pa.array([s[name] for s in scenes], pa.string()) for name in PARTS})


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return judge.rendered(CASES)


@pytest.fixture(scope="module")
def shipped():
    made = make(SCORER)
    made.load()
    return made


def test_an_answer_is_right_or_wrong_and_all_needs_each(shipped, images: np.ndarray):
    said = shipped.judge(images, rows())
    assert list(said) == [*PARTS, "all", SCORER_ERROR]
    wrong = judge.misses(CASES, shipped.clip.answers(images))
    for name in PARTS:
        missed = {place for place, _ in wrong[name]}
        assert said[name] == [float(place not in missed) for place in range(len(CASES))]
    assert said["all"] == [min(said[name][i] for name in PARTS) for i in range(len(CASES))]
    assert sum(said["all"]) >= len(CASES) - 2


def test_another_animal_in_the_row_is_wrong(shipped, images: np.ndarray):
    others = {"cat": "dog"}
    swapped = [others.get(case.scene.animal, "cat") for case in CASES]
    table = rows().set_column(0, "animal", [swapped])
    said = shipped.judge(images, table)
    assert said["animal"] == said["all"] == [0.0] * len(CASES)
    assert said["medium"] == shipped.judge(images, rows())["medium"]


def test_an_empty_cell_means_none_where_that_is_an_answer(shipped, images: np.ndarray):
    seasons = [case.scene.season for case in CASES]
    assert None in seasons and len(set(seasons)) > 2
    said = shipped.judge(images, rows(season=None))
    unnamed = [season is None for season in seasons]
    assert [value == 1 for value in said["season"]] == unnamed
    said = shipped.judge(images, rows(animal=None))
    assert said["animal"] == said["all"] == [None] * len(CASES)
    assert set(said[SCORER_ERROR]) == {"animal: the judge does not know 'none'"}


def test_what_the_judge_does_not_know_has_no_score(shipped, images: np.ndarray):
    said = shipped.judge(images[:1], rows(colour="mauve").slice(0, 1))
    assert (said["colour"], said["all"]) == ([None], [None])
    assert said[SCORER_ERROR] == ["colour: the judge does not know 'mauve'"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"questions": {}}, "scorer.questions={}: scorer.engine=attributes needs at least one"),
        ({"questions": {"tail": "{tail}"}}, "scorer.questions.tail={tail}: asset:tiny_clip has no"),
        ({"questions": {"tail": "{tail}"}}, "It has: animal, garment, colour, season, medium."),
        ({"path": "asset:tiny_llm"}, "its config.json says llama"),
    ],
    ids=["none", "other", "listed", "llm"],
)
def test_what_it_cannot_judge_is_refused(changes: dict[str, object], said: str):
    check(SCORER)
    with pytest.raises(UserError) as caught:
        check(replace(SCORER, **changes))
    assert said in str(caught.value)


def test_a_clip_without_questions_is_refused(tmp_path: Path):
    from shutil import copytree

    from imagepipe.assets import folder

    copy = Path(copytree(folder("asset:tiny_clip"), tmp_path / "clip"))
    check(replace(SCORER, path=str(copy)))
    (copy / "questions.json").unlink()
    with pytest.raises(UserError, match=r"It has: none, for it lacks questions\.json"):
        check(replace(SCORER, path=str(copy)))


def test_an_answer_that_is_the_same_for_every_row_needs_no_column(images: np.ndarray):
    made = make(replace(SCORER, questions={"medium": CASES[0].scene.medium}))
    made.load()
    assert made.reads == ()
    said = made.judge(images, rows().select([]))
    assert said[SCORER_ERROR] == [None] * len(CASES)
    assert said["medium"][0] == 1.0
