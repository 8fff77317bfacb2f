"""Image classifiers of transformers: the probability of each label.

Safety classifiers are such models; `filter.keep` can use their columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from imagepipe.config import Scorer
from imagepipe.errors import UserError, listed, one_line
from imagepipe.scoring import SCORER_ERROR, checks, questions
from imagepipe.stages import loading, weights
from imagepipe.stages.stage import Columns

CHUNK = 64  # pictures at a time, so that memory does not grow with the number of pictures
MULTI_LABEL = "multi_label_classification"  # as transformers calls it: each label is judged alone


def check(scorer: Scorer) -> None:
    """Raise UserError if the classifier or its processor is unavailable, or lacks a label."""
    questions.check(scorer)
    config = checks.config_of(scorer)
    if config is None:
        return
    _check_labels(scorer, config)
    loading.check_fit(f"{scorer.section}.path", scorer.path, scorer.revision, model_class)
    processor(scorer)


def model_class() -> Any:
    from transformers import AutoModelForImageClassification

    return AutoModelForImageClassification


def _check_labels(scorer: Scorer, config: Any) -> None:
    from transformers import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING

    if type(config) not in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING:
        raise UserError(
            field=f"{scorer.section}.path",
            value=scorer.path,
            problem=f"its config.json says {config.model_type}, which classifies no pictures",
            remedy="Name a model for image classification.",
        )
    for name, label in scorer.questions.items():
        if label not in config.id2label.values():
            raise UserError(
                field=f"{scorer.section}.questions.{name}",
                value=label,
                problem=f"{scorer.path} has no such label",
                remedy=f"It has: {listed(config.id2label.values(), label)}.",
            )


def processor(scorer: Scorer) -> Any:
    """The processor of the pictures. Raises UserError if it is unavailable."""
    loading.quiet()
    from transformers import AutoImageProcessor

    path = str(weights.locate(scorer.processor or scorer.path or ""))
    revision = None if scorer.processor else scorer.revision
    try:
        return AutoImageProcessor.from_pretrained(path, revision=revision)
    except (OSError, ValueError, ImportError) as error:
        raise UserError(
            field=f"{scorer.section}.processor",
            value=scorer.processor,
            problem=f"{path} holds no processor of pictures that can be used ({one_line(error)})",
            remedy="Name a folder that holds one, or a model of the hub as owner/name.",
        ) from error


class ImageClassifier:
    """The probability of each label that `scorer.questions` names: {column: label}, 0 to 1.

    A `scoring.RowScorer`, on the GPU if there is one, otherwise on the CPU.
    """

    limits = (0.0, 1.0)

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        self.reads: tuple[str, ...] = ()
        self.adds = pa.schema([(name, pa.float32()) for name in scorer.questions])

    def load(self) -> None:
        """Raises UserError if the weights are not those of a classifier."""
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
        places = {label: place for place, label in model.config.id2label.items()}
        self.places = [places[label] for label in self.scorer.questions.values()]

    def judge(self, images: np.ndarray, rows: pa.Table) -> Columns:
        """As `scoring.RowScorer`: a picture i of uint8 (n, height, width, 3) has them all."""
        parts = [self._judged(images[i : i + CHUNK]) for i in range(0, len(images), CHUNK)]
        found = np.concatenate(parts)[:, self.places]
        columns = dict(zip(self.scorer.questions, found.T.tolist(), strict=True))
        return {**columns, SCORER_ERROR: [None] * len(images)}

    def _judged(self, images: np.ndarray) -> np.ndarray:
        """float32 (n, labels)."""
        import torch

        pixels = self.processor(images=list(images), return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            logits = self.model(pixels.to(self.model.device, self.model.dtype)).logits.float()
        alone = self.model.config.problem_type == MULTI_LABEL
        chances: np.ndarray = (logits.sigmoid() if alone else logits.softmax(dim=1)).cpu().numpy()
        return chances
