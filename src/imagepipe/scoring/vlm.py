"""Vision-language models in transformers: they answer yes or no, or write a caption."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa

from imagepipe.config import Scorer
from imagepipe.errors import UserError, one_line
from imagepipe.llm.answers import storable
from imagepipe.scoring import checks, questions
from imagepipe.scoring.questions import Answers, Questioner
from imagepipe.stages import loading, weights

if TYPE_CHECKING:
    from torch import Tensor

CHUNK = 8  # pictures at a time, so that memory does not grow with the number of pictures


def check(scorer: Scorer) -> None:
    """Raise UserError if the questions, the model or its processor cannot be used.

    The processor of a model of the hub that is not in the cache is not fetched for that.
    """
    questions.check(scorer)
    config = checks.config_of(scorer)
    if config is None:
        return
    _check_kind(scorer, config)
    loading.check_fit(f"{scorer.section}.path", scorer.path, scorer.revision, model_class)
    processor(scorer)


def model_class() -> Any:
    from transformers import AutoModelForImageTextToText

    return AutoModelForImageTextToText


def _check_kind(scorer: Scorer, config: Any) -> None:
    from transformers import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

    if type(config) not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        raise UserError(
            field=f"{scorer.section}.path",
            value=scorer.path,
            problem=f"its config.json says {config.model_type}, which is not a model that answers "
            "questions about pictures",
            remedy="Name one, such as HuggingFaceTB/SmolVLM-256M-Instruct.",
        )


def processor(scorer: Scorer) -> Any:
    """The model's own processor, padding in front. Raises UserError if it cannot be loaded here."""
    loading.quiet()
    from transformers import AutoProcessor

    path = str(weights.locate(scorer.path or ""))
    try:
        found = AutoProcessor.from_pretrained(path, revision=scorer.revision)
    except ImportError as error:  # of one that takes videos too
        raise UserError(
            field=f"{scorer.section}.path",
            value=scorer.path,
            problem=f"its processor cannot be made here ({one_line(error)})",
            remedy="Install the torchvision of your build of torch (make vllm brings it), or have "
            "a server ask the model: scorer=vlm_server.",
        ) from None
    if getattr(found, "chat_template", None) is None:
        raise UserError(
            field=f"{scorer.section}.path",
            value=scorer.path,
            problem="it has no chat template",
            remedy="Name an instruction-tuned model.",
        )
    found.tokenizer.padding_side = "left"
    return found


class Vlm(Questioner):
    """On the GPU if there is one, otherwise on the CPU."""

    def load(self) -> None:
        """Raises UserError if the weights are not those of such a model."""
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.processor = processor(self.scorer)
        model = loading.load(
            f"{self.scorer.section}.path",
            self.scorer.path or "",
            model_class(),
            revision=self.scorer.revision,
            dtype=weights.dtype(self.scorer.dtype, device),
        )
        self.model = model.to(device).eval()

    def _chunks(self, images: np.ndarray, asked: list[str]) -> Iterator[Any]:
        """Inputs of the model, for up to CHUNK pictures at a time."""
        for start in range(0, len(images), CHUNK):
            pairs = zip(images[start : start + CHUNK], asked[start : start + CHUNK], strict=True)
            inputs = self.processor.apply_chat_template(
                [_chat(image, text) for image, text in pairs],
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                processor_kwargs={"padding": True},
            )
            yield inputs.to(self.model.device, self.model.dtype)

    def _generated(self, inputs: Any, tokens: int, **options: Any) -> Any:
        import torch

        with torch.inference_mode():
            return self.model.generate(
                **inputs,
                max_new_tokens=tokens,
                do_sample=False,
                return_dict_in_generate=True,
                **options,
            )


class VlmScorer(Vlm):
    """The probability that the model says yes, 0 to 1: see `questions.judged`."""

    def ask(self, images: np.ndarray, texts: list[str]) -> Answers:
        return [pair for inputs in self._chunks(images, texts) for pair in self._sure(inputs)]

    def _sure(self, inputs: Any) -> Answers:
        said = self._generated(inputs, 1, output_logits=True)
        chances = said.logits[0].float().softmax(dim=-1)
        yes, no = (chances[:, tokens].sum(dim=1).tolist() for tokens in self._words)
        return [questions.judged(*pair) for pair in zip(yes, no, strict=True)]

    @cached_property
    def _words(self) -> tuple[Tensor, Tensor]:
        """The tokens that say yes, and those that say no."""
        import torch

        tokenizer = self.processor.tokenizer
        texts = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
        said = [questions.word(text) for text in texts]
        yes, no = (
            torch.tensor([token for token, one in enumerate(said) if one == word], dtype=torch.long)
            for word in (questions.YES, questions.NO)
        )
        return yes, no


class VlmCaptioner(Vlm):
    """What the model writes, up to `max_tokens` of it."""

    kind: ClassVar[pa.DataType] = pa.string()

    def ask(self, images: np.ndarray, texts: list[str]) -> Answers:
        return [pair for inputs in self._chunks(images, texts) for pair in self._said(inputs)]

    def _said(self, inputs: Any) -> Answers:
        said = self._generated(inputs, self.scorer.max_tokens).sequences
        written = said[:, inputs["input_ids"].shape[1] :]
        texts = self.processor.batch_decode(written, skip_special_tokens=True)
        return [caption(text) for text in texts]


def caption(text: str) -> tuple[str | None, str | None]:
    """The text to store; null with the reason if nothing is written."""
    said = storable(text).strip()
    return (said, None) if said else (None, "the judge writes nothing")


def _chat(image: np.ndarray, text: str) -> list[dict[str, Any]]:
    from PIL import Image

    shown = {"type": "image", "image": Image.fromarray(image)}
    return [{"role": "user", "content": [shown, {"type": "text", "text": text}]}]
