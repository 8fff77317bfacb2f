"""Vision-language models in vLLM: the same probability as in transformers, many questions at
once.
"""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from imagepipe.config import Scorer, Share
from imagepipe.llm import vllm
from imagepipe.scoring import questions, vlm
from imagepipe.scoring.questions import Answers, Questioner
from imagepipe.stages import weights

TOP = 20  # tokens whose probabilities are asked for: the most that vLLM gives by itself


def check(scorer: Scorer) -> None:
    """Raise UserError if vLLM is not installed, and as `vlm.check`."""
    vllm.check_installed(scorer, "vlm")
    vlm.check(scorer)


class VllmScorer(Questioner):
    """In this process, on its part of the GPU if there is one, otherwise on the CPU."""

    def load(self) -> None:
        """Raises what vLLM raises where the model does not fit."""
        import torch

        cuda = torch.cuda.is_available()
        # The stage has bound this process to its share; vLLM counts in shares of a GPU too.
        part = torch.cuda.get_per_process_memory_fraction() if cuda else 0.0
        os.environ.update(vllm.environment(Share(num_cpus=torch.get_num_threads(), num_gpus=part)))
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # its engine stays in this process
        from vllm import LLM, SamplingParams

        self.sampling = SamplingParams(temperature=1.0, max_tokens=1, logprobs=TOP)
        self.engine = LLM(
            str(weights.locate(self.scorer.path or "")),
            revision=self.scorer.revision,
            tokenizer_revision=self.scorer.revision,
            dtype=str(weights.dtype(self.scorer.dtype, "cuda" if cuda else "cpu")).split(".")[-1],
            gpu_memory_utilization=min(part, vllm.WHOLE_GPU) or vllm.WHOLE_GPU,
            limit_mm_per_prompt={"image": 1},
            enforce_eager=not cuda,
            load_format="safetensors",  # a pickle would run whatever code it holds
        )

    def ask(self, images: np.ndarray, texts: list[str]) -> Answers:
        if not texts:
            return []
        chats = [_chat(image, text) for image, text in zip(images, texts, strict=True)]
        replies = self.engine.chat(chats, self.sampling, use_tqdm=False)
        return [_read(reply.outputs[0].logprobs[0]) for reply in replies]


def _read(first: dict[int, Any]) -> tuple[float | None, str | None]:
    """The answer in the likeliest first tokens."""
    said = [(token.decoded_token or "", math.exp(token.logprob)) for token in first.values()]
    return questions.of_tokens(said)


def _chat(image: np.ndarray, text: str) -> list[dict[str, Any]]:
    from PIL import Image

    shown = {"type": "image_pil", "image_pil": Image.fromarray(image)}
    return [{"role": "user", "content": [shown, {"type": "text", "text": text}]}]
