"""A CLIP tokenizer of our own: byte-level BPE in which each word of the toy world is one token.

Any other text still encodes, down to single bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

T = TypeVar("T", bound=Any)
START, END = "<|startoftext|>", "<|endoftext|>"
_SUFFIX = "</w>"


def build(words: Iterable[str], max_length: int = 32) -> CLIPTokenizer:
    """A tokenizer for texts of at most `max_length` tokens, both ends included.

    It lowercases, as CLIP's does. Padding is the end token, as in Stable Diffusion 1.
    """
    from transformers import CLIPTokenizer

    merges = _merges(sorted({word.lower() for word in words}))
    tokens = [*_bytes(), *(byte + _SUFFIX for byte in _bytes())]
    tokens += dict.fromkeys(first + second for first, second in merges)
    tokens = [*dict.fromkeys(tokens), START, END]
    return CLIPTokenizer(
        vocab={token: number for number, token in enumerate(tokens)},
        merges=merges,
        bos_token=START,
        eos_token=END,
        unk_token=END,
        pad_token=END,
        model_max_length=max_length,
    )


def _bytes() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def _merges(words: list[str]) -> list[tuple[str, str]]:
    """BPE merges that go on until every word is one token."""
    import json

    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE(end_of_word_suffix=_SUFFIX))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    trainer = trainers.BpeTrainer(
        vocab_size=1 << 16, min_frequency=0, show_progress=False, end_of_word_suffix=_SUFFIX
    )
    bpe.train_from_iterator(words, trainer)
    return [(first, second) for first, second in json.loads(bpe.to_str())["model"]["merges"]]


def kept(folder: Path, build: Callable[[], T]) -> T:
    """The tokenizer in `folder`, which `build` makes first if there is none.

    Two buildings number some tokens differently, so a training that goes on, or that has several
    processes, must not build it again.
    """
    if not folder.exists():
        built = build()
        temporary = folder.with_name(folder.name + ".new")
        built.save_pretrained(temporary)
        os.replace(temporary, folder)
        return built
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)
