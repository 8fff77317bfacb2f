"""The autoencoder of the `tiny` text-to-image model, small first and then grown by a level.

The small one turns 64x64 pictures into 16x16 latents and learns quickly. `grow` puts a level
around it: its encoder halves a 128x128 picture exactly and goes on as the small one did, so latents
stay what they were, and its decoder only has to learn to sharpen.
"""

from __future__ import annotations

import copy

import torch
from diffusers import AutoencoderKL
from torch import nn

CHANNELS = (24, 48, 64)


def new_small(channels: tuple[int, ...] = CHANNELS, seed: int = 0) -> AutoencoderKL:
    """Untrained: (n, 3, 64, 64) in [-1, 1] to (n, 8, 16, 16) and back.

    8 latent channels: with 4 the colours of garments were not told apart. The first convolution is
    fixed (see `_pass_colours`).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vae = _autoencoder(channels)
    _pass_colours(vae.encoder.conv_in)
    return vae


def grow(small: AutoencoderKL, seed: int = 0) -> AutoencoderKL:
    """An autoencoder (n, 3, 128, 128) to (n, 8, 16, 16): `small`, a new first encoder level that
    halves pictures, and an untrained last decoder level.
    """
    channels = tuple(small.config.block_out_channels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        large = _autoencoder((channels[0], *channels))
    encoder, inner = large.encoder, small.encoder
    _pass_colours(encoder.conv_in)
    _halve(encoder.down_blocks[0])
    for block, old in zip(encoder.down_blocks[1:], inner.down_blocks, strict=True):
        block.load_state_dict(old.state_dict())
    for name in ("mid_block", "conv_norm_out", "conv_out"):
        getattr(encoder, name).load_state_dict(getattr(inner, name).state_dict())
    for name in ("quant_conv", "post_quant_conv"):
        getattr(large, name).load_state_dict(getattr(small, name).state_dict())
    # What decodes 64x64 serves as it is; only the level after it is new.
    old_decoder = small.decoder.state_dict()
    known = {k: v for k, v in old_decoder.items() if not k.startswith("conv_")}
    known |= {k: v for k, v in old_decoder.items() if k.startswith("conv_in")}
    large.decoder.load_state_dict(known, strict=False)
    return large


def inner(large: AutoencoderKL) -> AutoencoderKL:
    """The small encoder inside a grown autoencoder; its decoder is left untrained.

    Its latents of a halved picture are the grown one's of the whole, for a quarter of the cost.
    """
    small = _autoencoder(tuple(large.config.block_out_channels)[1:])
    _pass_colours(small.encoder.conv_in)
    encoder, old = small.encoder, large.encoder
    for block, known in zip(encoder.down_blocks, old.down_blocks[1:], strict=True):
        block.load_state_dict(known.state_dict())
    for name in ("mid_block", "conv_norm_out", "conv_out"):
        getattr(encoder, name).load_state_dict(getattr(old, name).state_dict())
    small.quant_conv.load_state_dict(large.quant_conv.state_dict())
    return small.eval()


@torch.no_grad()
def standardised(vae: AutoencoderKL, batch: torch.Tensor) -> AutoencoderKL:
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


def _autoencoder(channels: tuple[int, ...]) -> AutoencoderKL:
    levels = len(channels)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=channels,
        layers_per_block=1,
        latent_channels=8,
        norm_num_groups=2,
        mid_block_add_attention=False,
        sample_size=16 * 2 ** (levels - 1),
        scaling_factor=1.0,
    )


@torch.no_grad()
def _pass_colours(conv: nn.Conv2d) -> None:
    """Fixes a 3x3 convolution to hand on red, green and blue in its first three channels."""
    conv.weight.zero_()
    conv.bias.zero_()
    for colour in range(3):
        conv.weight[colour, colour, 1, 1] = 1
    conv.requires_grad_(False)


@torch.no_grad()
def _halve(block: nn.Module) -> None:
    """Fixes an encoder level to average squares of 2x2 pixels, and nothing else."""
    (resnet,), (down,) = block.resnets, block.downsamplers
    resnet.conv2.weight.zero_()
    resnet.conv2.bias.zero_()
    down.conv.weight.zero_()
    down.conv.bias.zero_()
    for channel in range(down.conv.weight.shape[0]):
        # The level pads on the right and below, so the first two taps are the square.
        down.conv.weight[channel, channel, :2, :2] = 0.25
    block.requires_grad_(False)
