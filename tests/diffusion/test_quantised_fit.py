"""Quantised weights of diffusers' parts: compared by their layers, whatever their names end in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import diffusers
import pytest
import torch
from helpers.tiny_pipelines import KL
from safetensors.torch import save_file

from imagepipe.diffusion import fit
from imagepipe.errors import UserError

CONFIG = {**KL, "quantization_config": {"quant_method": "x"}}
Names = Callable[[str], list[str]]


def bitsandbytes(name: str) -> list[str]:
    return [name, f"{name}.absmax", f"{name}.quant_map", f"{name}.quant_state.bitsandbytes__nf4"]


def quanto(name: str) -> list[str]:
    return [f"{name}._data", f"{name}._scale"]


def torchao(name: str) -> list[str]:
    layer, _, last = name.rpartition(".")
    return [f"{layer}._{last}_qdata", f"{layer}._{last}_scale"]


def check(folder: Path, names: Names, change: Callable[[str], str | None]) -> None:
    """Of a decoder whose matrices are packed, the names of its layers changed."""
    held: dict[str, torch.Tensor] = {}
    for name, value in diffusers.AutoencoderKL(**KL).state_dict().items():
        if changed := change(name):
            packed = names(changed) if value.ndim > 1 else [changed]
            held |= {one: torch.zeros(3) if value.ndim > 1 else value for one in packed}
    save_file(held, folder / "m.safetensors")
    fit.check_part(
        "model.path", "m", folder, diffusers.AutoencoderKL, CONFIG, [folder / "m.safetensors"]
    )


@pytest.mark.parametrize("names", [bitsandbytes, quanto, torchao])
def test_whole_ones_pass_and_one_without_a_layer_is_refused(tmp_path: Path, names: Names) -> None:
    check(tmp_path, names, lambda name: name)
    with pytest.raises(UserError, match=r"lacks 2 of .* such as decoder\.conv_in\.bias"):
        check(tmp_path, names, lambda name: None if name.startswith("decoder.conv_in") else name)


def test_one_of_more_layers_is_refused(tmp_path: Path) -> None:
    check(tmp_path, bitsandbytes, lambda name: name)
    more = "decoder.up_blocks.7.resnets.0.conv1.weight"
    old = "decoder.up_blocks.1.resnets.0.conv1.weight"
    with pytest.raises(UserError, match="of layers that its config.json does not count"):
        check(tmp_path, lambda n: [*bitsandbytes(n), *([more] if n == old else [])], lambda n: n)
