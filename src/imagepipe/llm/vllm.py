"""Answers from vLLM, through Ray Data's own processor (`ray.data.llm`).

Batches overlap inside the engine (continuous batching), and the system prompt that all requests
begin with is computed once (prefix caching).
"""

from __future__ import annotations

import logging
import math
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from imagepipe.compat import ray_data
from imagepipe.config import LLM, Share
from imagepipe.errors import RunFailed, UserError
from imagepipe.llm import Answer
from imagepipe.prompts.seasons import season_of
from imagepipe.resources.process import alone_on_gpus, computing, ray_resources
from imagepipe.stages.engine import Section
from imagepipe.stages.processor import ERROR, LIGHT_CPUS, PAST
from imagepipe.stages.stage import Columns, Worker
from imagepipe.stages.weights import locate

if TYPE_CHECKING:
    from ray.data.llm import Processor

# The seed as text: beside a null, a processor would make a number a float and round it.
ASKS = pa.schema(
    [
        ("llm_question", pa.list_(pa.int32())),
        ("llm_ends", pa.list_(pa.int32())),  # the tokens that end an answer
        ("llm_seed", pa.string()),
    ]
)
REPLIES = pa.schema(
    [
        ("llm_text", pa.string()),
        ("llm_in", pa.int32()),
        ("llm_out", pa.int32()),
        ("llm_finish", pa.string()),
        ("llm_s", pa.float32()),  # of the request, which shares the engine with others
    ]
)
WHOLE_GPU = 0.9  # vLLM's own default: the rest is for CUDA and what else is there
# All that a process of the embedded LLM takes is 0.73 GiB (benchmarks/results/gpu_shares.json).
CONTEXT_MIB = 700
MOST_MISSING = 0.05  # of a GPU, to be made up for by a smaller engine


def check(config: LLM) -> None:
    """Raise UserError if vLLM is not installed."""
    check_installed(config, "transformers")


def check_installed(section: Section, other: str) -> None:
    """As `check`, of any section of the configuration; `other` is an engine that does the same."""
    if not find_spec("vllm"):
        raise UserError(
            field=f"{section.section}.engine",
            value=section.engine,
            problem="vLLM is not installed here",
            remedy="On Linux with a GPU: make vllm, or pip install 'imagepipe[vllm]'. "
            f"Or use {section.section}.engine={other}.",
        )


def questions(config: LLM) -> Worker:
    """The questions as tokens, so that they are the same ones as in transformers.

    Ray Data's own template and tokenizer stages would put a second begin-of-text token before
    some models' questions, know no revision, and refuse what is too long for the context.
    """
    from imagepipe.llm.questions import Questions

    asked = Questions(config)

    def work(rows: pa.Table) -> Columns:
        seeds = rows["seed"].to_pylist()
        prompts = zip(rows["base_prompt"].to_pylist(), map(season_of, seeds), strict=True)
        return {
            "llm_question": [asked.ids(*prompt) for prompt in prompts],
            "llm_ends": [asked.ends] * len(seeds),
            "llm_seed": [str(seed) for seed in seeds],
        }

    return work


def answers(rows: pa.Table) -> list[Answer]:
    """What the processor replied to `rows`, which have the columns of REPLIES and ERROR."""
    names = ("llm_text", "llm_in", "llm_out", ERROR, "llm_finish")
    replies = zip(*(rows[name].to_pylist() for name in names), strict=True)
    return [
        Answer((text or "").strip(), tokens_in, tokens_out, error or None, finish)
        for text, tokens_in, tokens_out, error, finish in replies
    ]


def processor(config: LLM, share: Share) -> Processor:
    """From rows of ASKS to rows of REPLIES. Needs a Ray session, and loads nothing here."""
    from ray.data.llm import build_processor, vLLMEngineProcessorConfig

    light = {"num_cpus": LIGHT_CPUS}
    # No CPU at all would be left out, and Ray's default is a whole one.
    bundle = {"CPU": share.num_cpus or 0.01, "GPU": share.num_gpus}
    with _quiet():
        built = build_processor(
            vLLMEngineProcessorConfig(
                model_source=str(locate(config.path or "")),
                engine_kwargs=engine_kwargs(config, share),
                batch_size=share.batch_size,
                concurrency=(share.pool, share.pool_max or share.pool),
                placement_group_config={"bundles": [bundle]},
                runtime_env={"env_vars": environment(share)},
                should_continue_on_error=True,
                log_engine_metrics=False,
                chat_template_stage=False,
                tokenize_stage=False,
                detokenize_stage=False,
            ),
            preprocess=partial(_request, sampling(config)),
            postprocess=partial(_reply, config.max_tokens),
            preprocess_map_kwargs=light,
            postprocess_map_kwargs=light,
        )
    # The engine's stage gets our name and limits.
    named = partial(_named, share=share)
    ray_data.change_stages(built, named, **ray_resources(share), **ray_data.restarts())
    return built


def _named(engine: type, share: Share) -> type:
    """`engine` under the stage's name; those that share a GPU start one after another."""

    def start(self: Any, *args: Any, **kwargs: Any) -> None:
        before, shared = (_logged(1), _logged(2)), 0 < share.num_gpus < 1
        try:
            with alone_on_gpus() if shared else nullcontext():
                if shared:
                    kwargs["engine_kwargs"] = within_headroom(kwargs["engine_kwargs"], share)
                engine.__init__(self, *args, **kwargs)  # type: ignore[misc]
        except RuntimeError as error:
            said = [_logged(number)[len(old) :] for number, old in zip((1, 2), before, strict=True)]
            raise broken(share, "\n".join(said), error) from error

    return type("llm", (engine,), {"__init__": start})


def within_headroom(told: dict[str, Any], share: Share) -> dict[str, Any]:
    """The engine's arguments, its memory a little below `share` where so much is not free now.

    The CUDA contexts of all processes on a GPU stand in nobody's share, and vLLM does not start
    where less is free than it is told to take. Where much is missing another program holds it: then
    vLLM should refuse. What the user chose stays.
    """
    smi = shutil.which("nvidia-smi")
    if smi is None or told["gpu_memory_utilization"] != share.num_gpus:
        return told
    gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
    query = [smi, f"--id={gpu}", "--query-gpu=memory.free,memory.total"]
    done = subprocess.run(
        [*query, "--format=csv,noheader,nounits"], capture_output=True, text=True, check=True
    )
    free, whole = map(float, done.stdout.split(","))
    room = math.floor(100 * (free - CONTEXT_MIB) / whole) / 100
    if share.num_gpus - MOST_MISSING <= room < share.num_gpus:
        return {**told, "gpu_memory_utilization": room}
    return told


def broken(share: Share, log: str, error: Exception) -> Exception:
    """What to tell a person where the engine did not start, of what it wrote to its `log`.

    vLLM works in a process of its own, and its error only says that the cause was logged there.
    """
    # After a process's name, or a time and a place: (EngineCore pid=7) ERROR 11-26 [core.py:1]
    causes = re.findall(r"(?:^|[\])] )([\w.]*(?:Error|Exception): .+)$", log, re.MULTILINE)
    causes = [cause for cause in causes if "initialization failed" not in cause]
    if not causes:
        return error
    said = causes[-1].partition(" See https:")[0]
    short = re.findall(r"Available KV cache memory: -([\d.]+ GiB)", log)
    if short:
        said += f" It lacks {short[-1]} before the first block."
    if "memory" not in said.lower():
        return RunFailed(f"stage llm: vLLM does not start: {said}")
    key = "resources.llm.num_gpus" if share.num_gpus else "VLLM_CPU_KVCACHE_SPACE"
    value = f"{share.num_gpus:g}" if share.num_gpus else environment(share)[key]
    return RunFailed(
        f"stage llm needed more than its share, {key}={value}, while it loaded: {said} "
        "Give it a larger share, or ask for less: a lower llm.max_model_len."
    )


def _logged(number: int) -> str:
    """What this process and its children wrote to a stream that Ray has put into a file."""
    if not stat.S_ISREG(os.fstat(number).st_mode):
        return ""
    with open(f"/proc/self/fd/{number}", encoding="utf-8", errors="replace") as log:
        return log.read()


@contextmanager
def _quiet() -> Iterator[None]:
    """Building logs, and calls `ray.init` again, which puts Ray's own log back to its default."""
    ray = logging.getLogger("ray")
    level = ray.level
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        ray.setLevel(level)


def sampling(config: LLM) -> dict[str, Any]:
    """vLLM's SamplingParams, but for the row's seed."""
    return {
        "temperature": config.temperature,
        "top_p": config.top_p,
        "max_tokens": config.max_tokens,
        "stop": config.stop,
        # They say what is thought, and where a turn ends that the model knows no end of.
        "skip_special_tokens": False,
    }


def engine_kwargs(config: LLM, share: Share) -> dict[str, Any]:
    """vLLM's engine arguments; `llm.engine_kwargs` go before what is worked out here.

    A share of a GPU is that share of its memory; several GPUs split the model's tensors.
    """
    gpus = share.num_gpus
    return {
        "revision": config.revision,
        "tokenizer_revision": config.revision,
        "dtype": config.dtype,
        "max_model_len": config.max_model_len,
        "gpu_memory_utilization": min(gpus, WHOLE_GPU) if gpus else WHOLE_GPU,
        "tensor_parallel_size": max(1, int(gpus)),
        "distributed_executor_backend": "mp" if gpus > 1 else "uni",
        "enable_prefix_caching": True,
        "load_format": "safetensors",  # a pickle would run whatever code it holds
        **config.engine_kwargs,
    }


def environment(share: Share) -> dict[str, str]:
    """Variables of the engine's process, which hold it to its CPUs and its part of a GPU."""
    return {
        **computing(share),
        "OMP_NUM_THREADS": str(max(1, round(share.num_cpus))),
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # else every engine takes the same first cores
        "VLLM_CPU_KVCACHE_SPACE": os.environ.get("VLLM_CPU_KVCACHE_SPACE", "1"),  # GiB
        "VLLM_NO_USAGE_STATS": "1",
    }


def _request(sampled: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """What the engine takes. Rows that failed before come here too, and have no question."""
    ends = row["llm_ends"]
    own = {"seed": int(row["llm_seed"] or 0), "stop_token_ids": [] if ends is None else list(ends)}
    return {"tokenized_prompt": row["llm_question"], "sampling_params": {**sampled, **own}}


def _reply(max_tokens: int, row: dict[str, Any]) -> dict[str, Any]:
    """Ray Data's processor does not hand on why vLLM ended an answer; its tokens say it."""
    full = row["num_generated_tokens"] >= max_tokens
    ended = not full or row["generated_tokens"][-1] in list(row["llm_ends"])
    return {
        "llm_finish": "stop" if ended else "length",
        PAST: row[PAST],
        "llm_text": row["generated_text"],
        "llm_in": row["num_input_tokens"],
        "llm_out": row["num_generated_tokens"],
        "llm_s": row["time_taken_llm"],
    }
