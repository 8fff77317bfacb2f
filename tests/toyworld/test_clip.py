"""How the scorer is taught, how the judge counts, and how good the scorer that ships is."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from imagepipe.assets import folder
from imagepipe.config import Scorer
from imagepipe.scoring.clip import ClipScorer
from toyworld import held_out, judge
from toyworld import tokenizer as toy_tokenizer
from toyworld.augment import augment
from toyworld.captions import words
from toyworld.pictures import draw, garment_cells
from toyworld.train_clip import (
    SETTINGS,
    Lesson,
    build_model,
    build_tokenizer,
    pair_loss,
    questions,
    to_batch,
    train,
)
from toyworld.training import generator
from toyworld.world import Scene

PROMPTS = held_out.DEFAULT
QUICK = replace(SETTINGS, steps=2, batch=4, log_every=1, save_every=1)
CASES = held_out.load(PROMPTS)[::4]


@pytest.fixture(scope="module")
def shipped() -> ClipScorer:
    scorer = ClipScorer(Scorer("clip", "clip", path="asset:tiny_clip"))
    scorer.load()
    return scorer


@pytest.fixture(scope="module")
def real() -> np.ndarray:
    return judge.rendered(CASES)


# --- teaching


def test_every_word_and_question_is_known_to_the_tokenizer() -> None:
    tokenizer = build_tokenizer()
    asked = [text for texts in questions().values() for text in texts.values()]
    for text in [*words(), *asked]:
        assert len(tokenizer(text)["input_ids"]) == len(text.split()) + 2, text


def test_a_tokenizer_is_built_once(tmp_path: Path):
    built = toy_tokenizer.kept(tmp_path / "tokenizer", build_tokenizer)
    again = toy_tokenizer.kept(tmp_path / "tokenizer", lambda: pytest.fail("built again"))
    assert again.get_vocab() == built.get_vocab()
    assert (
        again("a cat wearing a red hat")["input_ids"] == built("a cat wearing a red hat").input_ids
    )


def test_augmenting_is_seeded_and_leaves_shape_and_range() -> None:
    pictures = to_batch(judge.rendered(CASES[:6]))
    first, again = (augment(pictures, generator(1, 2)) for _ in range(2))
    assert first.shape == pictures.shape
    assert first.abs().max() <= 1
    assert (first == again).all()
    assert (first - pictures).abs().mean() > 0.02


def test_equal_scenes_in_a_batch_are_no_mistake() -> None:
    a, b = Scene("cat", "hat", "red"), Scene("dog", "hat", "red")
    logits = torch.tensor([[9.0, 9.0, 0.0], [9.0, 9.0, 0.0], [0.0, 0.0, 9.0]])
    assert pair_loss(logits, [a, a, b]) < 0.75  # log 2 for two right answers
    assert pair_loss(logits, [a, b, b]) > 3


def test_a_lesson_follows_from_its_step(real: np.ndarray) -> None:
    tokenizer = build_tokenizer()
    scenes = [case.scene for case in CASES]
    cells = np.zeros((len(scenes), 64), bool)
    cells[:, 20:23] = True
    lesson = Lesson(build_model(tokenizer), tokenizer, real, scenes, cells, QUICK)
    assert lesson(3)["loss"].item() == lesson(3)["loss"].item() != lesson(4)["loss"].item()


def test_a_training_leaves_a_folder_that_scores(tmp_path: Path, real: np.ndarray) -> None:
    train(tmp_path / "work", tmp_path / "out", QUICK, count=8)
    scorer = ClipScorer(Scorer("clip", "clip", path=str(tmp_path / "out")))
    scorer.load()
    scores = scorer.score(real[:3], ["a cat", "a very long text " * 40, ""])
    assert scores.shape == (3,)
    assert scores.dtype == np.float32
    assert (np.abs(scores) <= 100).all()
    assert (scorer.processor(images=list(real[:2]), return_tensors="pt")["pixel_values"]
            - to_batch(real[:2]).cpu()).abs().max() < 1e-5  # fmt: skip
    assert json.loads((tmp_path / "out" / "questions.json").read_text()) == questions()


def test_a_training_can_begin_with_an_earlier_scorer(
    tmp_path: Path, shipped: ClipScorer, real: np.ndarray
) -> None:
    begin = Path(str(folder("asset:tiny_clip")))
    train(tmp_path / "work", tmp_path / "out", replace(QUICK, steps=1), count=8, begin=begin)
    scorer = ClipScorer(Scorer("clip", "clip", path=str(tmp_path / "out")))
    scorer.load()
    prompts = [case.prompt for case in CASES[:8]]
    assert np.abs(scorer.score(real[:8], prompts) - shipped.score(real[:8], prompts)).max() < 5
    assert "earlier training" in (tmp_path / "out" / "README.md").read_text()


def test_the_cells_are_where_the_garment_is():
    """A hat's are in the upper half of the figure, a skirt's in the lower."""
    garments, heights = [], []
    for number in range(60):
        garments.append(draw(3, number)[1].garment)
        heights.append(np.nonzero(garment_cells(3, number).reshape(8, 8))[0].mean())
    assert all(h < 4 for g, h in zip(garments, heights, strict=True) if g in ("hat", "crown"))
    assert all(h > 4 for g, h in zip(garments, heights, strict=True) if g in ("skirt", "dress"))
    assert len(set(garments)) == 8


# --- the judge


def test_the_judge_counts_wrong_answers_by_attribute() -> None:
    cases = CASES[:2]
    right = {name: [getattr(case.scene, name) or "none" for case in cases] for name in questions()}
    assert set(judge.percentages(cases, judge.misses(cases, right)).values()) == {100}
    right["colour"][1] = "none of these"
    wrong = judge.misses(cases, right)
    assert judge.percentages(cases, wrong)["colour"] == 50
    assert "colour: none of these, not" in "\n".join(judge.report(cases, wrong))


def test_the_sheet_shows_48_pictures(real: np.ndarray) -> None:
    sheet = Image.open(BytesIO(judge.sheet(CASES, real)))
    assert sheet.width == 1600
    assert sheet.height > 1000


# --- the scorer that ships


def test_the_scorer_is_right_on_real_renderings(shipped: ClipScorer, real: np.ndarray) -> None:
    shares = judge.percentages(CASES, judge.misses(CASES, shipped.answers(real)))
    assert min(shares.values()) >= 97, shares


def test_the_scorer_bears_soft_and_tinted_pictures(shipped: ClipScorer, real: np.ndarray) -> None:
    pictures = [Image.fromarray(picture).resize((72, 72)).resize((128, 128)) for picture in real]
    soft = (np.stack([np.asarray(picture) for picture in pictures]) * 0.93 + 6).astype(np.uint8)
    shares = judge.percentages(CASES, judge.misses(CASES, shipped.answers(soft)))
    assert min(shares.values()) >= 92, shares


def test_the_right_prompt_scores_above_a_wrong_one(shipped: ClipScorer, real: np.ndarray) -> None:
    prompts = [case.prompt for case in CASES]
    right, wrong = shipped.score(real, prompts), shipped.score(real, prompts[1:] + prompts[:1])
    assert (right > wrong).mean() > 0.97


def test_other_sizes_are_resized(shipped: ClipScorer, real: np.ndarray) -> None:
    large = real[:4].repeat(2, axis=1).repeat(2, axis=2)
    assert shipped.answers(large)["animal"] == shipped.answers(real[:4])["animal"]


def test_the_scorer_is_small_and_has_no_pickles(shipped: ClipScorer) -> None:
    files = list(folder("asset:tiny_clip").iterdir())  # type: ignore[union-attr]
    assert sum(file.stat().st_size for file in files) < 12e6
    assert not [file for file in files if file.suffix in {".bin", ".pt", ".pkl", ".pth"}]


# --- the text-to-image model that ships


def test_the_pictures_that_the_embedded_model_draws_show_what_was_asked(shipped: ClipScorer):
    """A guard below the figures of the model's card, on a part of its prompts."""
    cases = held_out.load(PROMPTS)[::20]
    images = judge.drawn(cases, "asset:tiny", steps=6, guidance=2.0)
    shares = judge.percentages(cases, judge.misses(cases, shipped.answers(images)))
    least = {"animal": 90, "garment": 80, "colour": 85, "season": 95, "medium": 95}
    assert all(shares[name] >= share for name, share in least.items()), shares
