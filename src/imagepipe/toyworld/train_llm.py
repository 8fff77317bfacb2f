"""Trains the tiny language model: `python -m imagepipe.toyworld.train_llm`.

A small Llama that repeats a prompt and adds two elements of the season. Killed and started again,
it goes on from its last checkpoint. About 15 minutes on 2 CPU cores.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from imagepipe.assets import folder
from imagepipe.seasons import SEASONS
from imagepipe.toyworld import captions, outside
from imagepipe.toyworld.card import update_card
from imagepipe.toyworld.training import Settings, Trainer, autocast, device
from imagepipe.toyworld.world import sample_scene

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
    steps=1400, batch=32, seed=31, muon_rate=0.01, adam_rate=2e-3, ema=0.995, warmup=60
)
OUTSIDE_SHARE = 0.6
GROUPS = 3
LONGEST = 128  # tokens of an example; the few longer ones are left out
IGNORED = -100  # the label that the loss of transformers skips


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
    return prompt, season, captions.enhance(prompt, season, rng).lstrip(" ,")


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


class Batches:
    """Training batches, each drawn from its step number alone."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, settings: Settings) -> None:
        self.tokenizer, self.settings = tokenizer, settings

    def __call__(self, step: int) -> list[dict[str, Tensor]]:
        """`GROUPS` parts of input_ids, attention_mask and labels (rows, longest).

        Rows of like length share a part, since lengths differ by ten times and padding costs as
        much as text. Labels are on the answer alone.
        """
        rng = np.random.default_rng((self.settings.seed, 1, step))
        rows = [self._row(*sample(rng)) for _ in range(self.settings.batch)]
        rows = sorted((row for row in rows if len(row[0]) <= LONGEST), key=lambda row: len(row[0]))
        bounds = [len(rows) * part // GROUPS for part in range(GROUPS + 1)]
        return [self._pad(rows[start:end]) for start, end in pairwise(bounds)]

    def _pad(self, rows: list[tuple[list[int], list[int]]]) -> dict[str, Tensor]:
        longest = len(rows[-1][0])
        pad = self.tokenizer.pad_token_id
        ids = torch.tensor([i + [pad] * (longest - len(i)) for i, _ in rows])
        labels = torch.tensor([la + [IGNORED] * (longest - len(la)) for _, la in rows])
        mask = (torch.arange(longest) < torch.tensor([[len(i)] for i, _ in rows])).long()
        part = {"input_ids": ids, "attention_mask": mask, "labels": labels}
        return {name: tensor.to(device()) for name, tensor in part.items()}

    def _row(self, prompt: str, season: str, answer: str) -> tuple[list[int], list[int]]:
        user = USER.replace("{season}", season).replace("{prompt}", prompt)
        asked = self.tokenizer(ASK + user + SAY)["input_ids"]
        said = self.tokenizer(answer + END)["input_ids"]
        return asked + said, [IGNORED] * len(asked) + said


def train(work: Path, out: Path, settings: Settings) -> None:
    """Trains in `work` (checkpoints, log) and writes the model folder `out`."""
    tokenizer = build_tokenizer()
    batches = Batches(tokenizer, settings)
    # The embedding is also the output layer; AdamW takes both.
    trainer = Trainer(work, build_model(tokenizer), settings, adam=("embed_tokens", "lm_head"))

    def loss(step: int) -> dict[str, Tensor]:
        parts = batches(step)
        counts = [int((part["labels"] != IGNORED).sum()) for part in parts]
        with autocast():
            losses = [trainer.model(**part).loss for part in parts]
        weighted = [count * part for count, part in zip(counts, losses, strict=True)]
        return {"loss": torch.stack(weighted).sum() / sum(counts)}

    trainer.fit(loss)
    export(trainer, tokenizer, out)


def export(trainer: Trainer, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
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
            "train": "python -m imagepipe.toyworld.train_llm",
            "judge": "python -m imagepipe.toyworld.judge_llm",
        },
        trainings={"language model": trainer.facts()},
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
    arguments = parser.parse_args()
    train(arguments.work, arguments.out, SETTINGS)


if __name__ == "__main__":
    main()
