"""An IP-Adapter with random weights at a tiny size, in the layout of the hub's h94/IP-Adapter."""

from __future__ import annotations

from pathlib import Path

ENCODED = 12  # numbers that the image encoder gives for a picture
TOKENS = 4  # that an IP-Adapter makes of a picture


def tensors(layers: dict[str, int], width: int) -> dict:
    """What its file holds: for each layer that attends to the prompt, by its number, of so many
    channels; `width` numbers a token.
    """
    import torch

    rng = torch.Generator().manual_seed(0)
    held = {
        f"ip_adapter.{number}.to_{which}_ip.weight": torch.randn(channels, width, generator=rng)
        for number, channels in layers.items()
        for which in "kv"
    }
    return held | {
        "image_proj.proj.weight": torch.randn(TOKENS * width, ENCODED, generator=rng),
        "image_proj.proj.bias": torch.zeros(TOKENS * width),
        "image_proj.norm.weight": torch.ones(width),
        "image_proj.norm.bias": torch.zeros(width),
    }


def write_adapter(folder: Path, held: dict) -> Path:
    """`folder` with models/tiny.safetensors and models/image_encoder/."""
    import torch
    from safetensors.torch import save_file
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    sides = {"hidden_size": 16, "intermediate_size": 16, "image_size": 16, "patch_size": 8}
    depth = {"num_hidden_layers": 2, "num_attention_heads": 2, "projection_dim": ENCODED}
    torch.manual_seed(0)
    encoder = CLIPVisionModelWithProjection(CLIPVisionConfig(**sides, **depth))
    encoder.save_pretrained(folder / "models" / "image_encoder")
    save_file(held, folder / "models" / "tiny.safetensors")
    return folder
