"""Quantisation beside parts from elsewhere, which diffusers leaves as they are given."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers import checkpoints
from helpers.tiny_pipelines import SD, complaint, small

from imagepipe.config import Model, Part, Quantization
from imagepipe.diffusion import quantization, repository

IN_8_BITS = Quantization("torchao", {"quant_type": "Int8WeightOnlyConfig"})


def quantised(model: Model) -> list[str]:
    return list(quantization.config(model, repository.describe(model)).quant_mapping)


@pytest.mark.parametrize("kind", ["part", "one-file"])
def test_a_part_that_would_be_left_as_it_is_is_refused(kind: str, trained, tmp_path):
    model = small(trained(SD), parts={"unet": Part(str(trained(SD) / "unet"))})
    if kind == "one-file":
        checkpoints.single(trained(SD), tmp_path / "one.safetensors")
        path = str(tmp_path / "one.safetensors")
        model = replace(model, path=path, config=model.path, parts={})
    said = complaint(replace(model, quantization=IN_8_BITS))
    assert "components_to_quantize=" in said and "is not of the pipeline's own folder" in said


def test_others_are_quantised_beside_it(trained):
    alone = replace(IN_8_BITS, components_to_quantize=["text_encoder"])
    given = {"unet": Part(str(trained(SD) / "unet"))}
    assert quantised(small(trained(SD), parts=given, quantization=alone)) == ["text_encoder"]


def test_a_part_that_is_gguf_is_in_fewer_bits_already(trained):
    given = {"unet": Part("unet.gguf")}
    assert quantised(small(trained(SD), parts=given, quantization=IN_8_BITS)) == ["text_encoder"]
