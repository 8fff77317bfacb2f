"""`imagepipe fetch`: what a run loads from the hub, fetched before it."""

from __future__ import annotations

import pytest
from helpers.hub_server import asked, serving

from imagepipe.config import Model
from imagepipe.diffusion import files


def test_a_model_that_the_hub_does_not_know_is_refused(tmp_path):
    with serving(tmp_path) as (address, _):
        typed = ["fetch", "model=sd_turbo", "model.path=tiny/none", "llm=none", "scorer=none"]
        done = asked(tmp_path / "home", *typed, HF_ENDPOINT=address)
    assert done.returncode == 2
    assert done.stderr.startswith("imagepipe: model.path=tiny/none: ")
    assert "the hub knows no such model" in done.stderr


@pytest.mark.parametrize(
    ("variant", "pickles", "has", "taken"),
    [
        (None, False, ["a.safetensors", "a.bin"], ["a.safetensors"]),
        (None, True, ["a.safetensors", "a.bin"], ["a.safetensors"]),
        (None, True, ["a.bin"], ["a.bin"]),
        (None, False, ["a.bin"], []),
        ("fp16", False, ["a.safetensors", "a.fp16.safetensors"], ["a.fp16.safetensors"]),
        ("fp16", False, ["a.safetensors"], ["a.safetensors"]),
        (
            "bf16",
            False,
            ["a.bf16-00001-of-00002.safetensors"],
            ["a.bf16-00001-of-00002.safetensors"],
        ),
    ],
    ids=["safe", "safe-first", "pickled", "refused", "variant", "no-variant", "shards"],
)
def test_of_a_part_the_weights_are_those_that_diffusers_loads(variant, pickles, has, taken):
    model = Model("mine", "diffusers", variant=variant, use_safetensors=not pickles)
    small = ["config.json", "merges.txt"]
    assert files.part_files([*small, *has, "deep/a.safetensors", "x.md"], model) == [*small, *taken]
