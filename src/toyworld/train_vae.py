"""Trains the picture autoencoder of the `tiny` text-to-image model.

    python -m toyworld.train_vae --work DIR

(or `torchrun --nproc-per-node 2 -m ...`: one process a core.) Leaves `DIR/autoencoder/export`,
which `train_diffusion` takes, and `facts.json` for the model card: PSNR and SSIM of renderings
that no training saw. A killed training goes on when started again; `--steps 0` only measures.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import diffusers
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from toyworld.autoencoder import LATENTS, new_autoencoder, standardised
from toyworld.card import replace_text
from toyworld.pictures import draw, load_or_render
from toyworld.training import Settings, Trainer, generator
from toyworld.workers import autocast, device, first_alone, join_workers, share, workers

# Keeps latents close to a unit normal, which the diffusion model learns more easily.
_KL_WEIGHT = 1e-3
_SQUARED_WEIGHT = 10.0
_PICTURES_SEED = 101
_UNSEEN_SEED = 909
_UNSEEN = 200
_NOT_HIDDEN = ("conv_in", "conv_out", "quant_conv")
# Of the structural similarity (Wang et al., 2004), for values in [-1, 1] and 8x8 windows.
_C1, _C2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2


def to_batch(pictures: np.ndarray) -> Tensor:
    """uint8 (n, h, w, 3) as float (n, 3, h, w) in [-1, 1], channels last, on the device."""
    batch = torch.from_numpy(pictures.copy()).to(device()).permute(0, 3, 1, 2)
    return batch.float().div_(127.5).sub_(1)


def picture_loss(drawn: Tensor, pictures: Tensor) -> Tensor:
    """The squared error teaches colours, the absolute one edges."""
    error = drawn.float() - pictures
    return _SQUARED_WEIGHT * error.square().mean() + error.abs().mean()


def psnr(drawn: Tensor, pictures: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each picture in dB, (n,)."""
    return 10 * torch.log10(4 / (drawn.float() - pictures).square().mean(dim=(1, 2, 3)))


def ssim(drawn: Tensor, pictures: Tensor) -> Tensor:
    """Mean structural similarity of each picture, (n,), 1 for the same; over 8x8 windows."""

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 8, stride=2)

    a, b = drawn.float(), pictures
    ma, mb = mean(a), mean(b)
    va, vb, both = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    alike = (2 * ma * mb + _C1) * (2 * both + _C2)
    return (alike / ((ma**2 + mb**2 + _C1) * (va + vb + _C2))).mean(dim=(1, 2, 3))


def redrawing_loss(
    vae: diffusers.AutoencoderKL, pictures: Tensor, rng: torch.Generator
) -> dict[str, Tensor]:
    """How badly `vae` redraws pictures, and its divergence from the unit normal."""
    with autocast():
        posterior = vae.encode(pictures).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=rng).to(device())
        drawn = vae.decode(posterior.mean + posterior.std * noise).sample
    spread = posterior.var.float() - 1 - posterior.logvar.float()
    kl = 0.5 * (posterior.mean.float().square() + spread).mean()
    loss = picture_loss(drawn, pictures) + _KL_WEIGHT * kl
    return {"loss": loss, "psnr": psnr(drawn.detach(), pictures).mean(), "kl": kl.detach()}


def train(work: Path, settings: Settings, pictures: np.ndarray, unseen: int = _UNSEEN) -> Trainer:
    """Trains in `work/autoencoder` to the end and exports the average there, standardised."""
    vae = new_autoencoder(seed=settings.seed).to(memory_format=torch.channels_last)
    trainer = Trainer(work / "autoencoder", vae, settings, adam=_NOT_HIDDEN)

    def loss(step: int) -> dict[str, Tensor]:
        batch = to_batch(_chosen(pictures, settings, step))
        noise_rng = generator(settings.seed + 1 + workers()[0], step)
        return redrawing_loss(trainer.model, batch, noise_rng)

    def publish() -> None:
        sample = to_batch(pictures[:: max(1, len(pictures) // 200)])
        standardised(trainer.ema, sample).save_pretrained(work / "autoencoder" / "export")
        facts = trainer.facts() | {"unseen": measure(trainer.ema, unseen)}
        replace_text(work / "autoencoder" / "facts.json", json.dumps(facts, indent=1) + "\n")

    trainer.fit(loss, every=1200, then=publish)
    if workers()[0] == 0:
        publish()
    return trainer


@torch.no_grad()
def measure(vae: diffusers.AutoencoderKL, count: int = _UNSEEN, batch: int = 8) -> dict[str, float]:
    """Means over `count` renderings that no training saw: `psnr` in dB, `ssim`."""
    found: dict[str, list[Tensor]] = {"psnr": [], "ssim": []}
    for start in range(0, count, batch):
        numbers = range(start, min(start + batch, count))
        pictures = to_batch(np.stack([draw(_UNSEEN_SEED, number)[0] for number in numbers]))
        drawn = vae.decode(vae.encode(pictures).latent_dist.mean).sample.clamp(-1, 1)
        found["psnr"].append(psnr(drawn, pictures))
        found["ssim"].append(ssim(drawn, pictures))
    return {name: round(torch.cat(values).mean().item(), 4) for name, values in found.items()}


def _chosen(pictures: np.ndarray, settings: Settings, step: int) -> np.ndarray:
    chosen = torch.randint(
        len(pictures), (settings.batch,), generator=generator(settings.seed, step)
    )
    return pictures[chosen[share(settings.batch)].numpy()]


@torch.no_grad()
def encode(
    vae: diffusers.AutoencoderKL, pictures: np.ndarray, out: Path, batch: int = 32
) -> np.ndarray:
    """Writes the mean latents of pictures to `out`: float16 (n, 16, 16, 16), memory-mapped."""
    temporary = out.with_suffix(".new.npy")
    shape = (len(pictures), LATENTS, 16, 16)
    latents = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float16, shape=shape)
    for start in range(0, len(pictures), batch):
        part = slice(start, start + batch)
        with autocast():
            mean = vae.encode(to_batch(pictures[part])).latent_dist.mean
        latents[part] = mean.float().cpu().numpy()
    latents.flush()
    temporary.replace(out)
    return np.load(out, mmap_mode="r")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for data and checkpoints")
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--pictures", type=int, default=12000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    join_workers()
    folder = args.work / "vae-pictures"
    pictures, _ = first_alone(lambda: load_or_render(folder, args.pictures, _PICTURES_SEED))
    settings = Settings(args.steps, args.batch, args.seed, muon_rate=0.02, ema=0.995, save_every=50)
    train(args.work, settings, pictures)


if __name__ == "__main__":
    main()
