"""The autoencoder of the `tiny` text-to-image model: 128x128 pictures to 16x16 latents and back."""

from __future__ import annotations

import copy

import diffusers
import torch
from torch import nn

CHANNELS = (16, 32, 64, 96)
LATENTS = 16


def new_autoencoder(channels: tuple[int, ...] = CHANNELS, seed: int = 0) -> diffusers.AutoencoderKL:
    """Untrained: (n, 3, 128, 128) in [-1, 1] to (n, 16, 16, 16) and back, with four `channels`.

    16 latent channels: with 8 the outlines were blurred, with 4 colours of garments were not told
    apart. What runs at full size has few channels, since it costs most.
    """
    levels = len(channels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vae = diffusers.AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            block_out_channels=channels,
            layers_per_block=1,
            latent_channels=LATENTS,
            norm_num_groups=2,
            mid_block_add_attention=False,
            sample_size=16 * 2 ** (levels - 1),
            scaling_factor=1.0,
        )
    _begin_with_squares(vae.encoder)
    return vae


@torch.no_grad()
def _begin_with_squares(encoder: nn.Module) -> None:
    """Lets the first level begin by handing on all four pixels of each 2x2 square.

    Else it learns to average them, and nothing behind it can find the edges again.
    """
    first, level = encoder.conv_in, encoder.down_blocks[0]
    (resnet,), (down,) = level.resnets, level.downsamplers
    resnet.conv2.weight.zero_()
    resnet.conv2.bias.zero_()
    for colour in range(3):
        first.weight[colour] = 0
        first.weight[colour, colour, 1, 1] = 1
    first.bias.zero_()
    # The level pads on the right and below, so the first two taps each way are the square.
    for channel in range(min(12, down.conv.weight.shape[0])):
        pixel, colour = divmod(channel, 3)
        down.conv.weight[channel] = 0
        down.conv.weight[channel, colour, pixel // 2, pixel % 2] = 1
    down.conv.bias.zero_()


@torch.no_grad()
def standardised(vae: diffusers.AutoencoderKL, batch: torch.Tensor) -> diffusers.AutoencoderKL:
    """A copy whose latents have mean 0 and deviation 1 in each channel, judged on `batch`.

    Folded into `quant_conv` and `post_quant_conv`, since Stable Diffusion's pipeline has a scale
    for latents but no shift.
    """
    vae = copy.deepcopy(vae)
    mean = vae.encode(batch).latent_dist.mean
    shift, scale = mean.mean(dim=(0, 2, 3)), mean.std(dim=(0, 2, 3))
    outer, inner = vae.quant_conv, vae.post_quant_conv
    count = len(scale)
    outer.weight[:count] /= scale[:, None, None, None]
    outer.bias[:count] = (outer.bias[:count] - shift) / scale
    outer.bias[count:] -= 2 * scale.log()  # the rows of the log variance
    inner.bias += inner.weight[:, :, 0, 0] @ shift
    inner.weight *= scale[None, :, None, None]
    return vae
