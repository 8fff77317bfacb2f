"""Textual inversions: new words for the text encoder, as one or more embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imagepipe.config import Model, TextualInversion
from imagepipe.diffusion.refusals import found, refused, unusable
from imagepipe.errors import one_line
from imagepipe.stages import engines, kinds, loading, weights

FIELD = "textual_inversions"
FILE = "learned_embeds.safetensors"  # where it is a folder or of the hub
# Whose embeddings they are, as files for several text encoders name them; else the first one's.
ENCODERS = {"clip_l": "text_encoder", "clip_g": "text_encoder_2"}
# Names that are no words: those, and that of AUTOMATIC1111's files.
UNNAMED = (*ENCODERS, "emb_params")


def add(pipe: Any, model: Model) -> None:
    """Add the words of `model.textual_inversions` to the text encoders; on "meta" only check
    them.

    Raises UserError if the pipeline accepts none, or if one does not fit its encoders.
    """
    for one in model.textual_inversions:
        if not hasattr(pipe, "load_textual_inversion"):
            said = f"{type(pipe).__name__} takes no textual inversion"
            raise refused(FIELD, one.path, said, "Set it to [].")
        file = located(one)
        shapes = loading.shapes(f"model.{FIELD}", one.path, file)
        word = _word(one, shapes)
        for name, shape in shapes.items():
            check_fits(pipe, one, ENCODERS.get(name, "text_encoder"), word, shape)
        _load(pipe, one, file, word)


def located(one: TextualInversion) -> Path:
    """Its file, fetched from the hub where it is not cached. Raises UserError if it has none, or
    one that is pickled.
    """
    where = weights.locate(one.path)
    name = one.weight_name or FILE
    if Path(name if isinstance(where, str) or where.is_dir() else where).suffix in kinds.PICKLED:
        raise refused(
            FIELD,
            one.path,
            "is a pickle, which can run any code when it is read",
            "If you trust who made it, save its tensor once by safetensors.torch.save_file.",
        )
    if isinstance(where, str):
        from huggingface_hub import hf_hub_download

        try:
            return Path(hf_hub_download(where, name, revision=one.revision))
        except (OSError, ValueError) as error:
            raise unusable(FIELD, one.path, one.revision, error) from error
    file = Path(found(FIELD, one.path))
    file = file / name if file.is_dir() else file
    if not file.is_file():
        raise refused(FIELD, one.path, f"{file} does not exist", "Set its weight_name.")
    return file


def words(model: Model) -> list[str]:
    """The tokens in prompts for each of `model.textual_inversions`; random weights know none, and
    nor do engines that load no files.
    """
    loads = model.weights == "trained" and engines.of("model", model).literal_prompts
    given = model.textual_inversions if loads else []
    files = ((one, located(one)) for one in given)
    return [_word(one, loading.shapes(f"model.{FIELD}", one.path, file)) for one, file in files]


def _word(one: TextualInversion, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Its token in prompts: the configured one, or the only name in the file."""
    names = list(shapes)
    if any(name not in UNNAMED for name in names[1:]) or not names:
        said = f"is not a textual inversion: it holds {len(names)} weights"
        raise refused(FIELD, one.path, said, "Leave it out.")
    if one.token is None and names[0] in UNNAMED:
        said = "does not say which word stands for it"
        raise refused(FIELD, one.path, said, "Give one as its token: '<my-cat>'.")
    return one.token or names[0]


def check_fits(
    pipe: Any, one: TextualInversion, part: str, word: str, shape: tuple[int, ...]
) -> None:
    encoder = getattr(pipe, part, None)
    kind = type(pipe).__name__
    if encoder is None:
        said = f"has embeddings for a {part}, and {kind} has none"
        raise refused(FIELD, one.path, said, "Name one that was trained for this model.")
    needs = encoder.get_input_embeddings().embedding_dim
    if len(shape) not in (1, 2) or shape[-1] != needs:
        numbers = shape[-1] if shape else 1
        said = f"has {numbers} numbers an embedding, and the {part} of this {kind} has {needs}"
        raise refused(FIELD, one.path, said, "Name one that was trained for this model.")
    tokenizer = getattr(pipe, part.replace("text_encoder", "tokenizer"))
    if word in tokenizer.get_vocab():
        said = f"the model knows {word!r} already"
        raise refused(FIELD, one.path, said, "Give another word as its token: '<my-cat>'.")


def _load(pipe: Any, one: TextualInversion, file: Path, word: str) -> None:
    from safetensors.torch import load_file

    for name, embeddings in load_file(file).items():
        part = ENCODERS.get(name, "text_encoder")
        encoder = getattr(pipe, part)
        if encoder.device.type == "meta":
            continue
        tokenizer = getattr(pipe, part.replace("text_encoder", "tokenizer"))
        try:
            pipe.load_textual_inversion(
                embeddings.to(encoder.dtype), token=word, tokenizer=tokenizer, text_encoder=encoder
            )
        except ValueError as error:
            raise refused(FIELD, one.path, one_line(error), "Give another token.") from error
