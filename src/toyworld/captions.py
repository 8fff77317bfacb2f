"""Sentences about a scene, and the seasonal enhancement that the tiny LLM learns to write."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from imagepipe.prompts.seasons import ELEMENTS, ENHANCEMENTS, SEASONS, enhance
from toyworld.world import ANIMALS, COLOURS, GARMENTS, MEDIA, Scene

if TYPE_CHECKING:
    import numpy as np

BASE = "{animal} wearing {garment}"
SUBJECTS = (
    BASE,
    BASE,
    BASE,
    "{animal} in {garment}",
    "{animal} with {garment} on",
    "{animal} dressed in {garment}",
    "{animal} that wears {garment}",
    "{animal} who is wearing {garment}",
    "{garment} on {animal}",
    "{garment} worn by {animal}",
)
MEDIUM_WORDINGS: dict[str, tuple[str, ...]] = {
    "watercolor painting": (
        "a watercolor painting of {0}",
        "a watercolor painting of {0}",
        "a watercolor of {0}",
        "a watercolour painting of {0}",
        "watercolor painting of {0}",
        "{0}, watercolor painting",
        "{0}, painted in watercolor",
    ),
    "pencil sketch": (
        "a pencil sketch of {0}",
        "a pencil sketch of {0}",
        "a pencil drawing of {0}",
        "pencil sketch of {0}",
        "a sketch of {0}",
        "{0}, pencil sketch",
        "{0}, drawn in pencil",
    ),
    "cartoon": (
        "a cartoon of {0}",
        "a cartoon of {0}",
        "a cartoon drawing of {0}",
        "a cartoon picture of {0}",
        "cartoon of {0}",
        "{0}, cartoon",
        "{0}, drawn as a cartoon",
    ),
    "oil painting": (
        "an oil painting of {0}",
        "an oil painting of {0}",
        "an oil on canvas of {0}",
        "an oil portrait of {0}",
        "oil painting of {0}",
        "{0}, oil painting",
        "{0}, painted in oil",
    ),
}
SEASON_WORDINGS = (
    "{0} in {season}",
    "{0} in {season}",
    "{0}, in {season}",
    "{0} during {season}",
    "{0}, {season} scene",
    "{0}, on {a_season} day",
    "in {season}, {0}",
    "{season}, {0}",
)


def base_prompt(scene: Scene) -> str:
    """The plain prompt: medium, animal, colour and garment, never the season."""
    return _sentence(_in_medium(scene, _subject(scene, BASE), 0))


def caption(scene: Scene, rng: np.random.Generator) -> str:
    """One of many wordings of everything that the scene has, and of nothing that it has not."""
    if rng.random() < 0.4:
        text = _in_medium(scene, _subject(scene, BASE), 0)
    else:
        text = _in_medium(scene, _subject(scene, _pick(rng, SUBJECTS)), int(rng.integers(7)))
    if scene.season is not None:
        text = _in_season(text, scene.season, rng)
    return _restyle(text, rng)


def words() -> list[str]:
    """Every lower-case word that a prompt, caption or enhancement can hold, sorted."""
    texts: list[str] = ["a", "an", *ANIMALS, *GARMENTS, *COLOURS, *SEASONS, *MEDIA]
    texts += [*SUBJECTS, *SEASON_WORDINGS, *ENHANCEMENTS]
    texts += _flat(MEDIUM_WORDINGS.values()) + _flat(ELEMENTS.values())
    plain = re.sub(r"\{\w+\}", " ", " ".join(texts)).lower()
    return sorted(set(re.findall(r"[a-z]+", plain)))


def _subject(scene: Scene, template: str) -> str:
    return template.format(
        animal=_with_article(scene.animal), garment=f"a {scene.colour} {scene.garment}"
    )


def _in_medium(scene: Scene, text: str, wording: int) -> str:
    return text if scene.medium is None else MEDIUM_WORDINGS[scene.medium][wording].format(text)


def _in_season(text: str, season: str, rng: np.random.Generator) -> str:
    """The season by name, by two of its elements, or by both."""
    kind = rng.random()
    if kind < 0.65:
        text = enhance(text, season, rng)
    if kind > 0.5:
        named = _pick(rng, SEASON_WORDINGS)
        text = named.format(text, season=season, a_season=_with_article(season))
    return text


def _restyle(text: str, rng: np.random.Generator) -> str:
    """Upper or lower case at the start, and a full stop or none at the end."""
    text = _sentence(text) if rng.random() < 0.5 else text
    return text + "." if rng.random() < 0.15 else text


def _with_article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _flat(groups: Iterable[Sequence[str]]) -> list[str]:
    return [text for group in groups for text in group]
