"""The trainings of the tiny text-to-image model, run for a few steps at tiny size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from imagepipe.errors import UserError
from toyworld import tiny_pipeline, train_diffusion, train_vae
from toyworld.autoencoder import LATENTS, new_autoencoder, standardised
from toyworld.card import check_digests, update_card, weights_of
from toyworld.muon import orthogonalise
from toyworld.pictures import draw, load_or_render
from toyworld.training import Settings, Trainer, generator
from toyworld.world import is_held_out

CHANNELS = (32, 32)
VAE_CHANNELS = (8, 8, 8, 8)


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_pipeline.new_tokenizer()


def small_training(folder: Path, tokenizer, steps: int = 4) -> tuple[Trainer, object]:
    settings = Settings(steps, batch=4, seed=5, warmup=1, save_every=2, log_every=1)
    model = tiny_pipeline.new_model(tokenizer, CHANNELS, seed=5)
    trainer = Trainer(folder, model, settings, adam=("conv_in", "conv_out"))
    latents = torch.randn(8, LATENTS, 16, 16, generator=torch.Generator().manual_seed(0)).numpy()
    scenes = [draw(1, number)[1] for number in range(8)]
    return trainer, train_diffusion.make_loss(trainer, latents, scenes, tokenizer)


def weights(module: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().reshape(-1) for p in module.parameters()])


def test_every_word_is_one_token_and_any_text_survives(tokenizer):
    prompt = "A watercolor painting of a cat wearing a red bow tie"
    assert len(tokenizer.tokenize(prompt)) == len(prompt.split())
    odd = "a lighthouse, 8k é 日本 🐈"
    assert tokenizer.decode(tokenizer(odd).input_ids, skip_special_tokens=True).split() == (
        "a lighthouse , 8 k é 日本 🐈".split()
    )


def test_tokenizer_survives_its_folder(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    again = type(tokenizer).from_pretrained(tmp_path)
    text = "A Pencil sketch of a fox in a cape, lighthouse"
    assert again(text).input_ids == tokenizer(text).input_ids
    assert again.model_max_length == tiny_pipeline.MAX_TOKENS


def test_pictures_are_drawn_once_and_never_of_held_out_scenes(tmp_path):
    pictures, scenes = load_or_render(tmp_path, 6, seed=3, workers=1)
    assert pictures.shape == (6, 128, 128, 3) and pictures.dtype == np.uint8
    assert not any(is_held_out(scene) for scene in scenes)
    before = (tmp_path / "pictures.npy").stat().st_mtime_ns
    again, same = load_or_render(tmp_path, 6, seed=3, workers=1)
    assert (tmp_path / "pictures.npy").stat().st_mtime_ns == before
    assert same == scenes and np.array_equal(again[4], draw(3, 4)[0])


def test_orthogonalise_keeps_directions_and_levels_sizes():
    rng = torch.Generator().manual_seed(0)
    matrix = torch.randn(6, 20, generator=rng)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    sizes = (u.T @ orthogonalise(matrix) @ v.T).diagonal()
    assert sizes.min() > 0.6 and sizes.max() < 1.3
    assert torch.allclose(orthogonalise(matrix.T), orthogonalise(matrix).T)


@pytest.mark.faults
def test_a_resumed_training_equals_an_undisturbed_one(tokenizer, tmp_path):
    whole, loss = small_training(tmp_path / "whole", tokenizer)
    whole.fit(loss)
    first, loss = small_training(tmp_path / "parts", tokenizer)
    first.fit(loss, until=3)
    # As if killed after logging step 3 and before saving it.
    first.step = 2
    second, loss = small_training(tmp_path / "parts", tokenizer)
    assert second.step == 3
    second.fit(loss)
    assert torch.equal(weights(second.model), weights(whole.model))
    assert torch.equal(weights(second.ema), weights(whole.ema))
    losses = [[line["loss"] for line in t.curve()] for t in (whole, second)]
    assert losses[0] == losses[1] and len(losses[0]) == 4


def test_a_training_resumed_with_other_settings_says_so(tmp_path):
    def fit(steps: int, until: int) -> Trainer:
        trainer = Trainer(tmp_path, nn.Linear(2, 2), Settings(steps, 1, save_every=1))
        trainer.fit(lambda step: {"loss": trainer.model.weight.square().sum()}, until)
        return trainer

    assert fit(9, 2).facts()["resumed"] == []
    assert fit(9, 3).facts()["resumed"] == []
    assert fit(5, 5).facts()["resumed"] == ["at step 3, steps 9 became 5"]


def test_training_lowers_the_loss_of_a_text_dependent_target(tokenizer, tmp_path):
    trainer, loss = small_training(tmp_path, tokenizer, steps=12)
    trainer.fit(loss)
    losses = [line["loss"] for line in trainer.curve()]
    assert np.mean(losses[-4:]) < np.mean(losses[:4])
    assert trainer.facts()["steps_done"] == 12


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path):
    model = nn.Linear(2, 2)
    trainer = Trainer(tmp_path, model, Settings(2, 1))
    with pytest.raises(FloatingPointError, match="step 0"):
        trainer.fit(lambda step: {"loss": model.weight.sum() * float("nan")})


def pictures_of(seed: int, count: int = 4) -> np.ndarray:
    return np.stack([draw(seed, number)[0] for number in range(count)])


def test_standardised_latents_have_unit_channels_and_decode_the_same():
    vae = new_autoencoder(VAE_CHANNELS, seed=1).eval()
    batch = train_vae.to_batch(pictures_of(2))
    scaled = standardised(vae, batch)
    with torch.no_grad():
        before, after = (m.encode(batch).latent_dist for m in (vae, scaled))
        assert torch.allclose(after.mean.std(dim=(0, 2, 3)), torch.ones(LATENTS), atol=1e-3)
        assert after.mean.mean(dim=(0, 2, 3)).abs().max() < 1e-3
        drawn = (vae.decode(before.mean).sample, scaled.decode(after.mean).sample)
    assert torch.allclose(*drawn, atol=1e-3)


def test_the_first_level_begins_by_handing_on_every_pixel():
    vae = new_autoencoder((12, 12, 12, 12), seed=1).eval()
    batch = train_vae.to_batch(pictures_of(2, 1))
    with torch.no_grad():
        handed_on = vae.encoder.down_blocks[0](vae.encoder.conv_in(batch))
    squares = torch.nn.functional.pixel_unshuffle(batch, 2).unflatten(1, (3, 4))
    assert torch.allclose(handed_on, squares.transpose(1, 2).flatten(1, 2), atol=1e-5)


def test_an_equal_picture_is_wholly_similar_and_a_soft_one_is_less():
    pictures = train_vae.to_batch(pictures_of(2))
    soft = torch.nn.functional.avg_pool2d(pictures, 3, stride=1, padding=1)
    softer = torch.nn.functional.avg_pool2d(pictures, 5, stride=1, padding=2)
    assert torch.allclose(train_vae.ssim(pictures, pictures), torch.ones(4))
    assert (train_vae.ssim(softer, pictures) < train_vae.ssim(soft, pictures)).all()
    assert (train_vae.psnr(pictures + 0.02, pictures) - 40).abs().max() < 0.01


@pytest.mark.faults
def test_the_autoencoder_learns_and_says_how_well_it_redraws(tmp_path):
    pictures = pictures_of(2)
    settings = Settings(6, batch=2, seed=1, muon_rate=0.02, warmup=1, log_every=1)
    curve = train_vae.train(tmp_path, settings, pictures, unseen=4).curve()
    assert curve[-1]["loss"] < curve[0]["loss"]
    facts = json.loads((tmp_path / "autoencoder" / "facts.json").read_text())
    assert facts["steps_done"] == 6 and set(facts["unseen"]) == {"psnr", "ssim"}
    vae = train_diffusion.load_vae(tmp_path / "autoencoder" / "export")
    latents = train_diffusion.load_latents(tmp_path, vae, pictures)
    with torch.no_grad():
        again = vae.encode(train_vae.to_batch(pictures)).latent_dist.mean
    assert np.abs(latents - again.numpy()).max() < 0.1  # bfloat16 against float32
    assert train_diffusion.load_latents(tmp_path, vae, pictures).shape == (4, LATENTS, 16, 16)


def test_a_model_of_other_latents_begins_with_all_but_its_ends(tokenizer, tmp_path):
    model = tiny_pipeline.new_model(tokenizer, CHANNELS)
    narrow = {"in_channels": 8, "out_channels": 8}
    model.unet = type(model.unet).from_config({**model.unet.config, **narrow})
    for name in ("text_encoder", "unet"):
        getattr(model, name).save_pretrained(tmp_path / name)
    begun = train_diffusion.load_model(tmp_path).unet
    assert begun.conv_in.in_channels == begun.conv_out.out_channels == LATENTS
    assert torch.equal(weights(begun.mid_block), weights(model.unet.mid_block))


def test_export_loads_as_any_text_to_image_folder(tokenizer, tmp_path):
    from diffusers import AutoPipelineForText2Image

    model = tiny_pipeline.new_model(tokenizer, CHANNELS)
    vae = new_autoencoder(VAE_CHANNELS)
    out = tmp_path / "tiny"
    tiny_pipeline.export(model, vae, tokenizer, out)
    tiny_pipeline.export(model, vae, tokenizer, out)
    files = [f for f in out.rglob("*") if f.is_file()]
    assert all(f.stat().st_mode & 0o777 == 0o644 for f in files)
    assert {f.suffix for f in files} <= {".json", ".safetensors", ".txt"}
    pipeline = AutoPipelineForText2Image.from_pretrained(out, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    pictures = tiny_pipeline.draw(pipeline, ["a cat wearing a red scarf"] * 3, steps=2, batch=2)
    assert pictures.shape == (3, 128, 128, 3)
    again = tiny_pipeline.draw(pipeline, ["a cat wearing a red scarf"] * 3, steps=2, batch=2)
    assert np.array_equal(pictures, again)
    assert not np.array_equal(pictures[0], pictures[1])


def test_card_tells_of_changed_weights(tmp_path):
    (tmp_path / "unet").mkdir()
    weight = tmp_path / "unet" / "model.safetensors"
    weight.write_bytes(b"one")
    update_card(tmp_path, title="tiny", figures={"animal": "97 %"})
    update_card(tmp_path, figures={"colour": "95 %"})
    readme = (tmp_path / "README.md").read_text()
    assert "97 %" in readme and "95 %" in readme
    assert json.loads((tmp_path / "card.json").read_text())["title"] == "tiny"
    check_digests(tmp_path)
    weight.write_bytes(b"two")
    with pytest.raises(UserError, match=r"unet/model\.safetensors"):
        check_digests(tmp_path)


def test_weights_to_begin_with_are_named_by_part(tmp_path):
    for part in ("unet", "vae"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "model.safetensors").write_bytes(part.encode())
    assert weights_of(None) is None
    assert "vae/" in weights_of(tmp_path) and "unet/" in weights_of(tmp_path)
    assert "vae/" not in weights_of(tmp_path, "unet")


def test_steps_draw_different_randomness():
    first, again, other = (torch.randn(4, generator=generator(1, s)) for s in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)
