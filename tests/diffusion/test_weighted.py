"""Weights in prompts and prompts of any length, by compel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.tiny_pipelines import FLUX, SD, SDXL, complaint, painter, small
from safetensors.torch import save_file

from imagepipe.config import Model, TextualInversion
from imagepipe.diffusion.weighted import translated

Folder = Callable[[str], Path]
LONG = "cat " * 90


def weighing(folder: Path, **changes) -> Model:
    return small(folder, prompt_syntax="compel", **changes)


@pytest.mark.parametrize(
    ("prompt", "as_compel_has_it"),
    [
        ("a (red:1.3) cat", "a (red)1.3  cat"),
        ("(red:1)", "(red)1 "),
        ("((red:1.5) cat:.8)", "((red)1.5  cat)0.8 "),
        ("at 12:30 (or so), c: d", "at 12:30 (or so), c: d"),
        (r"\(red:1.3\) (x:y)", r"\(red:1.3\) (x:y)"),
        ("(a: b: 1.2) (open:1.1", "(a: b)1.2  (open:1.1"),
    ],
    ids=["one", "plain", "nested", "times", "escaped", "open"],
)
def test_weights_are_translated(prompt: str, as_compel_has_it: str):
    assert translated(prompt) == as_compel_has_it


@pytest.mark.parametrize("hub_id", [pytest.param(SD, marks=pytest.mark.faults), SDXL])
def test_weight_one_is_the_plain_prompt_and_others_are_not(hub_id: str, trained: Folder):
    folder = trained(hub_id)
    more = {"guidance": 2.0, "negative_prompt": "a dog"}
    for changes in ({}, {"guidance": 2.0}, more):
        plain = painter(small(folder, **changes))
        one = painter(weighing(folder, **changes))
        drawn = plain.paint(["a red cat in the snow", "a dog"], [1, 2]).astype(int)
        same = one.paint(["a (red:1.0) cat in the snow", "a dog"], [1, 2])
        assert np.abs(same - drawn).max() <= 2, changes
    heavy = one.paint(["a (red:1.9) cat in the snow", "a (dog:0.2)"], [1, 2])
    assert all(np.abs(heavy[n] - drawn[n]).max() > 2 for n in range(2))


def test_no_prompt_is_cut_and_none_depends_on_its_neighbours(trained: Folder):
    one = painter(weighing(trained(SD), guidance=2.0))
    assert painter(small(trained(SD))).is_cut(LONG) and not one.is_cut(LONG)
    prompts = [f"{LONG} {'dog ' * 20}", "a dog", f"{LONG} {'hat ' * 20}"]
    together = one.paint(prompts, [1, 2, 1]).astype(int)
    for number, prompt in enumerate(prompts):
        alone = one.paint([prompt], [[1, 2, 1][number]])[0]
        assert np.abs(alone - together[number]).max() <= 2
    assert not np.array_equal(together[0], together[2])  # the ends differ alone


def test_words_of_ones_own_are_known(trained: Folder, tmp_path: Path):
    plain = painter(small(trained(SD)))
    number = plain.pipe.tokenizer("cat", add_special_tokens=False).input_ids
    weight = plain.pipe.text_encoder.get_input_embeddings().weight.data[number].clone()
    save_file({"<my-cat>": weight}, tmp_path / "one.safetensors")
    words = [TextualInversion(str(tmp_path / "one.safetensors"))]
    one = painter(weighing(trained(SD), textual_inversions=words))
    apart = one.paint(["a red <my-cat>"], [1]).astype(int) - plain.paint(["a red cat"], [1])
    assert np.abs(apart).max() <= 2


def test_what_it_does_not_weigh_is_refused(trained: Folder):
    model = weighing(trained(FLUX))
    assert "weighs prompts for CLIP, and FluxPipeline has other text encoders" in complaint(model)
    said = complaint(replace(weighing(trained(SD)), call_kwargs={"clip_skip": 1}))
    assert "model.call_kwargs.clip_skip=1: has no effect on prompts that compel reads" in said
