"""Textual inversions: the pixels of the words that they stand for, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.tiny_pipelines import FLUX, PIXART, SD, SDXL, complaint, painter, small
from safetensors.torch import save_file

from imagepipe.config import Model, TextualInversion
from imagepipe.diffusion import inversions
from imagepipe.errors import UserError

Folder = Callable[[str], Path]


def embeddings(one: Any, part: str, words: str) -> torch.Tensor:
    tokenizer = getattr(one.pipe, part.replace("text_encoder", "tokenizer"))
    numbers = tokenizer(words, add_special_tokens=False).input_ids
    return getattr(one.pipe, part).get_input_embeddings().weight.data[numbers].clone()


@pytest.mark.parametrize("words", ["cat", "red cat"], ids=["one", "several"])
@pytest.mark.parametrize("hub_id", [SD, SDXL])
def test_a_word_that_means_what_others_do_draws_their_pixels(hub_id, words, trained, tmp_path):
    plain = painter(small(trained(hub_id)))
    parts = {"clip_l": "text_encoder", "clip_g": "text_encoder_2"}
    state = {n: embeddings(plain, p, words) for n, p in parts.items() if hasattr(plain.pipe, p)}
    if hub_id == SD:
        state = {"<my-cat>": state["clip_l"]}
    save_file(state, tmp_path / "one.safetensors")
    word = None if hub_id == SD else "<my-cat>"
    given = TextualInversion(str(tmp_path / "one.safetensors"), word)
    one = painter(small(trained(hub_id), textual_inversions=[given]))
    drawn = one.paint(["a photo of <my-cat> in the snow", "a dog"], [1, 2])
    prompts = [f"a photo of {words} in the snow", "a dog"]
    assert np.array_equal(drawn, plain.paint(prompts, [1, 2]))
    assert not np.array_equal(drawn[0], plain.paint(["a photo of in the snow"], [1])[0])


def test_what_stands_for_several_tokens_counts_as_such(trained: Folder, tmp_path: Path):
    save_file({"<long>": torch.zeros(40, 16)}, tmp_path / "learned_embeds.safetensors")
    one = painter(small(trained(SD), textual_inversions=[TextualInversion(str(tmp_path))]))
    assert not one.is_cut("<long> " + "cat " * 30)
    assert one.is_cut("<long> " + "cat " * 40)


@pytest.mark.parametrize(
    ("hub_id", "state", "token", "said"),
    [
        (SD, {"<x>": (1, 32)}, None, "has 32 numbers an embedding, and the text_encoder of this"),
        (SD, {"clip_l": (1, 16), "clip_g": (1, 16)}, "<x>", "for a text_encoder_2, and StableDiff"),
        (SD, {"emb_params": (2, 16)}, None, "does not say which word stands for it"),
        (SD, {"cat</w>": (1, 16)}, None, "the model knows 'cat</w>' already"),
        (SD, {"a": (1, 16), "b": (1, 16)}, None, "is not a textual inversion: it holds 2 weights"),
        (PIXART, {"<x>": (1, 32)}, None, "PixArtSigmaPipeline takes no textual inversion"),
        (FLUX, {"<x>": (1, 32)}, None, "has 32 numbers an embedding, and the text_encoder of this"),
    ],
    ids=["size", "encoder", "word", "known", "other", "pipeline", "flux"],
)
def test_what_does_not_fit_is_refused(hub_id, state, token, said, trained: Folder, tmp_path: Path):
    file = tmp_path / "one.safetensors"
    save_file({name: torch.zeros(shape) for name, shape in state.items()}, file)
    given = TextualInversion(str(file), token)
    assert said in complaint(small(trained(hub_id), textual_inversions=[given]))


def test_files_that_are_none(trained: Folder, tmp_path: Path):
    def said(path: object) -> str:
        given = [TextualInversion(str(path))]
        return complaint(small(trained(SD), textual_inversions=given))

    (tmp_path / "x.pt").write_bytes(b"PK")
    (tmp_path / "x.safetensors").write_bytes(b"x")
    assert "is a pickle, which can run any code" in said(tmp_path / "x.pt")
    assert "x.safetensors is broken" in said(tmp_path / "x.safetensors")
    assert "learned_embeds.safetensors does not exist. Set its weight_name." in said(tmp_path)
    assert "there is no such file or folder" in said("./nowhere")


@pytest.mark.parametrize(
    ("path", "name"),
    [("sd-concepts-library/cat-toy", "learned_embeds.bin"), ("{}", "one.pt"), ("{}/a.ckpt", None)],
    ids=["hub", "folder", "file"],
)
def test_a_pickle_is_refused_wherever_it_is(path: str, name: str | None, tmp_path: Path):
    with pytest.raises(UserError) as caught:
        inversions.located(TextualInversion(path.format(tmp_path), weight_name=name))
    assert "is a pickle, which can run any code" in str(caught.value)


def test_the_words_are_those_of_the_files_where_none_is_given(tmp_path: Path):
    save_file({"<my-cat>": torch.zeros(1, 16)}, tmp_path / "learned_embeds.safetensors")
    given = [TextualInversion(str(tmp_path)), TextualInversion(str(tmp_path), "<other>")]
    assert inversions.words(Model(engine="diffusers", textual_inversions=given)) == [
        "<my-cat>",
        "<other>",
    ]
    assert (
        inversions.words(Model(engine="diffusers", textual_inversions=given, weights="random"))
        == []
    )
    assert inversions.words(Model(engine="noop", textual_inversions=given)) == []
