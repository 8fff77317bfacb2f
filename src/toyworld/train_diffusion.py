"""Trains the text encoder and UNet of the `tiny` text-to-image model, and exports its folder.

    python -m toyworld.train_diffusion --work DIR [--out FOLDER]

(or `torchrun --nproc-per-node 2 -m ...`: one process a core). Takes the autoencoder that
`train_vae` left in the same DIR. `--begin FOLDER` begins with the weights of an earlier pipeline
(and with its autoencoder where DIR has none). A killed training goes on when started again. The
folder is written anew every `--export-minutes`, from the averaged weights.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import diffusers
import numpy as np
import torch
import transformers
from torch import Tensor
from torch.nn import functional as F

from toyworld import held_out, tiny_pipeline
from toyworld.autoencoder import LATENTS
from toyworld.captions import caption
from toyworld.card import update_card, weights_of
from toyworld.pictures import load_or_render
from toyworld.tokenizer import kept
from toyworld.train_vae import encode
from toyworld.training import Loss, Settings, Trainer, generator
from toyworld.workers import autocast, device, first_alone, join_workers, share, workers
from toyworld.world import Scene

_PICTURES_SEED = 202
# Share of samples without a text, for guidance (Ho and Salimans, 2022, arxiv.org/abs/2207.12598).
_NO_TEXT = 0.1


def tokens(tokenizer: transformers.CLIPTokenizer, texts: Sequence[str]) -> Tensor:
    """Token ids (n, 32), padded and cut as the pipeline does."""
    encoded = tokenizer(list(texts), padding="max_length", truncation=True, return_tensors="pt")
    return encoded.input_ids


def draw_texts(scenes: Sequence[Scene], seed: int, step: int) -> list[str]:
    """A new wording for every scene, or no words at all for `_NO_TEXT` of them."""
    rng = np.random.default_rng([seed, step])
    return ["" if rng.random() < _NO_TEXT else caption(scene, rng) for scene in scenes]


def make_loss(
    trainer: Trainer,
    latents: np.ndarray,
    scenes: Sequence[Scene],
    tokenizer: transformers.CLIPTokenizer,
) -> Loss:
    """Squared error of the velocity, with timesteps spread evenly over every batch."""
    settings, scheduler = trainer.settings, tiny_pipeline.new_scheduler()
    count = settings.batch
    signal = scheduler.alphas_cumprod.sqrt()
    noise_share = (1 - scheduler.alphas_cumprod).sqrt()

    def loss(step: int) -> dict[str, Tensor]:
        rng = generator(settings.seed, step)
        chosen = torch.randint(len(latents), (count,), generator=rng).tolist()
        clean = torch.from_numpy(latents[chosen]).float()
        noise = torch.randn(clean.shape, generator=rng)
        order = torch.randperm(count, generator=rng)
        spread = (order + torch.rand(count, generator=rng)) / count
        timesteps = (spread * len(signal)).long()
        a, b = (s[timesteps][:, None, None, None] for s in (signal, noise_share))
        ids = tokens(tokenizer, draw_texts([scenes[i] for i in chosen], settings.seed, step))
        whole = (a * clean + b * noise, timesteps, ids, a * noise - b * clean)
        *inputs, target = (tensor[share(count)].to(device()) for tensor in whole)
        with autocast():
            velocity = trainer.model(*inputs)
        return {"loss": F.mse_loss(velocity.float(), target)}

    return loss


def load_vae(folder: Path) -> diffusers.AutoencoderKL:
    """The autoencoder in `folder`, in float32."""
    vae = diffusers.AutoencoderKL.from_pretrained(folder, torch_dtype=torch.float32)
    return vae.to(device()).eval()


def load_model(pipeline: Path) -> tiny_pipeline.TextToImage:
    """The trained parts of an earlier pipeline, in float32: its files are in halves.

    Where its latents had other channels, the convolutions at the UNet's ends are untrained.
    """
    text_encoder = transformers.CLIPTextModel.from_pretrained(
        pipeline / "text_encoder", dtype=torch.float32
    )
    unet = diffusers.UNet2DConditionModel.from_pretrained(
        pipeline / "unet", torch_dtype=torch.float32
    )
    if unet.config.in_channels != LATENTS:
        unet = _with_new_ends(unet)
    return tiny_pipeline.TextToImage(text_encoder, unet)


def _with_new_ends(unet: diffusers.UNet2DConditionModel) -> diffusers.UNet2DConditionModel:
    ends = {"in_channels": LATENTS, "out_channels": LATENTS}
    new = diffusers.UNet2DConditionModel.from_config({**unet.config, **ends})
    kept = {k: v for k, v in unet.state_dict().items() if not k.startswith(("conv_in", "conv_out"))}
    new.load_state_dict(kept, strict=False)
    return new


def load_latents(work: Path, vae: diffusers.AutoencoderKL, pictures: np.ndarray) -> np.ndarray:
    """float16 (n, 16, 16, 16), encoded once for these weights of `vae`."""
    digest = hashlib.sha256()
    for part in (vae.encoder, vae.quant_conv):
        for weight in part.state_dict().values():
            digest.update(weight.cpu().numpy().tobytes())
    path = work / f"latents-{digest.hexdigest()[:8]}-{len(pictures)}.npy"
    return np.load(path, mmap_mode="r") if path.exists() else encode(vae, pictures, path)


def write_card(trainer: Trainer, work: Path, out: Path) -> None:
    """The model card in `out`: this training, and the autoencoder that was trained in `work`."""
    told = work / "autoencoder" / "facts.json"
    vae = json.loads(told.read_text()) if told.exists() else {}
    unseen = vae.get("unseen", {})
    update_card(
        out,
        title="tiny",
        summary=(
            "Draws the animals, garments, colours, media and seasons of imagepipe's toy world, "
            "128x128, as a Stable Diffusion pipeline. Trained on renderings of combinations that "
            "are not held out; no other data."
        ),
        figures={f"autoencoder, {name} of unseen renderings": v for name, v in unseen.items()},
        commands={
            "train the autoencoder": "python -m toyworld.train_vae --work DIR",
            "train text encoder and UNet": "python -m toyworld.train_diffusion "
            "--work DIR --out src/imagepipe/assets/tiny",
            "judge": "python -m toyworld.judge --card",
            "speed": "python benchmarks/model_split.py",
        },
        trainings={
            **({"autoencoder": vae} if vae else {}),
            "text encoder and UNet": trainer.facts(),
        },
        limits=[
            "Knows only the words in `words.txt`, and no picture without a garment.",
            "32 tokens of text; longer prompts are cut.",
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for data and checkpoints")
    parser.add_argument("--out", type=Path, help="folder of the pipeline (default: DIR/tiny)")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--pictures", type=int, default=24000)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--export-minutes", type=float, default=15)
    parser.add_argument("--begin", type=Path, help="folder of an earlier pipeline")
    args = parser.parse_args()
    join_workers()
    vae_folder = args.work / "autoencoder" / "export"
    if args.begin and not vae_folder.exists():
        vae_folder = args.begin / "vae"
    folder = args.work / "pictures"
    pictures, scenes = first_alone(lambda: load_or_render(folder, args.pictures, _PICTURES_SEED))
    latents = np.asarray(
        first_alone(lambda: load_latents(args.work, load_vae(vae_folder), pictures))
    )
    begun = args.begin / "tokenizer" if args.begin else args.work / "tokenizer"
    tokenizer = first_alone(lambda: kept(begun, tiny_pipeline.new_tokenizer))
    settings = Settings(args.steps, args.batch, args.seed, save_every=50)
    model = (
        load_model(args.begin) if args.begin else tiny_pipeline.new_model(tokenizer, seed=args.seed)
    )
    ends, began = ("conv_in", "conv_out"), weights_of(args.begin, "text_encoder", "unet")
    trainer = Trainer(args.work / "diffusion", model, settings, adam=ends, began_with=began)

    def publish() -> None:
        vae, out = load_vae(vae_folder), args.out or args.work / "tiny"
        tiny_pipeline.export(trainer.ema, vae, tokenizer, out)
        write_card(trainer, args.work, out)
        pipeline = tiny_pipeline.assemble(trainer.ema, vae, tokenizer)
        drawn = tiny_pipeline.draw(pipeline, [case.prompt for case in held_out.cases()[::10]])
        tiny_pipeline.save_sheet(drawn, args.work / "sheets" / f"{trainer.step:06}.png")

    loss = make_loss(trainer, latents, scenes, tokenizer)
    trainer.fit(loss, every=60 * args.export_minutes, then=publish)
    if workers()[0] == 0:
        publish()


if __name__ == "__main__":
    main()
