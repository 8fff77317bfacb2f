"""The stage that enriches prompts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pkgutil import resolve_name

import pyarrow as pa

from imagepipe.config import LLM
from imagepipe.llm import Answer, Enhancer, recipe
from imagepipe.llm.answers import Asked, Cleaned, Limit, clean
from imagepipe.llm.chat import messages
from imagepipe.prompts.seasons import season_of
from imagepipe.stages import engines
from imagepipe.stages.processor import ProcessorStage
from imagepipe.stages.stage import FAILED_REASON, Columns, Stage, Worker

log = logging.getLogger(__name__)

READS = ("base_prompt", "seed")
OUT_OF_MEMORY_HINT = "ask for less (llm.max_tokens), or on more of a GPU (resources.llm.num_gpus)"
ADDS = pa.schema(
    [
        ("season", pa.string()),
        ("prompt", pa.string()),
        ("llm_fallback", pa.string()),
        ("llm_answer", pa.string()),
        ("llm_tokens_in", pa.int32()),
        ("llm_tokens_out", pa.int32()),
    ]
)


def stage(config: LLM, limit: Callable[[], Limit]) -> Stage:
    """Adds `prompt`, the enriched `base_prompt`, and the `season` that the row's seed drew.

    An answer that is not worth drawing leaves the base prompt, and `llm_fallback` says why (one of
    `answers.FALLBACKS`; null: the answer is used). `llm_answer` is what the model said, null if
    it is drawn as it came. Without an LLM the prompt is the base prompt and the other columns are
    null. `limit` is a recipe too: it reads tokenizers.
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
            recipe=partial(_reader, parts.answers, config, limit),
            questions=partial(parts.questions, config),
            asks=parts.ASKS,
            replies=parts.REPLIES,
            processor=partial(parts.processor, config),
        )
    work = partial(_enhancer, recipe(config), config, limit)
    return Stage("llm", READS, ADDS, work, out_of_memory_hint=OUT_OF_MEMORY_HINT)


def _unchanged() -> Worker:
    def work(rows: pa.Table) -> Columns:
        nothing = dict.fromkeys(ADDS.names, [None] * rows.num_rows)
        return {**nothing, "prompt": rows["base_prompt"]}

    return work


def _enhancer(make: Callable[[], Enhancer], config: LLM, limit: Callable[[], Limit]) -> Worker:
    """The engine and its weights live in the stage's own process."""
    enhancer, limited = make(), limit()
    enhancer.load()

    def work(rows: pa.Table) -> Columns:
        prompts, seeds = rows["base_prompt"].to_pylist(), rows["seed"].to_pylist()
        seasons = [season_of(seed) for seed in seeds]
        return columns_of(rows, enhancer.enhance(prompts, seasons, seeds), config, limited)

    return work


def _reader(
    answers: Callable[[pa.Table], list[Answer]], config: LLM, limit: Callable[[], Limit]
) -> Worker:
    """The engine has answered before; only its replies are read here."""
    limited = limit()

    def work(rows: pa.Table) -> Columns:
        return columns_of(rows, answers(rows), config, limited)

    return work


def columns_of(rows: pa.Table, answers: Sequence[Answer], config: LLM, limit: Limit) -> Columns:
    bases = rows["base_prompt"].to_pylist()
    seasons = [season_of(seed) for seed in rows["seed"].to_pylist()]
    asked = [_asked(config, *row) for row in zip(bases, seasons, strict=True)]
    read = [_read(*row, limit, config.stop) for row in zip(answers, asked, strict=True)]
    return {
        "season": seasons,
        "prompt": [cleaned.prompt for cleaned, _ in read],
        "llm_fallback": [cleaned.fallback for cleaned, _ in read],
        "llm_answer": [cleaned.answer for cleaned, _ in read],
        "llm_tokens_in": [_count(answer.tokens_in) for answer in answers],
        "llm_tokens_out": [_count(answer.tokens_out) for answer in answers],
        FAILED_REASON: [error for _, error in read],
    }


def _asked(config: LLM, base_prompt: str, season: str) -> Asked:
    question = messages("", config.user, base_prompt, season)[0]["content"]
    return Asked(base_prompt, question, config.system, config.user.partition("{")[0])


def _read(
    answer: Answer, asked: Asked, limit: Limit, stop: Sequence[str]
) -> tuple[Cleaned, str | None]:
    """What to draw, and why the row fails. One odd answer must not have its batch asked again."""
    if answer.error:
        return Cleaned(asked.base_prompt), answer.error
    try:
        return clean(answer, asked, limit, stop), None
    except Exception as error:
        log.debug("an answer cannot be read", exc_info=True)
        return Cleaned(asked.base_prompt), f"{type(error).__name__}: {error}"


def _count(tokens: object) -> int | None:
    """A count as servers tell it; null if that is no whole number."""
    whole = isinstance(tokens, int) or (isinstance(tokens, float) and tokens.is_integer())
    return int(tokens) if whole and 0 <= tokens < 1 << 31 else None  # type: ignore[call-overload, operator]
