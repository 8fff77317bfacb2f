"""Parts of a pipeline from folders of their own: a decoder, a text encoder, a ControlNet."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.tiny_pipelines import SD, SDXL, complaint, small, write_controlnet

from imagepipe.config import Part
from imagepipe.diffusion import checks
from imagepipe.diffusion.diffusers import load


@pytest.mark.parametrize("part", ["vae", "text_encoder"])
def test_a_part_is_of_the_models_variant_where_it_comes_in_that(part, trained, tmp_path: Path):
    pipe = load(small(trained(SD)), "cpu")
    own, halves = getattr(pipe, part), tmp_path / "halves"
    own.save_pretrained(halves, variant="fp16")
    named = {"vae": {"vae": str(halves)}}.get(part, {"parts": {part: Part(str(halves))}})
    pipe.save_pretrained(tmp_path / "all", variant="fp16")
    model = small(tmp_path / "all", variant="fp16", **named)
    checks.check(model)
    loaded = getattr(load(model, "cpu"), part).state_dict()
    assert all(bool((loaded[name] == value).all()) for name, value in own.state_dict().items())


def test_a_controlnet_without_weights_or_with_pickles_is_told(trained, tmp_path: Path):
    net = write_controlnet(tmp_path / "net")
    model = small(trained(SDXL), columns={"control_image": "c"}, controlnet=str(net))
    assert f"model.controlnet={net}: {net} holds no weights" in complaint(model)
    (net / "diffusion_pytorch_model.bin").touch()
    assert "has only pickled weights, and a pickle can run any code" in complaint(model)
