"""How well a picture fits its prompt, by any CLIP, also one tuned to people's preferences.

PickScore (Kirstain et al. 2023, arXiv:2305.01569) and HPS v2 (Wu et al. 2023, arXiv:2306.09341) are
CLIPs trained on people's choices; their score is the same cosine.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imagepipe.scoring import checks
from imagepipe.scoring.checks import Section
from imagepipe.stages import loading, weights

if TYPE_CHECKING:
    from torch import Tensor

QUESTIONS = "questions.json"  # beside the weights of a CLIP that answers some
CHUNK = 64  # pictures at a time, so that memory does not grow with the number of pictures


def check(scorer: Section) -> None:
    """Raise UserError if the CLIP is unavailable."""
    checks.check(scorer, model_class, "CLIPProcessor")


def model_class() -> Any:
    from transformers import CLIPModel

    return CLIPModel


def questions_of(scorer: Section, folder: Path) -> dict[str, dict[str, str]]:
    """{question: {answer: text}} that a CLIP answers; none where its folder names none.

    Raises UserError if the file is of another shape.
    """
    file = folder / QUESTIONS
    if not file.is_file():
        return {}
    field = f"{scorer.section}.path"
    said = weights.described(field, scorer.path, file)
    for name, texts in said.items():
        answers = list(texts.values()) if isinstance(texts, dict) else []
        if not answers or not all(isinstance(text, str) for text in answers):
            raise weights.broken(field, scorer.path, file, f"its {name!r} has no text an answer")
    return said


class ClipScorer:
    """A recipe until `load`; scores on the GPU if there is one, otherwise on the CPU.

    `scorer.path` is a CLIP's folder or hub id, `scorer.processor` another one to take the processor
    from, for models that come without.
    """

    limits = (-100.0, 100.0)

    def __init__(self, scorer: Section) -> None:
        self.scorer = scorer
        self.model: Any = None
        self.processor: Any = None

    def load(self) -> None:
        """Raises UserError if the weights are not those of a CLIP."""
        loading.quiet()
        import torch
        from transformers import CLIPProcessor

        path, revision = self.scorer.path or "", self.scorer.revision
        source = weights.locate(path)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        if self.scorer.processor is None:
            self.processor = CLIPProcessor.from_pretrained(source, revision=revision)
        else:
            self.processor = CLIPProcessor.from_pretrained(weights.locate(self.scorer.processor))
        dtype = weights.dtype(self.scorer.dtype, device)
        field = f"{self.scorer.section}.path"
        model = loading.load(field, path, model_class(), revision=revision, dtype=dtype)
        loading.refuse_tokens(field, path, self.processor.tokenizer, model)
        self.model = model.to(device).eval()

    @cached_property
    def questions(self) -> dict[str, dict[str, str]]:
        """As `questions_of`, of its own folder."""
        folder = weights.locate(self.scorer.path or "")
        return questions_of(self.scorer, Path(folder))

    def score(self, images: np.ndarray, prompts: list[str]) -> np.ndarray:
        """Cosine similarity x 100 of each picture and its prompt: float32 (n,).

        `images` is uint8 (n, h, w, 3); other sizes than the model's are resized.
        """
        seen, read = self._see(images), self._read(prompts)
        return (100 * (seen * read).sum(dim=1)).cpu().numpy()

    def features(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Unit embeddings, float32 (n, d), of uint8 (height, width, 3) each, of any sizes."""
        return self._see(images).cpu().numpy()

    def answers(self, images: np.ndarray) -> dict[str, list[str]]:
        """{attribute: an answer a picture}, zero-shot: the answer whose text is nearest.

        For a folder with `questions.json`, such as the embedded scorer's, whose attributes are
        animal, garment, colour, season and medium; "none" is an answer of the last two. `images`
        is uint8 (n, h, w, 3).
        """
        seen = self._see(images)
        return {name: self._nearest(seen, texts) for name, texts in self.questions.items()}

    def _nearest(self, seen: Tensor, texts: dict[str, str]) -> list[str]:
        answers = list(texts)
        best = (seen @ self._read(list(texts.values())).T).argmax(dim=1)
        return [answers[i] for i in best.tolist()]

    def _see(self, images: Sequence[np.ndarray] | np.ndarray) -> Tensor:
        """Unit embeddings (n, d)."""
        import torch

        starts = range(0, len(images), CHUNK)
        return torch.cat([self._see_chunk(images[i : i + CHUNK]) for i in starts])

    def _see_chunk(self, images: Sequence[np.ndarray] | np.ndarray) -> Tensor:
        import torch
        import torch.nn.functional as F

        pixels = self.processor(images=list(images), return_tensors="pt").to(self.model.device)
        pixels = pixels.to(self.model.dtype)
        with torch.inference_mode():
            return F.normalize(self.model.get_image_features(**pixels).pooler_output.float(), dim=1)

    def _read(self, texts: list[str]) -> Tensor:
        """Unit embeddings (n, d); texts beyond the model's length lose their end."""
        import torch
        import torch.nn.functional as F

        tokens = self.processor(text=texts, padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            features = self.model.get_text_features(**tokens.to(self.model.device))
        return F.normalize(features.pooler_output.float(), dim=1)
