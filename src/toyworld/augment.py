"""What the scorer must not be led by: softness, tint, contrast and noise."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def augment(pictures: Tensor, rng: torch.Generator) -> Tensor:
    """Disturbs (n, 3, s, s) in [-1, 1], each picture in its own way; the same shape and range.

    Strengths are those of a good autoencoder and a sampler with few steps, and somewhat beyond:
    generated pictures are softer than drawn ones and their colours drift.
    """
    return _noise(_tint(_soften(pictures, rng), rng), rng).clamp(-1, 1)


def _uniform(count: int, low: float, high: float, rng: torch.Generator, like: Tensor) -> Tensor:
    return torch.empty(count, 1, 1, 1).uniform_(low, high, generator=rng).to(like.device)


def _soften(pictures: Tensor, rng: torch.Generator) -> Tensor:
    """Sharp, or mixed with a copy shrunk to 1/2 or 1/3 of its size and back."""
    side = pictures.shape[-1]
    small = side // int(torch.randint(2, 4, (), generator=rng))
    shrunk = F.interpolate(pictures, small, mode="area")
    soft = F.interpolate(shrunk, side, mode="bilinear", align_corners=False)
    share = _uniform(len(pictures), -0.6, 1.0, rng, pictures).clamp(min=0)
    return pictures.lerp(soft, share)


def _tint(pictures: Tensor, rng: torch.Generator) -> Tensor:
    """Contrast, saturation, brightness and a cast, by up to 15, 20, 8 and 4 %."""
    n = len(pictures)
    grey = pictures.mean(dim=1, keepdim=True)
    vivid = grey + (pictures - grey) * _uniform(n, 0.8, 1.2, rng, pictures)
    cast = torch.empty(n, 3, 1, 1).uniform_(-0.08, 0.08, generator=rng).to(pictures.device)
    contrast = _uniform(n, 0.85, 1.15, rng, pictures)
    return vivid * contrast + cast + _uniform(n, -0.16, 0.16, rng, pictures)


def _noise(pictures: Tensor, rng: torch.Generator) -> Tensor:
    noise = torch.randn(pictures.shape, generator=rng).to(pictures.device)
    return pictures + noise * _uniform(len(pictures), 0, 0.08, rng, pictures)
