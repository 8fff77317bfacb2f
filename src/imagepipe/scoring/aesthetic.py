"""How pleasing a picture is, without its prompt: LAION's aesthetic predictor.

A CLIP's unit picture embedding goes through linear layers to one number, about 1 to 10. Source of
the layers: C. Schuhmann, improved-aesthetic-predictor (2022), github.com/christophschuhmann.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from imagepipe.config import Scorer
from imagepipe.scoring import checks
from imagepipe.stages import loading, weights

WIDTHS = (1024, 128, 64, 16, 1)
CHUNK = 64  # pictures at a time, so that memory does not grow with the number of pictures


def predictor_class() -> Any:
    """A transformers model with the layout of the predictor on the hub."""
    from torch import Tensor, nn
    from torch.nn import functional as F
    from transformers import CLIPVisionModelWithProjection

    class AestheticPredictor(CLIPVisionModelWithProjection):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            sizes = (config.projection_dim, *WIDTHS)
            linear = [nn.Linear(*pair) for pair in pairwise(sizes)]
            # Nothing drops out when it rates, but the places count in the weights' names.
            parts = [part for layer in linear[:3] for part in (layer, nn.Dropout())]
            self.layers = nn.Sequential(*parts, *linear[3:])
            self.post_init()

        def rate(self, pixel_values: Tensor) -> Tensor:
            """(n, 3, h, w) to (n,)."""
            embedding = self(pixel_values=pixel_values).image_embeds
            return self.layers(F.normalize(embedding, dim=1))[:, 0]

    return AestheticPredictor


def check(scorer: Scorer) -> None:
    """Raise UserError if the predictor is unavailable."""
    checks.check(scorer, predictor_class, "CLIPImageProcessor")


class AestheticScorer:
    """On the GPU if there is one, otherwise on the CPU; ignores prompts."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    def load(self) -> None:
        """Raises UserError if the weights are not those of such a predictor."""
        loading.quiet()
        import torch
        from transformers import CLIPImageProcessor

        device = "cuda" if torch.cuda.is_available() else "cpu"
        looks = weights.locate(self.scorer.processor or self.scorer.path or "")
        revision = None if self.scorer.processor else self.scorer.revision
        self.processor = CLIPImageProcessor.from_pretrained(looks, revision=revision)
        model = loading.load(
            "scorer.path",
            self.scorer.path or "",
            predictor_class(),
            revision=self.scorer.revision,
            dtype=weights.dtype(self.scorer.dtype, device),
        )
        self.model = model.to(device).eval()

    def score(self, images: np.ndarray, prompts: list[str]) -> np.ndarray:
        """float32 (n,) of uint8 (n, h, w, 3)."""
        parts = [self._score(images[i : i + CHUNK]) for i in range(0, len(images), CHUNK)]
        return np.concatenate(parts)

    def _score(self, images: np.ndarray) -> np.ndarray:
        import torch

        pixels = self.processor(images=list(images), return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            rated = self.model.rate(pixels.to(self.model.device, self.model.dtype))
        return rated.float().cpu().numpy()
