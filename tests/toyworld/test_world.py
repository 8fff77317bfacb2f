"""The toy world: what is drawn, what is said about it, and what is kept out of training."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from imagepipe.prompts.seasons import ELEMENTS, SEASONS, enhance, season_of
from toyworld.animals import ANIMAL_LOOKS
from toyworld.captions import MEDIUM_WORDINGS, base_prompt, caption, words
from toyworld.garments import COLOUR_VALUES
from toyworld.media import LOOKS
from toyworld.render import render
from toyworld.world import ANIMALS, COLOURS, GARMENTS, MEDIA, Scene, is_held_out, sample_scene

ALL = [Scene(*names) for names in product(ANIMALS, GARMENTS, COLOURS)]
CAT = Scene("cat", "scarf", "red", "winter", "watercolor painting")


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _scenes(count: int) -> list[Scene]:
    rng = _rng(1)
    return [sample_scene(rng, held_out=k % 4 == 0) for k in range(count)]


def _names(text: str, options: tuple[str, ...]) -> set[str]:
    return {name for name in options if re.search(rf"\b{name}\b", text.lower())}


def _elements(text: str) -> list[tuple[str, str]]:
    return [(s, e) for s in SEASONS for e in ELEMENTS[s] if re.search(rf"\b{e}\b", text)]


# --- seasons


def test_the_seasons_are_drawn_evenly_by_the_seed_alone() -> None:
    counts = Counter(season_of(seed) for seed in range(4000))
    assert set(counts) == set(SEASONS)
    assert min(counts.values()) > 900
    assert len({season_of(seed << 32) for seed in range(40)}) == 4
    assert [season_of(7)] * 3 == [season_of(7) for _ in range(3)]


def test_elements_are_short_and_belong_to_one_season() -> None:
    every = [element for season in SEASONS for element in ELEMENTS[season]]
    assert len(every) == len(set(every))
    assert all(len(ELEMENTS[season]) >= 10 for season in SEASONS)
    assert all(2 <= len(element.split()) <= 4 for element in every)
    taken = {*COLOURS, *ANIMALS, *GARMENTS, *SEASONS}
    assert not [e for e in every if taken & set(e.split())]


@pytest.mark.parametrize("season", SEASONS)
def test_no_element_is_part_of_another(season: str) -> None:
    for element in ELEMENTS[season]:
        assert _elements(element) == [(season, element)]


# --- the split


def test_about_a_tenth_of_the_combinations_is_held_out() -> None:
    held = [scene for scene in ALL if is_held_out(scene)]
    assert 0.08 < len(held) / len(ALL) < 0.12


@pytest.mark.parametrize("field", ["animal", "garment", "colour"])
def test_every_single_thing_is_mostly_in_training(field: str) -> None:
    every = Counter(getattr(scene, field) for scene in ALL)
    held = Counter(getattr(scene, field) for scene in ALL if is_held_out(scene))
    assert all(0 < held[name] < 0.25 * every[name] for name in every)


def test_the_split_ignores_season_and_medium_and_never_moves() -> None:
    assert all(
        is_held_out(s) == is_held_out(replace(s, season="winter", medium="cartoon")) for s in ALL
    )
    held = [f"{s.animal} {s.colour} {s.garment}" for s in ALL if is_held_out(s)]
    assert len(held) == 134
    assert held[:3] == ["cat pink scarf", "cat red hat", "cat purple sweater"]


def test_samples_stay_on_their_side_of_the_split() -> None:
    rng = _rng()
    assert not any(is_held_out(sample_scene(rng)) for _ in range(500))
    assert all(is_held_out(sample_scene(rng, held_out=True)) for _ in range(100))


def test_samples_are_seeded_and_leave_season_and_medium_open_in_a_fifth() -> None:
    scenes = [sample_scene(rng) for rng in [_rng(3)] for _ in range(2000)]
    assert scenes[:5] == [sample_scene(rng) for rng in [_rng(3)] for _ in range(5)]
    assert 0.16 < np.mean([s.season is None for s in scenes]) < 0.24
    assert 0.16 < np.mean([s.medium is None for s in scenes]) < 0.24


# --- captions


def test_the_base_prompt() -> None:
    assert base_prompt(CAT) == "A watercolor painting of a cat wearing a red scarf"
    assert base_prompt(replace(CAT, animal="owl", medium=None)) == "An owl wearing a red scarf"
    assert base_prompt(replace(CAT, medium="oil painting")).startswith("An oil painting of a cat")


def test_captions_name_what_the_scene_has_and_nothing_else() -> None:
    rng = _rng()
    for scene in _scenes(1500):
        text = caption(scene, rng)
        assert _names(text, ANIMALS) == {scene.animal}, text
        assert _names(text, GARMENTS) == {scene.garment}, text
        assert _names(text, COLOURS) == {scene.colour}, text
        seasons = _names(text, SEASONS) | {season for season, _ in _elements(text)}
        assert seasons == ({scene.season} if scene.season else set()), text
        assert _media_named(text) == ({scene.medium} if scene.medium else set()), text


def _media_named(text: str) -> set[str]:
    cues = {
        "watercolor painting": r"watercolou?r",
        "pencil sketch": r"pencil|sketch",
        "cartoon": r"cartoon",
        "oil painting": r"\boil\b",
    }
    return {medium for medium, cue in cues.items() if re.search(cue, text.lower())}


def test_captions_vary_and_are_seeded() -> None:
    texts = [caption(CAT, rng) for rng in [_rng()] for _ in range(300)]
    assert texts == [caption(CAT, rng) for rng in [_rng()] for _ in range(300)]
    assert len(set(texts)) > 150
    assert any("winter" in t for t in texts) and any("winter" not in t for t in texts)
    assert any(t[0].isupper() for t in texts) and any(t[0].islower() for t in texts)


@pytest.mark.parametrize("season", SEASONS)
def test_the_enhancement_keeps_the_prompt_and_adds_two_elements(season: str) -> None:
    rng = _rng()
    for scene in _scenes(100):
        prompt = base_prompt(scene)
        text = enhance(prompt, season, rng)
        assert text.startswith(prompt)
        found = _elements(text[len(prompt) :])
        assert len(found) == 2 and {s for s, _ in found} == {season}, text


def test_every_word_is_in_the_vocabulary() -> None:
    known, rng = set(words()), _rng()
    seen: set[str] = set()
    for scene in _scenes(1500):
        texts = caption(scene, rng), base_prompt(scene), enhance(base_prompt(scene), "autumn", rng)
        for text in texts:
            seen |= set(re.findall(r"[a-z]+", text.lower()))
    assert seen <= known
    assert known - seen == set(), "words that nothing says"


# --- pictures


def test_everything_that_can_be_said_can_be_drawn() -> None:
    assert set(ANIMAL_LOOKS) == set(ANIMALS) and len(ANIMALS) >= 16
    assert set(COLOUR_VALUES) == set(COLOURS)
    assert set(LOOKS) == {None, *MEDIA} and set(MEDIUM_WORDINGS) == set(MEDIA)


@pytest.mark.parametrize("size", [64, 128])
def test_pictures_have_the_size_asked_for(size: int) -> None:
    for medium in (None, *MEDIA):
        picture = render(replace(CAT, medium=medium), _rng(), size)
        assert picture.shape == (size, size, 3) and picture.dtype == np.uint8


def test_a_picture_depends_on_its_seed_alone() -> None:
    for scene in _scenes(20):
        picture = render(scene, _rng(5))
        assert np.array_equal(picture, render(scene, _rng(5)))
        assert not np.array_equal(picture, render(scene, _rng(6)))


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("animal", ANIMALS),
        ("garment", GARMENTS),
        ("colour", COLOURS),
        ("season", (None, *SEASONS)),
        ("medium", (None, *MEDIA)),
    ],
)
def test_every_choice_changes_the_picture_visibly(field: str, names: tuple[Any, ...]) -> None:
    pictures = [render(replace(CAT, **{field: name}), _rng(2)).astype(int) for name in names]
    for k, one in enumerate(pictures):
        for other in pictures[:k]:
            changed = np.abs(one - other).max(axis=2) > 40
            assert changed.sum() > 150


@pytest.mark.parametrize("medium", [None, *MEDIA])
@pytest.mark.parametrize("garment", GARMENTS)
def test_the_garment_shows_its_colour_in_every_medium(garment: str, medium: str | None) -> None:
    turn = GARMENTS.index(garment) + 3 * list(LOOKS).index(medium)
    for animal in (ANIMALS[(turn + step) % 16] for step in (0, 5, 10)):
        for colour in COLOURS:
            scene = Scene(animal, garment, colour, None, medium)
            other = replace(scene, colour="white" if colour != "white" else "black")
            picture, reference = (
                render(scene, _rng(4)).astype(int),
                render(other, _rng(4)).astype(int),
            )
            cloth = picture[np.abs(picture - reference).max(axis=2) > 30]
            assert len(cloth) > 100, scene
            distance = {name: _gap(cloth, value) for name, value in COLOUR_VALUES.items()}
            assert min(distance, key=lambda name: distance[name]) == colour, scene


def _gap(cloth: np.ndarray, value: tuple[int, int, int]) -> float:
    return float(np.median(np.abs(cloth - np.array(value)).sum(axis=1)))
