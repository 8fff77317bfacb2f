"""The parts of the `tiny` text-to-image model, and how they become a Stable Diffusion folder."""

from __future__ import annotations

import copy
import os
import shutil
from pathlib import Path

import diffusers
import numpy as np
import torch
import transformers
from PIL import Image
from torch import Tensor, nn

from toyworld.autoencoder import LATENTS
from toyworld.captions import words
from toyworld.tokenizer import build

MAX_TOKENS = 32
STEPS, GUIDANCE = 6, 2.0
_TEXT_WIDTH = 160


class TextToImage(nn.Module):
    """The two trained parts: what a text says, and how to take noise off a latent."""

    def __init__(
        self, text_encoder: transformers.CLIPTextModel, unet: diffusers.UNet2DConditionModel
    ) -> None:
        super().__init__()
        self.text_encoder, self.unet = text_encoder, unet

    def forward(self, noisy: Tensor, timesteps: Tensor, tokens: Tensor) -> Tensor:
        """The velocity (n, 16, 16, 16) for `noisy` of that shape, from token ids (n, 32)."""
        states = self.text_encoder(tokens).last_hidden_state
        return self.unet(noisy, timesteps, states).sample


def new_tokenizer() -> transformers.CLIPTokenizer:
    """The tokenizer of the toy world's words, for texts of at most `MAX_TOKENS` tokens."""
    return build(words(), MAX_TOKENS)


def new_model(
    tokenizer: transformers.CLIPTokenizer, channels: tuple[int, ...] = (64, 128, 160), seed: int = 0
) -> TextToImage:
    """An untrained model; `seed` sets its weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TextToImage(_new_text_encoder(tokenizer), _new_unet(channels))


def _new_text_encoder(tokenizer: transformers.CLIPTokenizer) -> transformers.CLIPTextModel:
    config = transformers.CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=_TEXT_WIDTH,
        intermediate_size=4 * _TEXT_WIDTH,
        projection_dim=_TEXT_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=MAX_TOKENS,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return transformers.CLIPTextModel(config)


def _new_unet(channels: tuple[int, ...]) -> diffusers.UNet2DConditionModel:
    # No attention at the full 16x16, where it would cost most.
    crossing = len(channels) - 1
    return diffusers.UNet2DConditionModel(
        sample_size=16,
        in_channels=LATENTS,
        out_channels=LATENTS,
        block_out_channels=channels,
        layers_per_block=1,
        down_block_types=("DownBlock2D",) + ("CrossAttnDownBlock2D",) * crossing,
        up_block_types=("CrossAttnUpBlock2D",) * crossing + ("UpBlock2D",),
        cross_attention_dim=_TEXT_WIDTH,
        attention_head_dim=4,  # in this class, the number of heads
        norm_num_groups=16,
    )


def new_scheduler() -> diffusers.DPMSolverMultistepScheduler:
    """The noise schedule of training and sampling: it ends in pure noise, and sampling starts there
    (Lin et al., 2023, arxiv.org/abs/2305.08891), so that backgrounds can be dark or bright.
    """
    return diffusers.DPMSolverMultistepScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )


def assemble(
    model: TextToImage, vae: diffusers.AutoencoderKL, tokenizer: transformers.CLIPTokenizer
) -> diffusers.StableDiffusionPipeline:
    """The pipeline of these parts, without a safety checker, quiet."""
    pipeline = diffusers.StableDiffusionPipeline(
        vae=vae,
        text_encoder=model.text_encoder,
        tokenizer=tokenizer,
        unet=model.unet,
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def export(
    model: TextToImage,
    vae: diffusers.AutoencoderKL,
    tokenizer: transformers.CLIPTokenizer,
    out: Path,
) -> None:
    """Writes the pipeline to `out` in float16 safetensors; every file is replaced atomically."""
    halves = copy.deepcopy(model).cpu().half(), copy.deepcopy(vae).cpu().half()
    for part in (halves[0].unet, halves[1]):
        part.register_to_config(_name_or_path="")  # else the folder of the training is told
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    temporary = out.with_name(out.name + ".new")
    shutil.rmtree(temporary, ignore_errors=True)
    assemble(*halves, tokenizer).save_pretrained(temporary)
    known = sorted(word for word in words() if word.isalpha())
    (temporary / "words.txt").write_text("\n".join(known) + "\n")  # the diffusion stage reads it
    for file in sorted(f for f in temporary.rglob("*") if f.is_file()):
        file.chmod(0o644)  # safetensors writes 0600, which an installed package can't be read with
        target = out / file.relative_to(temporary)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(file, target)
    shutil.rmtree(temporary)


def draw(
    pipeline: diffusers.StableDiffusionPipeline,
    prompts: list[str],
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    batch: int = 8,
) -> np.ndarray:
    """uint8 (n, 128, 128, 3), a picture a prompt; picture i starts from noise of seed i."""
    pictures = []
    for start in range(0, len(prompts), batch):
        part = prompts[start : start + batch]
        rngs = [torch.Generator().manual_seed(start + i) for i in range(len(part))]
        drawn = pipeline(
            part,
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=rngs,
            output_type="np",
        )
        pictures.append((drawn.images * 255).round().astype(np.uint8))
    return np.concatenate(pictures)


def save_sheet(pictures: np.ndarray, path: Path, columns: int = 8) -> None:
    """Pictures (n, h, w, 3), n a multiple of `columns`, side by side in one PNG."""
    rows = np.split(pictures, len(pictures) // columns)
    sheet = np.concatenate([np.concatenate(list(row), axis=1) for row in rows])
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path)
