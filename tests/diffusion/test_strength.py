"""How much of a picture that goes in is drawn again: what would leave it as it is, is refused."""

from __future__ import annotations

from dataclasses import replace

import diffusers
import numpy as np
import pyarrow as pa
import pytest
from helpers.configs import composed
from helpers.tiny_pipelines import FLUX, SD, complaint, painter, small

from imagepipe.config import Model
from imagepipe.diffusion import checks, tasks
from imagepipe.diffusion.rows import Strength, settings

TINY = replace(composed().model, width=64, height=64, columns={"image": "photo"})


@pytest.mark.parametrize(
    ("kind", "counts"),
    [
        ("StableDiffusionImg2ImgPipeline", Strength(0.8)),
        ("StableDiffusionXLImg2ImgPipeline", Strength(0.3)),
        ("StableDiffusionXLInpaintPipeline", Strength(0.9999)),
        ("FluxImg2ImgPipeline", Strength(0.6, draws_begun=True)),
        ("StableDiffusion3InpaintPipeline", Strength(0.6, draws_begun=True)),
        ("QwenImageImg2ImgPipeline", Strength(0.6, draws_begun=True)),
        ("FluxKontextPipeline", Strength()),
    ],
)
def test_each_class_says_how_it_counts(kind: str, counts: Strength):
    assert tasks.strength(getattr(diffusers, kind)) == counts


def test_a_pipelines_own_strength_that_leaves_no_step_is_refused():
    said = "model.steps=1: the pipeline's own strength, 0.8, leaves none of them. Give 2 steps"
    assert said in complaint(replace(TINY, steps=1))
    checks.check(replace(TINY, steps=2))
    checks.check(replace(TINY, steps=1, call_kwargs={"strength": 1.0}))


def row(model: Model, **cells: object) -> str | None:
    own = settings(replace(model, columns=model.columns | {key: key for key in cells}), {})
    return own.maker()(own.cells(pa.table({key: [cell] for key, cell in cells.items()}))[0])[1]


def test_a_row_that_leaves_no_step_fails_alone():
    model = replace(TINY, steps=1, columns={"image": "photo", "steps": "steps"})
    checks.check(model)  # its rows may say more
    assert "own strength, 0.8, leaves none of them" in str(row(model, steps=None))
    assert (row(model, steps=2), row(model, steps=1, strength=1.0)) == (None, None)
    weak = str(row(model, steps=1, strength=0.5))
    assert "strength=0.5: leaves none of model.steps=1" in weak


def test_a_model_of_flows_draws_a_step_that_is_only_begun(untrained):
    columns, weak = {"image": "photo"}, {"strength": 0.3}
    model = small(untrained(FLUX), weights="random", columns=columns, call_kwargs=weak)
    assert row(model, strength=0.1) is None
    grey = {"image": np.full((32, 32, 3), 127, np.uint8)}
    assert painter(model).paint(["a cat"], [1], None, [grey]).shape == (1, 32, 32, 3)


def test_rows_of_any_size_go_by_the_decoder_that_is_used(untrained, tmp_path):
    by_row = {"columns": {"width": "width"}, "weights": "random"}
    own = small(untrained(SD), **by_row)
    factor = checks.row_limits(own)[0]
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8,) * 4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=4,
        latent_channels=4,
    )
    folder = tmp_path / "deeper"
    vae.save_pretrained(folder)
    deeper = replace(own, vae=str(folder))
    assert (factor, checks.row_limits(deeper)[0]) == (2, 8)
    assert "cannot be divided by 8" in str(row(deeper, width=36))
    assert "model.width=36: cannot be divided by 8" in complaint(replace(deeper, width=36))
