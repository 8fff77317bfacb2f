"""Trains the scorer `tiny_clip`: `python -m toyworld.train_clip`.

A CLIP of two small transformers, on renderings of its own random draws; nothing of the
text-to-image model goes into it. Killed and started again, it goes on from its last checkpoint;
`--begin FOLDER` begins with the weights of an earlier scorer.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from imagepipe.assets import folder
from imagepipe.prompts.seasons import SEASONS
from toyworld import tokenizer as toy_tokenizer
from toyworld.augment import augment
from toyworld.captions import caption, words
from toyworld.card import replace_text, update_card, weights_of
from toyworld.pictures import SIZE, load_or_find_cells, load_or_render
from toyworld.training import Settings, Trainer, generator
from toyworld.workers import autocast, device
from toyworld.world import ANIMALS, COLOURS, GARMENTS, MEDIA, Scene

if TYPE_CHECKING:
    from transformers import CLIPModel, CLIPTokenizer

PICTURES_SEED = 7001
NONE = "none"
MAX_TOKENS = 32
SETTINGS = Settings(
    steps=1600, batch=48, seed=71, muon_rate=0.01, adam_rate=1e-3, ema=0.995, warmup=60
)


def questions() -> dict[str, dict[str, str]]:
    """{attribute: {answer: text}}: the zero-shot texts, also written beside the weights."""
    seasons = {season: f"in {season}" for season in SEASONS}
    return {
        "animal": {animal: f"a {animal}" for animal in ANIMALS},
        "garment": {garment: f"wearing a {garment}" for garment in GARMENTS},
        "colour": {colour: f"wearing something {colour}" for colour in COLOURS},
        "season": {**seasons, NONE: "in no season"},
        "medium": {**{medium: f"a {medium}" for medium in MEDIA}, NONE: "a plain picture"},
    }


def build_tokenizer() -> CLIPTokenizer:
    """One token a word of the world and of the questions; other text falls back to bytes."""
    asked = " ".join(text for texts in questions().values() for text in texts.values())
    return toy_tokenizer.build({*words(), *asked.split()}, MAX_TOKENS)


def build_model(tokenizer: CLIPTokenizer) -> CLIPModel:
    """A CLIP of about 2.5 M parameters: 64 patches of 16 x 16, texts of 32 tokens."""
    from transformers import CLIPConfig, CLIPModel

    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 128,
        "intermediate_size": 512,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": MAX_TOKENS,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = {
        "hidden_size": 192,
        "intermediate_size": 768,
        "num_hidden_layers": 4,
        "num_attention_heads": 6,
        "image_size": SIZE,
        "patch_size": 16,
    }
    torch.manual_seed(SETTINGS.seed)
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=128))


class Lesson:
    """The loss of a step: which pictures, their captions, and what is asked of them.

    `cells` tells where each picture's garment lies, bool (n, 64), as `pictures.garment_cells`. The
    answers on garment and colour are wanted of those patches too, not only of the whole: without
    such a hint the model is slow to find out that small outlines matter.
    """

    def __init__(
        self,
        model: CLIPModel,
        tokenizer: CLIPTokenizer,
        pictures: np.ndarray,
        scenes: list[Scene],
        cells: np.ndarray,
        settings: Settings,
    ) -> None:
        self.model, self.tokenizer, self.settings = model, tokenizer, settings
        self.pictures, self.scenes, self.cells = pictures, scenes, cells
        self.questions = questions()
        self.texts = [text for texts in self.questions.values() for text in texts.values()]

    def __call__(self, step: int) -> dict[str, Tensor]:
        """Contrast with the batch's captions, and with the other answers to each question."""
        rng = generator(self.settings.seed, step)
        chosen = torch.randint(len(self.pictures), (self.settings.batch,), generator=rng).numpy()
        scenes = [self.scenes[i] for i in chosen]
        whole, patches = self._see(augment(to_batch(self.pictures[chosen]), rng))
        writer = np.random.default_rng((self.settings.seed, step))
        read = self._read([caption(scene, writer) for scene in scenes] + self.texts)
        scale = self.model.logit_scale.exp().clamp(max=100)
        logits = scale * whole @ read.T
        losses = {"pairs": pair_loss(logits[:, : len(scenes)], scenes)}
        losses |= self._answers(logits[:, len(scenes) :], scenes)
        row, cell = np.nonzero(self.cells[chosen])
        asked = scale * patches[row, cell] @ read[len(scenes) :].T
        local = self._answers(asked, [scenes[i] for i in row])
        losses["patches"] = local["garment"] + local["colour"]
        return {"loss": sum(losses.values(), torch.zeros(())), **detached(losses)}

    def _see(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Unit embeddings of the pictures (n, d) and of their patches (n, 64, d)."""
        model = self.model
        with autocast():
            out = model.get_image_features(pixel_values=pictures)
            patches = model.vision_model.post_layernorm(out.last_hidden_state[:, 1:])
            patches = model.visual_projection(patches)
        return F.normalize(out.pooler_output.float(), dim=1), F.normalize(patches.float(), dim=2)

    def _read(self, texts: list[str]) -> Tensor:
        tokens = self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        with autocast():
            features = self.model.get_text_features(**tokens.to(device())).pooler_output
        return F.normalize(features.float(), dim=1)

    def _answers(self, logits: Tensor, scenes: list[Scene]) -> dict[str, Tensor]:
        """The cross entropy of each question; `logits` (n, all answers in order)."""
        losses, start = {}, 0
        for attribute, texts in self.questions.items():
            places = {answer: place for place, answer in enumerate(texts)}
            right = [places[getattr(scene, attribute) or NONE] for scene in scenes]
            part = logits[:, start : start + len(texts)]
            losses[attribute] = F.cross_entropy(part, torch.tensor(right, device=part.device))
            start += len(texts)
        return losses


def detached(losses: dict[str, Tensor]) -> dict[str, Tensor]:
    """For the log."""
    return {name: loss.detach() for name, loss in losses.items()}


def pair_loss(logits: Tensor, scenes: list[Scene]) -> Tensor:
    """CLIP's symmetric loss; equal scenes in a batch share the target evenly. (n, n) logits."""
    same = torch.tensor([[a == b for b in scenes] for a in scenes], device=logits.device).float()
    target = same / same.sum(dim=1, keepdim=True)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def to_batch(pictures: np.ndarray) -> Tensor:
    """uint8 (n, s, s, 3) as float (n, 3, s, s) in [-1, 1], as the image processor makes it."""
    batch = torch.from_numpy(np.ascontiguousarray(pictures)).to(device())
    return batch.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def train(work: Path, out: Path, settings: Settings, count: int, begin: Path | None = None) -> None:
    """Trains in `work` (pictures, checkpoints, log) and writes the model folder `out`.

    `begin` is the folder of an earlier scorer to begin with.
    """
    from transformers import CLIPModel

    pictures, scenes = load_or_render(work / "pictures", count, PICTURES_SEED, workers=1)
    cells = load_or_find_cells(work / "pictures", count, PICTURES_SEED, workers=1)
    tokenizer = toy_tokenizer.kept(begin or work / "tokenizer", build_tokenizer)
    model = (
        CLIPModel.from_pretrained(begin, dtype=torch.float32) if begin else build_model(tokenizer)
    )
    ends = ("patch_embedding", "class_embedding", "visual_projection", "text_projection")
    trainer = Trainer(work, model, settings, adam=ends, began_with=weights_of(begin))
    trainer.fit(Lesson(trainer.model, tokenizer, pictures, scenes, cells, settings))
    export(trainer, tokenizer, out, count)


def export(trainer: Trainer, tokenizer: CLIPTokenizer, out: Path, count: int) -> None:
    """Writes the averaged weights as fp16, processor, questions and card, readable for all."""
    from transformers import CLIPImageProcessor, CLIPProcessor

    half = [0.5, 0.5, 0.5]
    looks = CLIPImageProcessor(
        size={"height": SIZE, "width": SIZE}, do_center_crop=False, image_mean=half, image_std=half
    )
    trainer.ema.half().save_pretrained(out)
    CLIPProcessor(looks, tokenizer).save_pretrained(out)
    replace_text(out / "questions.json", json.dumps(questions(), indent=1) + "\n")
    for file in out.iterdir():
        file.chmod(0o644)
    update_card(
        out,
        title="tiny_clip",
        summary=(
            "Scores how well a picture of imagepipe's toy world fits a text, and answers which "
            "animal, garment, colour, season and medium it shows (`questions.json`). Trained on "
            f"{count:,} renderings (seed {PICTURES_SEED}) of combinations that are not held out, "
            "softened, tinted and with noise; on no output of the text-to-image model. The "
            "loss contrasts a picture's caption with those of the batch, and its answer to each "
            "question with the other answers; garment and colour are asked of its patches too."
        ),
        commands={
            "train": "python -m toyworld.train_clip",
            "judge real renderings": "python -m toyworld.judge --real",
        },
        trainings={"scorer": trainer.facts()},
        limits=["Knows nothing outside the toy world; a score compares pictures of that world."],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("outputs/training/tiny_clip"))
    parser.add_argument("--out", type=Path, default=folder("asset:tiny_clip"))
    parser.add_argument("--pictures", type=int, default=32_000)
    parser.add_argument("--steps", type=int, default=SETTINGS.steps)
    parser.add_argument("--begin", type=Path, help="folder of an earlier scorer")
    args = parser.parse_args()
    train(args.work, args.out, replace(SETTINGS, steps=args.steps), args.pictures, args.begin)


if __name__ == "__main__":
    main()
