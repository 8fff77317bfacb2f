"""The vLLM engine: what it is told, and with vLLM installed the real engine on the CPU."""

from __future__ import annotations

import datetime
import os
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.command import imagepipe, run, summary
from helpers.configs import composed

from imagepipe.config import Share
from imagepipe.diffusion.limits import PromptLimit
from imagepipe.errors import RunFailed
from imagepipe.llm import make, vllm
from imagepipe.llm.answers import FALLBACKS
from imagepipe.llm.stage import stage
from imagepipe.stages.processor import ERROR, fold

needs_vllm = pytest.mark.skipif(
    find_spec("vllm") is None, reason="vLLM is not installed: make test-vllm"
)
# More tokens than the engine is given a context for, so that vLLM itself refuses the question.
TOO_LONG = "a cat wearing a red scarf, " * 20
GREEDY = ["llm=tiny_vllm", "llm.temperature=0", "llm.max_tokens=40"]


@pytest.mark.parametrize(
    ("gpus", "memory", "tensors", "backend"),
    [(0.6, 0.6, 1, "uni"), (0.25, 0.25, 1, "uni"), (1, 0.9, 1, "uni"), (2, 0.9, 2, "mp")],
)
def test_a_share_of_a_gpu_is_that_share_of_its_memory(
    gpus: float, memory: float, tensors: int, backend: str
) -> None:
    told = vllm.engine_kwargs(composed("llm=tiny_vllm").llm, Share(num_gpus=gpus))
    assert told["gpu_memory_utilization"] == memory
    assert told["tensor_parallel_size"] == tensors
    assert told["distributed_executor_backend"] == backend
    assert told["enable_prefix_caching"] is True
    assert told["enforce_eager"] is True  # of the preset


def test_shares_batches_and_restarts_reach_ray_data(ray_session: None) -> None:
    share = Share(0.3, 0.4, pool=2, batch_size=24, memory_gb=2, custom={"fast": 1, "none": 0})
    built = vllm.processor(composed("llm=tiny_vllm").llm, share)
    (engine,) = built.stages.values()
    told = engine.get_dataset_map_batches_kwargs(built.config.batch_size, built.DATA_COLUMN)
    assert engine.fn.__name__ == "llm"  # what Ray Data calls the operator
    assert (told["num_cpus"], told["num_gpus"], told["batch_size"]) == (0.3, 0.4, 24)
    assert (told["compute"].min_size, told["compute"].max_size) == (2, 2)
    assert (told["max_restarts"], told["max_task_retries"]) == (2, -1)
    assert (told["memory"], told["resources"]) == (2 << 30, {"fast": 1})
    assert told["runtime_env"]["env_vars"]["OMP_NUM_THREADS"] == "1"
    assert told["runtime_env"]["env_vars"]["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "40"
    assert "CUDA_VISIBLE_DEVICES" not in told["runtime_env"]["env_vars"]  # Ray's to set
    assert told["fn_constructor_kwargs"]["should_continue_on_error"] is True


@pytest.mark.parametrize(
    ("free", "told", "taken"),
    [
        (64000, 0.6, 0.6),
        (48000, 0.6, 0.59),  # some is missing: the contexts of the neighbours
        (30000, 0.6, 0.6),  # much is: vLLM will say so
        (48000, 0.5, 0.5),  # a person's own
    ],
)
def test_the_memory_of_an_engine_keeps_within_what_is_free(
    free: int, told: float, taken: float, tmp_path, monkeypatch
) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text(f'#!/bin/sh\n[ "$1" = --id=GPU-7 ] && echo "{free}, 80000"\n')
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-7")
    kwargs = {"gpu_memory_utilization": told, "dtype": "float16"}
    found = vllm.within_headroom(kwargs, Share(num_gpus=0.6))
    assert found == {"gpu_memory_utilization": taken, "dtype": "float16"}


LOG = """(EngineCore pid=7) INFO 11-26 Available KV cache memory: {} GiB
(EngineCore pid=7) Traceback (most recent call last):
(EngineCore pid=7)   File "/x.py", line 1, in check
{} {}
(EngineCore pid=7) ERROR 11-26 [core.py:1510] Exception: WorkerProc initialization failed.
RuntimeError: Engine core initialization failed. See root cause above.
"""
NO_ROOM = (
    "ValueError: Free memory on device cuda:0 (20.1/79.1 GiB) on startup is less than desired GPU "
    "memory utilization (0.3, 23.73 GiB)."
)


@pytest.mark.parametrize(
    ("free", "cause", "said"),
    [
        (
            "1.0",
            NO_ROOM,
            f"needed more than its share, resources.llm.num_gpus=0.3, while it loaded: {NO_ROOM}",
        ),
        (
            "-2.1",
            "ValueError: No available memory for the cache blocks. See https://docs.vllm.ai/ for",
            "No available memory for the cache blocks. It lacks 2.1 GiB before the first block.",
        ),
        ("1.0", "ImportError: no kernel", "stage llm: vLLM does not start: ImportError: no kernel"),
    ],
)
def test_an_engine_that_does_not_start_says_what_it_needed(free: str, cause: str, said: str):
    for where in ("(EngineCore pid=7)", "(Worker pid=8) ERROR 11-26 [multiproc_executor.py:953]"):
        log = LOG.format(free, where, cause)
        told = vllm.broken(Share(num_gpus=0.3), log, RuntimeError("see above"))
        assert isinstance(told, RunFailed)
        assert said in str(told)
    unknown = RuntimeError("see above")
    assert vllm.broken(Share(num_gpus=0.3), "INFO all is well", unknown) is unknown


def test_without_a_gpu_none_is_asked_for(ray_session: None) -> None:
    built = vllm.processor(composed("llm=tiny_vllm").llm, Share(num_cpus=0.6))
    (engine,) = built.stages.values()
    assert engine.map_batches_kwargs["num_cpus"] == 0.6
    assert not engine.map_batches_kwargs.get("num_gpus")
    assert engine.map_batches_kwargs["runtime_env"]["env_vars"]["CUDA_VISIBLE_DEVICES"] == ""


def test_a_seed_is_not_rounded_beside_a_failed_row(ray_session: None) -> None:
    """A null among numbers makes them floats on their way, which vLLM's engine dies of."""
    import ray

    config = composed("llm=tiny_vllm").llm
    seeds, stages = [2**62 + 1, 2**62 + 3], pa.array([None, "read"])
    columns = {"base_prompt": ["a cat", "a dog"], "seed": seeds}
    rows = pa.table({**columns, "failed_stage": stages, "failed_reason": stages})
    folded = fold(stage(config, limit=PromptLimit), rows)
    built = vllm.processor(config, Share(num_cpus=0.3))
    data = ray.data.from_arrow(folded).map(built.preprocess)
    (batch,) = data.iter_batches(batch_size=None, batch_format="numpy")
    good, bad = batch[built.DATA_COLUMN]
    assert good["sampling_params"]["seed"] == seeds[0]
    assert type(good["sampling_params"]["seed"]) is int
    assert bad[ERROR] == "no question"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vllm")
    animals = ["cat", "dog", "owl", "fox", "bear", "frog", "lion", "pig", "duck", "mouse"]
    what: list[str | None] = [f"a {animal} wearing a red scarf" for animal in animals]
    what += [None, TOO_LONG]
    rows = len(what)
    when = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    columns = {
        "id": pa.array([f"{i:02d}" for i in range(rows)]),
        "what": pa.array(what, pa.string()),
        "big": pa.array([2**64 - 1 - i for i in range(rows)], pa.uint64()),
        "when": pa.array([when, *[None] * (rows - 1)], pa.timestamp("us", "UTC")),
    }
    pq.write_table(pa.table(columns), folder / "t.parquet")
    return run(
        folder,
        "out",
        *GREEDY,
        "+llm.engine_kwargs.max_model_len=100",
        *("model=noop", "tracking=none", "ray.start_timeout_s=800"),
        *("resources=cpu", "resources.llm.num_cpus=0.5", "resources.model.pool=1"),
        *("dataset=parquet", "dataset.path=t.parquet", 'dataset.prompt="{what}"'),
    )


@pytest.mark.vllm
@needs_vllm
class TestEngine:
    """With vLLM: one run through the command, and what it left."""

    def test_vllm_takes_what_it_is_told(self) -> None:
        from vllm import AsyncEngineArgs, SamplingParams

        config = composed("llm=tiny_vllm", "llm.temperature=0.3", "llm.top_p=0.5").llm
        told = AsyncEngineArgs(
            model="m", **vllm.engine_kwargs(config, Share(num_cpus=1, num_gpus=0.6))
        )
        assert told.gpu_memory_utilization == 0.6
        sampled = SamplingParams(**vllm.sampling(config), seed=2**63 - 1)
        assert (sampled.temperature, sampled.top_p, sampled.max_tokens) == (0.3, 0.5, 64)

    def test_every_row_is_drawn_or_counted(self, out: Path) -> None:
        said = summary(out)
        assert (said["rows_read"], said["written"], said["failed"]) == (12, 10, 2)
        failed = pq.read_table(out / "failed.parquet").to_pylist()
        stages = {row["id"]: (row["stage"], row["reason"]) for row in failed}
        assert stages["10"] == ("prompt", "column 'what' is empty")
        assert stages["11"][0] == "llm"
        assert "100" in stages["11"][1]  # vLLM's own words name the context's length
        assert len(list((out / "images").glob("*.png"))) == 10

    def test_answers_agree_with_those_of_transformers(self, out: Path) -> None:
        rows = pq.read_table(out / "table").to_pylist()
        other = make(composed(*GREEDY, "llm.engine=transformers").llm)
        other.load()
        for row in rows:
            asked = [row["base_prompt"]], [row["season"]], [row["seed"]]
            (answer,) = other.enhance(*asked)
            used = row["llm_fallback"] is None
            assert row["prompt"] == (answer.text if used else row["base_prompt"])
            assert used or row["llm_fallback"] in FALLBACKS
            tokens = row["llm_tokens_in"], row["llm_tokens_out"]
            assert tokens == (answer.tokens_in, answer.tokens_out)
        assert sum(row["llm_fallback"] is None for row in rows) >= 5

    def test_columns_are_those_of_any_other_engine(self, out: Path) -> None:
        schema = pq.read_schema(sorted((out / "table").iterdir())[0])
        assert schema.names[:4] == ["id", "what", "big", "when"]
        assert schema.field("big").type == pa.uint64()
        assert schema.field("when").type == pa.timestamp("us", "UTC")
        mine = ["season", "prompt", "llm_fallback", "llm_answer"]
        mine += ["llm_tokens_in", "llm_tokens_out", "llm_s"]
        assert schema.names[6:13] == mine
        assert not [name for name in schema.names if name.startswith(("_", "imagepipe", "llm_te"))]

    def test_tokens_are_counted(self, out: Path) -> None:
        said, rows = summary(out)["llm"], pq.read_table(out / "table").to_pylist()
        assert said["engine"] == "vllm"
        for name in ("tokens_in", "tokens_out"):
            assert said[name] == sum(row[f"llm_{name}"] for row in rows) > 0
        assert summary(out)["stages"]["llm"]["rows"] == 12


@pytest.mark.vllm
@needs_vllm
def test_an_engine_that_needs_more_than_its_share_says_how_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_ALLOW_LONG_MAX_MODEL_LEN", "1")
    done = imagepipe(
        tmp_path,
        *("llm=tiny_vllm", "+llm.engine_kwargs.max_model_len=2000000", "limit=3"),
        *("model=noop", "scorer=none", "tracking=none", "ray.start_timeout_s=800"),
        *("resources=cpu", "resources.llm.num_cpus=0.5", "resources.model.pool=1"),
    )
    assert done.returncode == 1
    assert (
        "imagepipe: stage llm needed more than its share, VLLM_CPU_KVCACHE_SPACE=1" in done.stderr
    )
    assert "15.26 GiB KV cache is needed" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
