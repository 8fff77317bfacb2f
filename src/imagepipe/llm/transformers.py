"""Answers from a causal language model in transformers, sampled independently for each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imagepipe.llm import Answer
from imagepipe.llm.questions import Questions
from imagepipe.stages import loading

if TYPE_CHECKING:
    import torch

    from imagepipe.config import LLM


class GumbelNoise:
    """A logits processor that turns greedy decoding into sampling, a row at a time.

    For Gumbel noise G, argmax(log p + G) is an exact sample of p (the Gumbel-max trick: Gumbel
    1954; Maddison, Tarlow and Minka 2014, arXiv:1411.0030), and G = -log E for E ~ Exp(1). Each
    row draws from its own generator, on the CPU whatever the model's device, so an answer does
    not depend on the rows beside it, which `torch.multinomial` on the batch would not give.
    """

    def __init__(self, seeds: list[int]) -> None:
        import torch

        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        import torch

        rows = [torch.empty(scores.shape[1]).exponential_(generator=g) for g in self.generators]
        noise = torch.stack(rows).log().neg()
        return scores.float() + noise.to(scores.device)


class TransformersEnhancer:
    """`AutoModelForCausalLM` on the GPU if there is one, otherwise on the CPU.

    Temperature 0 answers greedily; above it, each row is sampled from its own seed.
    """

    def __init__(self, config: LLM) -> None:
        self.config = config
        self.tokenizer: Any = None
        self.model: Any = None

    def load(self) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        self.questions = Questions(self.config)
        self.tokenizer = self.questions.tokenizer
        device = "cuda" if torch.cuda.is_available() else "cpu"
        # On the CPU fp16 is far slower than fp32, and "auto" would keep the file's fp16.
        on_cpu = device == "cpu" and self.config.dtype == "auto"
        model = loading.load(
            "llm.path",
            self.config.path or "",
            AutoModelForCausalLM,
            revision=self.config.revision,
            dtype="float32" if on_cpu else self.config.dtype,
        )
        loading.refuse_tokens("llm.path", self.config.path, self.tokenizer, model)
        self.model = model.to(device).eval()
        self.model.generation_config = self._generation()

    def enhance(self, prompts: list[str], seasons: list[str], seeds: list[int]) -> list[Answer]:
        import torch

        questions = [self.questions.ids(*row) for row in zip(prompts, seasons, strict=True)]
        batch = self.tokenizer.pad({"input_ids": questions}, return_tensors="pt")
        batch = batch.to(self.model.device)
        with torch.inference_mode():
            out = self.model.generate(
                **batch,
                generation_config=self.model.generation_config,
                logits_processor=self._processors(seeds),
                **self._stops(),
            )
        answers = out[:, batch["input_ids"].shape[1] :].tolist()
        return [self._answer(q, a) for q, a in zip(questions, answers, strict=True)]

    def _generation(self) -> Any:
        """Of the model's own settings only where an answer ends.

        transformers fills in what is not set from the model's, such as a repetition penalty.
        """
        from transformers import GenerationConfig

        return GenerationConfig(
            do_sample=False,
            max_new_tokens=self.config.max_tokens,
            eos_token_id=self.questions.ends or None,
            pad_token_id=self.tokenizer.pad_token_id,
        )

    def _processors(self, seeds: list[int]) -> list[Any]:
        from transformers import TemperatureLogitsWarper, TopPLogitsWarper

        if self.config.temperature == 0:
            return []
        # A warper at top_p = 1 would still sort the whole vocabulary.
        nucleus = [TopPLogitsWarper(self.config.top_p)] if self.config.top_p < 1 else []
        return [TemperatureLogitsWarper(self.config.temperature), *nucleus, GumbelNoise(seeds)]

    def _stops(self) -> dict[str, Any]:
        texts = self.config.stop
        return {"stop_strings": texts, "tokenizer": self.tokenizer} if texts else {}

    def _answer(self, question: list[int], answer: list[int]) -> Answer:
        """Tokens that are no text stay in it: they say what is thought, and where a turn ends."""
        ends = {*self.questions.ends, self.tokenizer.pad_token_id}
        length = next((i for i, token in enumerate(answer) if token in ends), len(answer))
        text = self.tokenizer.decode(answer[:length])
        stopped = length < len(answer) or any(stop in text for stop in self.config.stop)
        # What ended at one of llm.stop is followed by padding, of which nothing was generated.
        ended = length < len(answer) and answer[length] in self.questions.ends
        return Answer(
            text.strip(),
            len(question),
            length + ended,
            finish_reason="stop" if stopped else "length",
        )
