"""Trains the picture autoencoder of the `tiny` text-to-image model.

    python -m toyworld.train_vae --work DIR

(or `torchrun --nproc-per-node 2 -m ...`: one process a core.) First a small one for 64x64 pictures
(`DIR/small`), whose latents `train_diffusion` can begin with; then the decoder of the grown one for
128x128 (`DIR/grown`). A killed training goes on when started again.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional as F

from toyworld.autoencoder import grow, new_small, standardised
from toyworld.card import replace_text
from toyworld.pictures import load_or_render
from toyworld.training import Settings, Trainer, generator
from toyworld.workers import autocast, device, first_alone, join_workers, share, workers

# Keeps latents close to a unit normal, which the diffusion model learns more easily.
_KL_WEIGHT = 1e-3
_SQUARED_WEIGHT = 10.0
_PICTURES_SEED = 101
_NOT_HIDDEN = ("conv_in", "conv_out", "quant_conv")


def to_batch(pictures: np.ndarray) -> Tensor:
    """uint8 (n, h, w, 3) as float (n, 3, h, w) in [-1, 1], channels last, on the device."""
    batch = torch.from_numpy(pictures.copy()).to(device()).permute(0, 3, 1, 2)
    return batch.float().div_(127.5).sub_(1)


def halved(batch: Tensor) -> Tensor:
    """(n, 3, h, w) at half the size, each pixel the mean of a 2x2 square."""
    return F.avg_pool2d(batch, 2)


def picture_loss(drawn: Tensor, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """(loss, PSNR in dB): the squared error teaches colours, the absolute one edges."""
    error = drawn.float() - pictures
    squared = error.square().mean()
    psnr = 10 * torch.log10(4 / squared.detach())
    return _SQUARED_WEIGHT * squared + error.abs().mean(), psnr


def small_loss(vae: AutoencoderKL, pictures: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
    """How badly `vae` redraws 64x64 pictures, and its divergence from the unit normal."""
    with autocast():
        posterior = vae.encode(pictures).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=rng).to(device())
        drawn = vae.decode(posterior.mean + posterior.std * noise).sample
    loss, psnr = picture_loss(drawn, pictures)
    spread = posterior.var.float() - 1 - posterior.logvar.float()
    kl = 0.5 * (posterior.mean.float().square() + spread).mean()
    return {"loss": loss + _KL_WEIGHT * kl, "psnr": psnr, "kl": kl.detach()}


def train_small(work: Path, settings: Settings, pictures: np.ndarray) -> Trainer:
    """Trains the small autoencoder in `work/small` to the end; exports it standardised."""
    vae = new_small(seed=settings.seed).to(memory_format=torch.channels_last)
    trainer = Trainer(work / "small", vae, settings, adam=_NOT_HIDDEN)

    def loss(step: int) -> dict[str, Tensor]:
        batch = halved(to_batch(_chosen(pictures, settings, step)))
        noise_rng = generator(settings.seed + 1 + workers()[0], step)
        return small_loss(trainer.model, batch, noise_rng)

    trainer.fit(loss)
    if workers()[0] == 0:
        sample = halved(to_batch(pictures[:: max(1, len(pictures) // 500)]))
        standardised(trainer.ema, sample).save_pretrained(work / "small" / "export")
        _save_facts(trainer, work / "small")
    return trainer


def train_grown(work: Path, settings: Settings, pictures: np.ndarray) -> Trainer:
    """Trains the decoder for 128x128 in `work/grown`; the encoder stays as it was exported."""
    small = AutoencoderKL.from_pretrained(work / "small" / "export").to(device()).eval()
    vae = grow(small, settings.seed).to(memory_format=torch.channels_last)
    vae.encoder.requires_grad_(False)
    vae.quant_conv.requires_grad_(False)
    trainer = Trainer(work / "grown", vae, settings, adam=_NOT_HIDDEN)

    def loss(step: int) -> dict[str, Tensor]:
        batch = to_batch(_chosen(pictures, settings, step))
        with autocast():
            with torch.no_grad():
                latents = small.encode(halved(batch)).latent_dist.mean
            drawn = trainer.model.decode(latents).sample
        loss, psnr = picture_loss(drawn, batch)
        return {"loss": loss, "psnr": psnr}

    def publish() -> None:
        trainer.ema.save_pretrained(work / "grown" / "export")

    if workers()[0] == 0 and trainer.step == 0:
        publish()  # for `train_diffusion` to begin with
    trainer.fit(loss, every=120, then=publish)
    if workers()[0] == 0:
        publish()
        _save_facts(trainer, work / "grown")
    return trainer


def _save_facts(trainer: Trainer, folder: Path) -> None:
    """For the model card, which `train_diffusion` writes."""
    replace_text(folder / "facts.json", json.dumps(trainer.facts(), indent=1) + "\n")


def _chosen(pictures: np.ndarray, settings: Settings, step: int) -> np.ndarray:
    chosen = torch.randint(
        len(pictures), (settings.batch,), generator=generator(settings.seed, step)
    )
    return pictures[chosen[share(settings.batch)].numpy()]


@torch.no_grad()
def encode(small: AutoencoderKL, pictures: np.ndarray, out: Path, batch: int = 32) -> np.ndarray:
    """Writes the mean latents of 128x128 pictures to `out`: float16 (n, 8, 16, 16), memory-mapped.

    Takes the small autoencoder, since the grown one's latents are the same and cost 4 times more.
    """
    temporary = out.with_suffix(".new.npy")
    shape = (len(pictures), 8, 16, 16)
    latents = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float16, shape=shape)
    for start in range(0, len(pictures), batch):
        part = slice(start, start + batch)
        with autocast():
            mean = small.encode(halved(to_batch(pictures[part]))).latent_dist.mean
        latents[part] = mean.float().cpu().numpy()
    latents.flush()
    temporary.replace(out)
    return np.load(out, mmap_mode="r")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for data and checkpoints")
    parser.add_argument("--steps", type=int, default=900, help="of the small autoencoder")
    parser.add_argument("--grown-steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=16, help="half of it for the grown one")
    parser.add_argument("--pictures", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    join_workers()
    folder = args.work / "vae-pictures"
    pictures, _ = first_alone(lambda: load_or_render(folder, args.pictures, _PICTURES_SEED))
    settings = Settings(args.steps, args.batch, args.seed, muon_rate=0.02, ema=0.99, save_every=50)
    train_small(args.work, settings, pictures)
    if workers()[1] > 1:
        torch.distributed.barrier()
    grown = replace(settings, steps=args.grown_steps, batch=args.batch // 2)
    train_grown(args.work, grown, pictures)


if __name__ == "__main__":
    main()
