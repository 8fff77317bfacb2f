"""Between what scores lie, as their scorers say it."""

from __future__ import annotations

import math

import pytest
from helpers.refusals import refusal

from imagepipe import scoring
from imagepipe.config import Config, Scorer

ASKED = {"shows": "a cat"}
ANSWERS = {"animal": "cat"}


class Colourful:
    """A plug-in: as in docs/plugins.md."""

    limits: object = (0, 100)

    def __init__(self, config: Scorer) -> None:
        self.limits = config.options.get("limits", self.limits)

    def load(self) -> None: ...

    def score(self, images, prompts): ...


def mine(limits: object) -> Scorer:
    target = f"{Colourful.__module__}.Colourful"
    return Scorer("mine", "custom", _target_=target, options={"limits": limits})


@pytest.mark.parametrize(
    ("scorer", "limits"),
    [
        pytest.param(Scorer("a", "clip", "asset:tiny_clip"), {"a": [-100, 100]}, id="clip"),
        pytest.param(Scorer("a", "vlm", "x", questions=ASKED), {"a_shows": [0, 1]}, id="vlm"),
        pytest.param(Scorer("a", "vllm_vlm", "x", questions=ASKED), {"a_shows": [0, 1]}, id="vllm"),
        pytest.param(
            Scorer("a", "openai_vlm", "x", questions=ASKED), {"a_shows": [0, 1]}, id="server"
        ),
        pytest.param(
            Scorer("a", "image_classifier", "x", questions=ASKED), {"a_shows": [0, 1]}, id="label"
        ),
        pytest.param(
            Scorer("a", "attributes", "asset:tiny_clip", questions=ANSWERS),
            {"a_animal": [0, 1], "a_all": [0, 1]},
            id="attributes",
        ),
        pytest.param(Scorer("a", "aesthetic", "x"), {}, id="aesthetic"),
        pytest.param(Scorer("a", "caption", "x", questions=ASKED), {}, id="texts"),
        pytest.param(mine((0, 100)), {"mine": [0, 100]}, id="custom"),
        pytest.param(mine((0, math.inf)), {"mine": [0, None]}, id="one-side"),
        pytest.param(mine(None), {}, id="says-none"),
    ],
)
def test_a_scorer_says_between_what_its_scores_lie(scorer: Scorer, limits: dict):
    config = Config()
    config.scorer = {scorer.name: scorer}
    assert scoring.limits(config) == limits


@pytest.mark.parametrize("limits", [(1, 0), (0, 0), (0,), 1, "ab", (0, math.nan)])
def test_limits_that_are_no_two_numbers_are_refused(limits: object):
    said = refusal(scoring.check, mine(limits))
    assert said.startswith("scorer._target_=")
    assert f"its scores cannot lie between limits = {limits!r}. Give two numbers" in said
