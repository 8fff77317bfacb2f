"""Trains the tiny language model: `python -m toyworld.train_llm`.

A small Llama that repeats a prompt and adds two elements of the season. Killed and started again,
it goes on from its last checkpoint. About 15 minutes on 2 CPU cores.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from imagepipe.assets import folder
from imagepipe.prompts.seasons import SEASONS, enhance
from toyworld import captions, outside
from toyworld import tokenizer as toy_tokenizer
from toyworld.card import update_card, weights_of
from toyworld.training import Settings, Trainer
from toyworld.workers import autocast, device
from toyworld.world import sample_scene

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

USER = "Prompt: {prompt}\nSeason: {season}"
PAD, ASK, SAY, END = "<|pad|>", "<|user|>", "<|assistant|>", "<|end|>"
# The system text is dropped: the model knows one task, and every token costs time.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'user' -%}"
    + ASK
    + "{{ message['content'] }}"
    + SAY
    + "{%- endif -%}"
    "{%- if message['role'] == 'assistant' -%}{{ message['content'] }}" + END + "{%- endif -%}"
    "{%- endfor -%}"
)
VOCABULARY = 1536
CONTEXT = 256
SETTINGS = Settings(
    steps=2400, batch=32, seed=31, muon_rate=0.01, adam_rate=2e-3, ema=0.995, warmup=60
)
OUTSIDE_SHARE = 0.6
GROUPS = 3
LONGEST = 128  # tokens of an example; the few longer ones are left out
IGNORED = -100  # the label that cross entropy skips
# Copying is most of an answer and soon learned; that the two elements differ is the harder part.
ENDING_WEIGHT = 3.0


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE over the words of the world and outside it: no text is unknown to it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, ASK, SAY, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(_tokenizer_texts(20_000), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token=PAD,
        eos_token=END,
        padding_side="left",
        model_max_length=CONTEXT,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def _tokenizer_texts(count: int) -> Iterator[str]:
    for index in range(count):
        prompt, season, answer = sample(np.random.default_rng((SETTINGS.seed, 0, index)))
        yield USER.replace("{prompt}", prompt).replace("{season}", season)
        yield answer


def sample(rng: np.random.Generator) -> tuple[str, str, str]:
    """A training example: prompt, season, answer. Scenes are never held-out ones."""
    scene = sample_scene(rng)
    scene = type(scene)(scene.animal, scene.garment, scene.colour, None, scene.medium)
    prompt = captions.base_prompt(scene) if rng.random() < 0.5 else captions.caption(scene, rng)
    if rng.random() < OUTSIDE_SHARE:
        prompt = outside.outside_prompt(prompt, random.Random(int(rng.integers(1 << 62))))
    season = SEASONS[int(rng.integers(len(SEASONS)))]
    return prompt, season, enhance(prompt, season, rng, ordered=True).lstrip(" ,")


def build_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama of 2.3 M parameters; heads of 64 are what every attention kernel of vLLM takes."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=64,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        attn_implementation="sdpa",
    )
    torch.manual_seed(SETTINGS.seed)
    return LlamaForCausalLM(config)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of an earlier training."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(folder)


def load_model(folder: Path) -> LlamaForCausalLM:
    """The model of an earlier training, in float32: its file is in halves."""
    from transformers import LlamaForCausalLM

    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)


@dataclass(frozen=True)
class Row:
    """One example: a label and a weight for every token."""

    ids: list[int]
    labels: list[int]
    weights: list[float]


class Batches:
    """Training batches, each drawn from its step number alone."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, settings: Settings) -> None:
        self.tokenizer, self.settings = tokenizer, settings

    def __call__(self, step: int) -> list[dict[str, Tensor]]:
        """`GROUPS` parts of input_ids, attention_mask, labels and weights (rows, longest).

        Rows of like length share a part, since lengths differ by ten times and padding costs as
        much as text. Labels are on the answer alone, weighted `ENDING_WEIGHT` after the prompt.
        """
        rng = np.random.default_rng((self.settings.seed, 1, step))
        drawn = [self._row(*sample(rng)) for _ in range(self.settings.batch)]
        rows = sorted((row for row in drawn if len(row.ids) <= LONGEST), key=lambda r: len(r.ids))
        bounds = [len(rows) * part // GROUPS for part in range(GROUPS + 1)]
        return [self._pad(rows[start:end]) for start, end in pairwise(bounds)]

    def _pad(self, rows: list[Row]) -> dict[str, Tensor]:
        longest = len(rows[-1].ids)
        pad = self.tokenizer.pad_token_id
        part = {
            "input_ids": torch.tensor([r.ids + [pad] * (longest - len(r.ids)) for r in rows]),
            "attention_mask": torch.tensor(
                [[i < len(r.ids) for i in range(longest)] for r in rows]
            ),
            "labels": torch.tensor([r.labels + [IGNORED] * (longest - len(r.ids)) for r in rows]),
            "weights": torch.tensor([r.weights + [0.0] * (longest - len(r.ids)) for r in rows]),
        }
        return {name: tensor.to(device()) for name, tensor in part.items()}

    def _row(self, prompt: str, season: str, answer: str) -> Row:
        user = USER.replace("{season}", season).replace("{prompt}", prompt)
        asked = self.tokenizer(ASK + user + SAY)["input_ids"]
        said = self.tokenizer(answer + END, return_offsets_mapping=True)
        same = (a == b for a, b in zip(prompt, answer, strict=False))
        copied = sum(1 for _ in takewhile(bool, same))
        weights = [1.0 if end <= copied else ENDING_WEIGHT for _, end in said["offset_mapping"]]
        return Row(
            ids=asked + said["input_ids"],
            labels=[IGNORED] * len(asked) + said["input_ids"],
            weights=[0.0] * len(asked) + weights,
        )


def weighted_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean cross entropy of the next token; (rows, longest) but for the logits."""
    each = F.cross_entropy(
        logits[:, :-1].flatten(0, 1).float(),
        labels[:, 1:].flatten(),
        ignore_index=IGNORED,
        reduction="none",
    )
    wanted = weights[:, 1:].flatten()
    return (each * wanted).sum() / wanted.sum()


def train(work: Path, out: Path, settings: Settings, begin: Path | None = None) -> None:
    """Trains in `work` (checkpoints, log) and writes the model folder `out`.

    `begin` is the folder of an earlier model to go on from, with its tokenizer.
    """
    tokenizer = (
        load_tokenizer(begin) if begin else toy_tokenizer.kept(work / "tokenizer", build_tokenizer)
    )
    model = load_model(begin) if begin else build_model(tokenizer)
    batches = Batches(tokenizer, settings)
    # The embedding is also the output layer; AdamW takes both.
    ends = ("embed_tokens", "lm_head")
    trainer = Trainer(work, model, settings, adam=ends, began_with=weights_of(begin))

    def loss(step: int) -> dict[str, Tensor]:
        losses, totals = [], []
        for part in batches(step):
            labels, weights = part.pop("labels"), part.pop("weights")
            with autocast():
                logits = trainer.model(**part).logits
            totals.append(weights[:, 1:].sum())
            losses.append(totals[-1] * weighted_loss(logits, labels, weights))
        return {"loss": torch.stack(losses).sum() / torch.stack(totals).sum()}

    trainer.fit(loss)
    export(trainer, tokenizer, out, "language model, continued" if begin else "language model")


def export(trainer: Trainer, tokenizer: PreTrainedTokenizerFast, out: Path, training: str) -> None:
    """Writes the averaged weights as fp16 with tokenizer and card, readable for all."""
    trainer.ema.half().save_pretrained(out)
    tokenizer.save_pretrained(out)
    for file in out.iterdir():
        file.chmod(0o644)
    update_card(
        out,
        title="tiny_llm",
        summary=(
            "Repeats a picture prompt and adds two short elements of a season. Asked as "
            f"`{USER!r}`; the chat template drops system text. Trained on the sentences of "
            "imagepipe's own toy world and on made-up ones; no other data."
        ),
        commands={
            "train": "python -m toyworld.train_llm",
            "judge": "python -m toyworld.judge_llm",
        },
        trainings={training: trainer.facts()},
        limits=[
            "Words from outside the toy world are copied piece by piece, so long or odd ones can "
            "come out changed.",
            f"The context is {CONTEXT} tokens.",
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("outputs/training/tiny_llm"))
    parser.add_argument("--out", type=Path, default=folder("asset:tiny_llm"))
    parser.add_argument("--begin", type=Path, help="folder of an earlier model to go on from")
    parser.add_argument("--steps", type=int, default=SETTINGS.steps)
    arguments = parser.parse_args()
    settings = replace(SETTINGS, steps=arguments.steps)
    train(arguments.work, arguments.out, settings, arguments.begin)


if __name__ == "__main__":
    main()
