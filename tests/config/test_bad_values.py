"""What keys may not say, each with the line that a person reads."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.configs import composed
from helpers.refusals import refusal

from imagepipe.config import own, scorers
from imagepipe.config.own import OwnStage


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            "sweep.jobs_at_once=some",
            "sweep.jobs_at_once=some: is neither a number of jobs nor auto. "
            "Give a whole number from 1 on, or auto.",
        ),
        (
            "sweep.jobs_at_once=0",
            "sweep.jobs_at_once=0: is neither a number of jobs nor auto. "
            "Give a whole number from 1 on, or auto.",
        ),
        (
            "ray.nodes=[a,b]",
            "ray.nodes=a,b: is for clusters, but ray.address is not set. "
            "Leave it out, or use ray=cluster.",
        ),
    ],
)
def test_a_key(typed: str, said: str):
    assert refusal(composed, typed) == said


@pytest.mark.parametrize("given", ["my.Upscale", {"_target_": "my.Upscale"}, ["my.Upscale"]])
def test_stages_that_are_no_list_of_mappings(given: Any):
    assert refusal(own.split, given, auto=False) == (
        f"stages={given}: is not a list of stages. "
        "Give one as 'stages=[{_target_: my_package.Upscale, after: model}]'."
    )


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Upscale", "names columns and processes"),
        ("2x", "names columns and processes"),
        ("größer", "names columns and processes"),
        ("model", "is the name of another stage"),
        ("write", "is the name of another stage"),
        ("scorer", "is the name of another stage"),
    ],
)
def test_a_stage_that_cannot_be_called_so(name: str, why: str):
    stages = [OwnStage("my.A", "model", "a"), OwnStage("my.B", "model", name)]
    assert refusal(own.check, stages, ["prompt", "model", "scorer_x"]) == (
        f"stages.1.name={name}: {why}. "
        "Use a-z, 0-9 and _, and no name that imagepipe has for a stage."
    )


def test_a_scorer_without_a_place_beside_others():
    flat = {"name": "mine", "engine": "clip"}
    others = {"clip": {"name": "clip"}, "aesthetic": {"name": "aesthetic"}}
    assert refusal(scorers.sections, {**flat, **others}) == (
        "scorer.name=mine: is one of several scorers (with clip, aesthetic), but its file does not "
        "say where it belongs. Make this the first line of its file: # @package scorer.mine. "
        "Or give another name: scorer.clip.name=..."
    )
