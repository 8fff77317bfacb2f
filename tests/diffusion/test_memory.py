"""What a process that draws needs of memory, told from headers and shapes alone."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import checkpoints
from helpers.configs import composed
from helpers.tiny_pipelines import SD, SDXL, small
from safetensors.torch import save_file

from imagepipe.config import Part, Quantization
from imagepipe.diffusion.memory import most_alive, picture_gb, weights_gb


def values(folder: Path) -> int:
    return sum(value.numel() for value in checkpoints.held(folder).values())


@pytest.fixture
def model(trained):
    return small(trained(SD), dtype="auto")


def test_weights_are_counted_by_their_files_in_the_dtype_of_the_device(model, trained):
    whole = sum(values(trained(SD) / part) for part in ("unet", "vae", "text_encoder"))
    assert weights_gb(model, gpu=False) == pytest.approx(4 * whole / 1e9)
    assert weights_gb(model, gpu=True) == pytest.approx(2 * whole / 1e9)
    assert weights_gb(replace(model, dtype="bfloat16"), gpu=False) == pytest.approx(2 * whole / 1e9)


def test_parts_from_elsewhere_count_in_the_place_of_the_pipelines_own(model, trained, tmp_path):
    others = sum(values(trained(SD) / part) for part in ("vae", "text_encoder"))
    file = tmp_path / "one.safetensors"
    save_file({"a": torch.zeros(10, 20), "b": torch.zeros(30)}, file)
    apart = replace(model, weights_gb=6.9, parts={"unet": Part(str(file))})
    assert weights_gb(apart, gpu=False) == pytest.approx(4 * (others + 230) / 1e9)
    (tmp_path / "q4.gguf").write_bytes(bytes(1000))
    packed = replace(model, parts={"unet": Part(str(tmp_path / "q4.gguf"))})
    assert weights_gb(packed, gpu=True) == pytest.approx((2 * others + 1000) / 1e9)
    whole = replace(model, path=str(file))
    assert weights_gb(whole, gpu=True) == pytest.approx(2 * 230 / 1e9)


@pytest.mark.parametrize(
    ("changes", "gb"),
    [
        ({}, 6.9),
        ({"dtype": "float32"}, 13.8),
        ({"vae": "madebyollin/sdxl-vae-fp16-fix"}, None),
        ({"parts": {"unet": Part("someone/else")}}, None),
        ({"quantization": Quantization("bitsandbytes_4bit")}, None),
    ],
    ids=["preset", "float32", "vae", "parts", "fewer-bits"],
)
def test_what_is_not_here_goes_by_its_preset_where_that_holds(changes, gb):
    preset = composed("model=sdxl", "llm=none").model
    assert weights_gb(replace(preset, weights="random", **changes), gpu=True) == gb


def test_what_is_alive_at_once_is_counted_and_views_are_not():
    def made(one: torch.Tensor) -> torch.Tensor:
        two = one * 2  # one more
        three = (two.reshape(10, 100) + 1).T  # and another
        del two
        four = torch.cat([three, three])  # twice its size
        return four.mean()  # one number

    for device in ("cpu", "meta"):
        size = 4 * 1000  # of a tensor; the one that is given is not made
        assert most_alive(made, torch.zeros(1000, device=device)) == 3 * size + 4


def test_attention_holds_no_scores():
    shape = (1, 1, 1 << 14, 8)
    given = [torch.empty(shape, device="meta") for _ in range(3)]
    assert most_alive(torch.nn.functional.scaled_dot_product_attention, *given) == (
        4 * math.prod(shape)
    )


@pytest.mark.parametrize(
    ("preset", "changes", "gb"),
    [
        # 256 channels at full size, of which the last block holds three: Rombach et al. 2022.
        ("flux_schnell", {}, 3 * 256 * 1024**2 * 2 / 1e9),
        ("flux_schnell", {"width": 512}, 3 * 256 * 512 * 1024 * 2 / 1e9),
        ("flux_schnell", {"dtype": "float32"}, 3 * 256 * 1024**2 * 4 / 1e9),
        ("sdxl", {}, 3 * 256 * 1024**2 * 4 / 1e9),  # it decodes in float32
    ],
    ids=["half", "narrow", "whole", "sdxl"],
)
def test_a_picture_takes_what_its_decoder_holds(preset, changes, gb):
    model = composed(f"model={preset}", "llm=none").model
    found = picture_gb(replace(model, weights="random", **changes), gpu=True)
    assert found == pytest.approx(gb, rel=0.01)


def test_a_decoder_that_works_tile_by_tile_takes_less():
    large = {"width": 2048, "height": 2048, "weights": "random"}  # tiles have 1024 pixels a side
    model = replace(composed("model=sdxl", "llm=none").model, **large)
    whole, tiled = picture_gb(model, True), picture_gb(replace(model, vae_tiling=True), True)
    assert tiled is not None and whole is not None and tiled < whole / 2


def test_nothing_is_loaded_for_the_embedded_models_and_small_ones_are_small(trained):
    assert picture_gb(composed().model, gpu=False) is None
    assert 0 < (picture_gb(small(trained(SDXL)), gpu=False) or 0) < 0.01
