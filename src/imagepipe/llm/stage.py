"""The stage that enriches prompts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pyarrow as pa

from imagepipe.config import LLM
from imagepipe.llm import make
from imagepipe.seasons import season_of
from imagepipe.stage import FAILED_REASON, Columns, Stage

ADDS = pa.schema(
    [
        ("season", pa.string()),
        ("prompt", pa.string()),
        ("llm_tokens_in", pa.int32()),
        ("llm_tokens_out", pa.int32()),
    ]
)


def stage(config: LLM) -> Stage:
    """Adds `prompt`, the enriched `base_prompt`, and the `season` that the row's seed drew.

    Without an LLM the prompt is the base prompt and the season null. An empty answer fails its
    row.
    """
    recipe = _unchanged if config.engine == "none" else partial(_worker, config)
    return Stage("llm", reads=("base_prompt", "seed"), adds=ADDS, recipe=recipe)


def _unchanged() -> Callable[[pa.Table], Columns]:
    def work(rows: pa.Table) -> Columns:
        nothing = [None] * rows.num_rows
        return {
            "season": nothing,
            "prompt": rows["base_prompt"],
            "llm_tokens_in": nothing,
            "llm_tokens_out": nothing,
        }

    return work


def _worker(config: LLM) -> Callable[[pa.Table], Columns]:
    enhancer = make(config)
    enhancer.load()

    def work(rows: pa.Table) -> Columns:
        prompts, seeds = rows["base_prompt"].to_pylist(), rows["seed"].to_pylist()
        seasons = [season_of(seed) for seed in seeds]
        answers = enhancer.enhance(prompts, seasons, seeds)
        return {
            "season": seasons,
            "prompt": [answer.text for answer in answers],
            "llm_tokens_in": [answer.tokens_in for answer in answers],
            "llm_tokens_out": [answer.tokens_out for answer in answers],
            FAILED_REASON: [None if a.text else "the LLM's answer is empty" for a in answers],
        }

    return work
