"""Folders in diffusers' layout with every preset's architecture at a tiny size, without weights.

Each part is the real model's configuration with smaller numbers, and a tokenizer of the same class
made here from a few words.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imagepipe.config import Model
from imagepipe.diffusion import checks, make
from imagepipe.diffusion.diffusers import DiffusersGenerator
from imagepipe.diffusion.repository import ARCHITECTURES
from imagepipe.errors import UserError
from toyworld.tokenizer import build

WORDS = "a photo of red cat dog wearing hat in the snow".split()
SIZE = 32  # pixels: what the smallest of them draw; SANA's own check wants multiples of 32
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

PROMPTS = ["a red cat in the snow", "a dog"]
SDXL, SD = "stabilityai/sdxl-turbo", "stabilityai/sd-turbo"
FLUX, QWEN = "black-forest-labs/FLUX.1-schnell", "Qwen/Qwen-Image"
PIXART = "PixArt-alpha/PixArt-Sigma-XL-2-1024-MS"

CLIP = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "projection_dim": 16,
    "vocab_size": 1000,
}
T5 = {"d_model": 32, "d_ff": 16, "d_kv": 8, "num_heads": 2, "num_layers": 1, "vocab_size": 1000}
DECODER = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "vocab_size": 1000,
}
KL = {
    "block_out_channels": [8, 8],
    "down_block_types": ["DownEncoderBlock2D"] * 2,
    "up_block_types": ["UpDecoderBlock2D"] * 2,
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "latent_channels": 4,
}
UNET_XL = {
    "sample_size": 16,
    "block_out_channels": [16, 32],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    "norm_num_groups": 8,
    "layers_per_block": 1,
    "attention_head_dim": [2, 4],
    "transformer_layers_per_block": [1, 2],
    "cross_attention_dim": 32,  # both text encoders, side by side
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 64,  # six numbers and the second encoder's summary
}
CONTROLNET = "diffusers/controlnet-canny-sdxl-1.0"
XL_PARTS = {"text_encoder": CLIP, "text_encoder_2": CLIP, "unet": UNET_XL, "vae": KL}

FLUX_PARTS: dict[str, dict[str, Any]] = {
    "text_encoder": CLIP,
    "text_encoder_2": T5,
    "transformer": {
        "in_channels": 16,
        "num_layers": 1,
        "num_single_layers": 1,
        "attention_head_dim": 16,
        "num_attention_heads": 2,
        "joint_attention_dim": 32,
        "pooled_projection_dim": 16,
        "axes_dims_rope": [4, 4, 8],
    },
    "vae": KL,
}

QWEN_PARTS: dict[str, dict[str, Any]] = {
    "text_encoder": {
        "text_config": {
            **DECODER,
            "model_type": "qwen2_5_vl_text",
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [1, 1, 2],
            },
        },
        "vision_config": {
            "model_type": "qwen2_5_vl",
            "depth": 1,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": 16,
        },
    },
    "transformer": {
        "in_channels": 16,
        "out_channels": 4,
        "num_layers": 1,
        "attention_head_dim": 16,
        "num_attention_heads": 2,
        "joint_attention_dim": 16,
        "axes_dims_rope": [8, 4, 4],
    },
    "vae": {
        "base_dim": 8,
        "z_dim": 4,
        "dim_mult": [1, 1],
        "num_res_blocks": 1,
        "temperal_downsample": [False],
        "latents_mean": [0.0] * 4,
        "latents_std": [1.0] * 4,
    },
}

SMALLER: dict[str, dict[str, dict[str, Any]]] = {
    "stabilityai/stable-diffusion-xl-base-1.0": XL_PARTS,
    SDXL: XL_PARTS,
    "diffusers/stable-diffusion-xl-1.0-inpainting-0.1": XL_PARTS,
    SD: {
        "text_encoder": CLIP,
        "unet": {
            "sample_size": 16,
            "block_out_channels": [16, 32],
            "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
            "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
            "norm_num_groups": 8,
            "layers_per_block": 1,
            "attention_head_dim": [2, 4],
            "cross_attention_dim": 16,
        },
        "vae": KL,
    },
    "stabilityai/stable-diffusion-3.5-large-turbo": {
        "text_encoder": CLIP,
        "text_encoder_2": CLIP,
        "text_encoder_3": T5,
        "transformer": {
            "sample_size": 16,
            "in_channels": 4,
            "out_channels": 4,
            "num_layers": 2,
            "attention_head_dim": 8,
            "num_attention_heads": 2,
            "joint_attention_dim": 32,
            "caption_projection_dim": 16,
            "pooled_projection_dim": 32,
            "pos_embed_max_size": 16,
        },
        "vae": KL,
    },
    FLUX: FLUX_PARTS,
    "black-forest-labs/FLUX.1-Kontext-dev": FLUX_PARTS,
    "black-forest-labs/FLUX.2-klein-4B": {
        # The pipeline reads the encoder's layers 9, 18 and 27.
        "text_encoder": DECODER | {"num_hidden_layers": 28},
        "transformer": {
            "in_channels": 16,
            "num_layers": 1,
            "num_single_layers": 1,
            "attention_head_dim": 16,
            "num_attention_heads": 2,
            "joint_attention_dim": 48,
            "timestep_guidance_channels": 16,
            "axes_dims_rope": [4, 4, 4, 4],
        },
        "vae": KL,
    },
    "Tongyi-MAI/Z-Image-Turbo": {
        "text_encoder": DECODER,
        "transformer": {
            "in_channels": 4,
            "dim": 32,
            "n_layers": 1,
            "n_refiner_layers": 1,
            "n_heads": 2,
            "n_kv_heads": 2,
            "cap_feat_dim": 16,
            "axes_dims": [8, 4, 4],
            "axes_lens": [1024, 32, 32],
        },
        "vae": KL,
    },
    QWEN: QWEN_PARTS,
    "Qwen/Qwen-Image-Edit": QWEN_PARTS
    | {  # it makes what goes in a million pixels large, so this decoder is deep
        "vae": QWEN_PARTS["vae"]
        | {"base_dim": 2, "dim_mult": [1] * 5, "temperal_downsample": [False] * 4},
    },
    "Efficient-Large-Model/Sana_Sprint_1.6B_1024px_diffusers": {
        "text_encoder": DECODER,
        "transformer": {
            "in_channels": 4,
            "out_channels": 4,
            "num_layers": 1,
            "num_attention_heads": 2,
            "attention_head_dim": 4,
            "num_cross_attention_heads": 2,
            "cross_attention_head_dim": 4,
            "cross_attention_dim": 8,
            "caption_channels": 16,
        },
        "vae": {
            "latent_channels": 4,
            "attention_head_dim": 2,
            "encoder_block_types": ["ResBlock", "EfficientViTBlock"],
            "decoder_block_types": ["ResBlock", "EfficientViTBlock"],
            "encoder_block_out_channels": [8, 8],
            "decoder_block_out_channels": [8, 8],
            "encoder_layers_per_block": [1, 1],
            "decoder_layers_per_block": [1, 1],
            "encoder_qkv_multiscales": [[], [5]],
            "decoder_qkv_multiscales": [[], [5]],
        },
    },
    PIXART: {
        "text_encoder": T5,
        "transformer": {
            "sample_size": 16,
            "num_layers": 1,
            "num_attention_heads": 2,
            "attention_head_dim": 8,
            "cross_attention_dim": 16,
            "caption_channels": 32,
        },
        "vae": KL,
    },
}


def write_controlnet(folder: Path) -> Path:
    """As `write`, of a ControlNet, which is one part alone."""
    whole = json.loads((ARCHITECTURES / f"{CONTROLNET.replace('/', '--')}.json").read_text())
    small = {name: UNET_XL[name] for name in whole["controlnet"] if name in UNET_XL}
    own = {
        "conditioning_embedding_out_channels": [8, 8],
        "norm_num_groups": 8,
        "layers_per_block": 1,
    }
    _json(folder / "config.json", whole["controlnet"] | small | own)
    return folder


def write(hub_id: str, folder: Path) -> Path:
    """`hub_id`'s architecture, made small, as a diffusers folder without weights."""
    file = ARCHITECTURES / f"{hub_id.replace('/', '--')}.json"
    whole = json.loads(file.read_text())
    _json(folder / "model_index.json", whole["model_index"])
    for name, value in whole["model_index"].items():
        if value == ["transformers", "T5Tokenizer"]:
            _sentencepiece(folder / name)
        elif name.startswith("tokenizer"):
            tokenizer(value[1]).save_pretrained(folder / name)
        elif name == "scheduler":
            _json(folder / name / "scheduler_config.json", whole[name])
        elif isinstance(value, list) and name in whole:
            _json(folder / name / "config.json", whole[name] | SMALLER[hub_id][name])
    return folder


def tokenizer(class_name: str) -> Any:
    """A tokenizer of the family that the class belongs to; its tokens are letters, CLIP's words."""
    from transformers import GemmaTokenizer, Qwen2Tokenizer, T5Tokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(dict.fromkeys(bytes_to_unicode().values()))
    if class_name.startswith("CLIP"):
        return build(WORDS, 77)
    if class_name.startswith("T5"):
        pieces = ["<pad>", "</s>", "<unk>", "▁", *letters]
        return T5Tokenizer(
            vocab=[(piece, -1.0) for piece in pieces], extra_ids=0, model_max_length=512
        )
    if class_name.startswith("Gemma"):
        pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", "\n", *letters]
        return GemmaTokenizer(vocab={p: i for i, p in enumerate(pieces)}, merges=[])
    pieces = [*letters, "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    made = Qwen2Tokenizer(vocab={p: i for i, p in enumerate(pieces)}, merges=[], chat_template=CHAT)
    made.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    return made


def _sentencepiece(folder: Path) -> None:
    """A T5 tokenizer as PixArt's repository holds it: a SentencePiece model and no other file."""
    import io

    from sentencepiece import SentencePieceTrainer

    folder.mkdir(parents=True)
    with (folder / "spiece.model").open("wb") as file:
        SentencePieceTrainer.train(
            sentence_iterator=io.StringIO("\n".join([*WORDS, *"xyz"] * 20)),
            model_writer=file,
            model_type="char",
            vocab_size=40,
            hard_vocab_limit=False,
            pad_id=0,
            eos_id=1,
            unk_id=2,
            bos_id=-1,
            minloglevel=2,
        )
    settings = {"tokenizer_class": "T5Tokenizer", "model_max_length": 512, "extra_ids": 0}
    _json(folder / "tokenizer_config.json", settings)


def _json(file: Path, value: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value))


def small(folder: Path, **changes) -> Model:
    """A model of the tiny size in `folder`."""
    model = Model("tiny", "diffusers", str(folder), steps=1, width=SIZE, height=SIZE)
    return replace(model, **{"dtype": "float32", **changes})


def painter(model: Model) -> DiffusersGenerator:
    """Checked as a run checks it, and loaded."""
    checks.check(model)
    made = make(model)
    assert isinstance(made, DiffusersGenerator)
    made.load()
    return made


def drawn(model: Model, seeds: tuple[int, ...] = (1, 2)) -> np.ndarray:
    return painter(model).paint(PROMPTS[: len(seeds)], list(seeds))


def complaint(model: Model) -> str:
    with pytest.raises(UserError) as caught:
        checks.check(model)
    return str(caught.value)
