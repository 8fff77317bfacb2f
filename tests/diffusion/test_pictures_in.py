"""What models make of pictures that go in: image-to-image, inpainting, ControlNet, editing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.configs import composed
from helpers.tiny_pipelines import PROMPTS, SD, painter, small, write, write_controlnet

from imagepipe.diffusion import checks
from imagepipe.errors import UserError

PICTURE = {"image": "photo"}
TINY = replace(composed().model, width=64, height=64, steps=4)


@pytest.fixture(scope="module")
def inputs() -> list[dict[str, np.ndarray]]:
    """Two pictures of the embedded model, so that it can say them."""
    drawn = painter(TINY).paint(PROMPTS, [1, 2])
    mask = np.zeros((64, 64, 3), np.uint8)
    mask[:, 32:] = 255
    return [{"image": one, "mask_image": mask} for one in drawn]


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def test_a_weak_change_stays_near_its_picture_and_a_full_one_forgets_it(inputs):
    model = replace(TINY, columns={"image": "photo", "strength": "t"})
    engine = painter(model)
    only = [{"image": one["image"]} for one in inputs]

    def drawn(strength: float, steps: int, pictures: list) -> np.ndarray:
        own = replace(model, call_kwargs={"strength": strength}, steps=steps)
        return engine.paint(PROMPTS, [3, 4], [own] * 2, pictures)

    weak, full, other = drawn(0.05, 20, only), drawn(1.0, 4, only), drawn(1.0, 4, only[::-1])
    for number in range(2):
        assert apart(weak[number], only[number]["image"]) < 12
    assert all(apart(full[n], only[n]["image"]) > 2 * apart(full[n], other[n]) for n in range(2))


def test_a_picture_among_others_is_what_it_is_alone(inputs):
    model = replace(TINY, columns={"image": "photo"}, call_kwargs={"strength": 0.5}, steps=4)
    engine = painter(model)
    only = [{"image": one["image"]} for one in inputs]
    both = engine.paint(PROMPTS, [3, 4], None, only)
    for number in range(2):
        alone = engine.paint([PROMPTS[number]], [3 + number], None, [only[number]])[0]
        assert np.abs(both[number].astype(int) - alone.astype(int)).max() <= 2


def test_what_is_outside_the_mask_is_what_the_decoder_makes_of_the_picture(tmp_path):
    """Random weights, and a decoder whose pixels depend on what is near them alone."""
    import torch
    from diffusers import AutoencoderTiny

    both = {f"{part}_block_out_channels": (8, 8) for part in ("encoder", "decoder")}
    both |= {f"num_{part}_blocks": (1, 1) for part in ("encoder", "decoder")}
    AutoencoderTiny(**both, latent_channels=4).save_pretrained(tmp_path / "vae")
    columns = {"image": "photo", "mask_image": "m"}
    folder = write(SD, tmp_path / "sd")
    model = small(folder, weights="random", steps=3, width=64, columns=columns)
    engine = painter(replace(model, vae=str(tmp_path / "vae")))
    coarse = np.random.default_rng(0).integers(0, 256, (2, 4, 8, 3), np.uint8)
    images = coarse.repeat(8, 1).repeat(8, 2)
    mask = np.zeros_like(images[0])
    mask[:, 48:] = 255
    put_in = [{"image": one, "mask_image": mask} for one in images]
    drawn = engine.paint(PROMPTS, [1, 2], None, put_in)
    vae, given = engine.pipe.vae, torch.tensor(images).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.inference_mode():
        told = vae.decode(vae.encode(given).latents).sample
    kept = (255 * (told / 2 + 0.5).clamp(0, 1)).round().permute(0, 2, 3, 1).numpy()
    assert np.abs(drawn[:, :, :32] - kept[:, :, :32]).max() <= 1
    assert np.abs(drawn[:, :, 56:] - kept[:, :, 56:]).max() > 100


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        pytest.param({"image": "p", "mask_image": "m"}, "with a UNet of 16 channels", id="mask"),
        pytest.param({"mask_image": "m"}, "is given no image. Name the column", id="mask-alone"),
        pytest.param(
            {"control_image": "c"}, "takes no such picture. Set model.controlnet too", id="control"
        ),
        pytest.param(
            {"image": "p", "image_2": "q"}, "takes no such picture. Leave it out.", id="second"
        ),
        pytest.param({"strength": "t"}, "takes no such argument", id="strength-alone"),
    ],
)
def test_pictures_that_the_model_cannot_take_are_refused(columns, said):
    with pytest.raises(UserError) as caught:
        checks.check(replace(TINY, columns=columns))
    assert said in str(caught.value)


def test_a_controlnet_of_another_model_or_of_another_kind_is_refused(tmp_path, untrained):
    folder = write_controlnet(tmp_path / "net")
    following = replace(TINY, columns={"control_image": "c"}, controlnet=str(folder))
    for model, said in (
        (following, "is of another model: its cross_attention_dim is 32, not 160"),
        (
            replace(following, controlnet=str(untrained(SD) / "vae")),
            "is a AutoencoderKL, and no Con",
        ),
        (replace(following, controlnet=str(tmp_path / "gone")), "there is no such file or folder"),
        (replace(following, columns={}), "is given no control_image. Name the column"),
        (replace(following, columns={"image": "p"}), "is given no control_image. Name the column"),
    ):
        with pytest.raises(UserError) as caught:
            checks.check(model)
        assert said in str(caught.value)


def test_several_references_go_into_one_picture_and_none_into_another(untrained):
    """FLUX.2 takes all references for all that it draws at once, and so draws one row at a time."""
    columns = {"image": "photo", "image_2": "logo"}
    folder = untrained("black-forest-labs/FLUX.2-klein-4B")
    engine = painter(small(folder, weights="random", columns=columns, width=64, height=64))
    one, two, three = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    put_in = [{"image": one, "image_2": two}, {"image": three, "image_2": two}]
    both = engine.paint(PROMPTS, [1, 2], None, put_in)
    assert both.shape == (2, 64, 64, 3)
    alone = engine.paint(PROMPTS[1:], [2], None, put_in[1:])[0]
    assert np.abs(both[1].astype(int) - alone).max() <= 2
    for other in ({"image": one, "image_2": two}, {"image": three, "image_2": one}):
        assert (
            np.abs(engine.paint(PROMPTS[1:], [2], None, [other])[0].astype(int) - alone).max() > 2
        )
