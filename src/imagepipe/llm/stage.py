"""The stage that enriches prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pkgutil import resolve_name

import pyarrow as pa

from imagepipe.config import LLM
from imagepipe.llm import Answer, Enhancer, recipe
from imagepipe.llm.answers import Limit, fallback
from imagepipe.prompts.seasons import season_of
from imagepipe.stages import engines
from imagepipe.stages.processor import ProcessorStage
from imagepipe.stages.stage import FAILED_REASON, Columns, Stage, Worker

READS = ("base_prompt", "seed")
OUT_OF_MEMORY_HINT = "ask for less (llm.max_tokens), or on more of a GPU (resources.llm.num_gpus)"
ADDS = pa.schema(
    [
        ("season", pa.string()),
        ("prompt", pa.string()),
        ("llm_fallback", pa.string()),
        ("llm_tokens_in", pa.int32()),
        ("llm_tokens_out", pa.int32()),
    ]
)


def stage(config: LLM, limit: Callable[[], Limit]) -> Stage:
    """Adds `prompt`, the enriched `base_prompt`, and the `season` that the row's seed drew.

    An answer that is not worth drawing leaves the base prompt, and `llm_fallback` says why (one of
    `answers.FALLBACKS`; null: the answer is used). Without an LLM the prompt is the base prompt
    and the other columns are null. `limit` is a recipe too: it reads tokenizers.
    """
    engine = engines.of("llm", config)
    if not engine.works:
        return Stage("llm", READS, ADDS, _unchanged)
    if engine.processor:
        parts = resolve_name(engine.made_by)
        return ProcessorStage(
            "llm",
            READS,
            ADDS,
            recipe=partial(_reader, parts.answers, limit),
            questions=partial(parts.questions, config),
            asks=parts.ASKS,
            replies=parts.REPLIES,
            processor=partial(parts.processor, config),
        )
    return Stage(
        "llm",
        READS,
        ADDS,
        partial(_enhancer, recipe(config), limit),
        out_of_memory_hint=OUT_OF_MEMORY_HINT,
    )


def _unchanged() -> Worker:
    def work(rows: pa.Table) -> Columns:
        nothing = dict.fromkeys(ADDS.names, [None] * rows.num_rows)
        return {**nothing, "prompt": rows["base_prompt"]}

    return work


def _enhancer(make: Callable[[], Enhancer], limit: Callable[[], Limit]) -> Worker:
    """The engine and its weights live in the stage's own process."""
    enhancer, limited = make(), limit()
    enhancer.load()

    def work(rows: pa.Table) -> Columns:
        prompts, seeds = rows["base_prompt"].to_pylist(), rows["seed"].to_pylist()
        seasons = [season_of(seed) for seed in seeds]
        return _columns(rows, enhancer.enhance(prompts, seasons, seeds), limited)

    return work


def _reader(answers: Callable[[pa.Table], list[Answer]], limit: Callable[[], Limit]) -> Worker:
    """The engine has answered before; only its replies are read here."""
    limited = limit()

    def work(rows: pa.Table) -> Columns:
        return _columns(rows, answers(rows), limited)

    return work


def _columns(rows: pa.Table, answers: Sequence[Answer], limit: Limit) -> Columns:
    bases = rows["base_prompt"].to_pylist()
    pairs = list(zip(answers, bases, strict=True))
    reasons = [None if a.error else fallback(a.text, base, limit) for a, base in pairs]
    return {
        "season": [season_of(seed) for seed in rows["seed"].to_pylist()],
        "prompt": [
            base if why else answer.text for (answer, base), why in zip(pairs, reasons, strict=True)
        ],
        "llm_fallback": reasons,
        "llm_tokens_in": [answer.tokens_in for answer in answers],
        "llm_tokens_out": [answer.tokens_out for answer in answers],
        FAILED_REASON: [answer.error for answer in answers],
    }
