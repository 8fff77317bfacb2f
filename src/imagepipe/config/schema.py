"""The typed shape of a run: what each configuration key means, and the checks across keys.

The dataclasses are the schema that Hydra validates `conf/` and the command line against. This is
the only module that reads OmegaConf; everything else takes these dataclasses.
"""

from __future__ import annotations

import copy
import difflib
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from importlib.util import find_spec
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf

from imagepipe.config.secrets import HIDDEN, SECRET
from imagepipe.errors import UserError

EMBEDDED = "asset:"  # how the path of a model that ships with imagepipe begins
MOST_SAMPLES = 8  # rows whose pictures MLflow shows of every run, the same in each
NOT_GIVEN = "(not given)"
DTYPES = ("auto", "float32", "float16", "bfloat16")
# The keys of variables, and where one that holds a secret is set instead.
VARIABLES = {
    "ray.runtime_env.env_vars.": "Set it in the environment of the nodes.",
    "hydra.job.env_set.": "Set it in the environment of the command.",
}
LLM_ENGINES = ("auto", "vllm", "transformers", "openai", "template", "custom", "none")


@dataclass
class Join:
    """A second table, looked up by key. `path` null: no join."""

    path: Any = None  # one file, folder or URL, or a list of them
    format: str | None = None  # csv, parquet or jsonl; null: the dataset's own
    on: Any = None  # the key column or a list of them, of the same name on both sides
    how: str = "inner"  # inner, left or anti
    method: str = "auto"  # broadcast (right side in memory), shuffle (Ray Data's join), auto


@dataclass
class Dataset:
    """The table of things to draw, one picture (or `images_per_prompt`) for each row."""

    name: str = MISSING
    path: Any = MISSING
    format: str = MISSING
    id: str = MISSING  # the column that names a row; unique, and the picture's file name
    prompt: str = MISSING  # template over the columns: "{animal} wearing a {outfit}"
    join: Join = field(default_factory=Join)
    more_joins: list[Join] = field(default_factory=list)  # further tables, joined in turn
    look_through_rows: int = 2_000_000  # up to this many ids are checked before the run starts


@dataclass
class LLM:
    """Who enriches the base prompt. `engine=none` leaves it as it is."""

    name: str = MISSING
    engine: str = MISSING  # auto: vllm where it is installed, else transformers
    path: str | None = None  # "asset:NAME", a local folder, a hub id, or a server's model
    revision: str | None = None
    system: str = ""
    user: str = "{prompt}"  # what the model is asked; knows {prompt} and {season}
    temperature: float = 0.8
    top_p: float = 1.0
    max_tokens: int = 64
    max_model_len: int | None = None  # tokens of question and answer; null: the model's own
    chat_template_kwargs: dict[str, Any] = field(default_factory=dict)  # enable_thinking: false
    dtype: str = "auto"
    engine_kwargs: dict[str, Any] = field(default_factory=dict)  # vllm: its engine's arguments
    base_url: str | None = None  # openai: the server's address, "http://host:8000/v1"
    api_key_env: str | None = None  # openai: the *name* of the variable that holds the key
    timeout_s: float = 60.0  # openai: for one request
    max_retries: int = 5  # openai: of what may pass, with growing waits
    requests_per_minute: float | None = None  # openai: a rate limit; null: none
    _target_: str | None = None  # engine=custom: a class of your own, package.module.Class
    options: dict[str, Any] = field(default_factory=dict)  # for it to read


@dataclass
class Lora:
    """Trained changes to a diffusion model, added with strength `weight`."""

    path: str = MISSING  # a .safetensors file, a folder, or a hub id
    weight_name: str | None = None  # the file, where a folder or a hub id holds several
    revision: str | None = None
    weight: float = 1.0


@dataclass
class Quantization:
    """Weights in fewer bits: the arguments of diffusers' `PipelineQuantizationConfig`."""

    quant_backend: str | None = (
        None  # bitsandbytes_4bit, bitsandbytes_8bit, torchao, ...; null: none
    )
    quant_kwargs: dict[str, Any] = field(default_factory=dict)
    components_to_quantize: list[str] = field(default_factory=list)  # empty: all


@dataclass
class Model:
    """The diffusion model and how it samples. Options are called as in diffusers."""

    name: str = MISSING
    engine: str = MISSING
    path: str | None = None  # "asset:NAME", a local folder, or a hub id
    revision: str | None = None
    variant: str | None = None  # weight file variant on the hub, such as fp16
    weights: str = "trained"  # random: the same architecture, measured without a download
    licence: str | None = None
    non_commercial: bool = False  # shown before every run
    weights_gb: float | None = None  # GB (1e9 bytes) in its dtype; drawing needs some more
    steps: int = 4
    guidance: float = 0.0
    negative_prompt: str | None = None
    max_sequence_length: int | None = None  # tokens of the prompt; null: the pipeline's own
    width: int = 512
    height: int = 512
    dtype: str = "auto"  # auto: float32 on CPU, float16 on a GPU
    scheduler: str | None = None  # a diffusers scheduler class; null: the model's own
    scheduler_config: dict[str, Any] = field(default_factory=dict)  # changes to its settings
    images_per_prompt: int = 1
    loras: list[Lora] = field(default_factory=list)
    vae: str | None = None  # another decoder, such as an AutoencoderTiny: a folder or a hub id
    vae_revision: str | None = None
    vae_slicing: bool = False  # decodes picture by picture: less memory
    vae_tiling: bool = False  # decodes tile by tile: less memory for large pictures
    channels_last: bool = False
    compile: str | None = None  # a backend of torch.compile, such as inductor; null: not compiled
    compile_whole: bool = False  # denoiser and decoder, not only the blocks that repeat: minutes
    attention_backend: str | None = None  # native, flash, sage, ...; null: diffusers' own
    offload: str = "none"  # what is not at work waits in CPU memory: model, sequential
    quantization: Quantization = field(default_factory=Quantization)
    use_safetensors: bool = True  # false: pickled weights too, which can run any code
    trust_remote_code: bool = False  # true: runs code that comes with the model
    _target_: str | None = None  # engine=custom: a class of your own, package.module.Class
    options: dict[str, Any] = field(default_factory=dict)  # for it to read


@dataclass
class Scorer:
    """Who judges the finished pictures. `engine=auto`: the embedded scorer for embedded models."""

    name: str = MISSING
    engine: str = MISSING
    path: str | None = None  # "asset:NAME", a local folder, or a hub id
    revision: str | None = None
    processor: str | None = None  # where the processor is, for a model that comes without
    dtype: str = "auto"  # auto: float32 on CPU, float16 on a GPU
    _target_: str | None = None  # engine=custom: a class of your own, package.module.Class
    options: dict[str, Any] = field(default_factory=dict)  # for it to read


@dataclass
class Share:
    """What one stage may use: each of its `pool` processes gets this share of CPUs and GPUs."""

    num_cpus: float = 0.0
    num_gpus: float = 0.0
    pool: int = 1  # 0: `auto` chooses
    pool_max: int | None = None  # as many while there is room, on nodes that join; null: `pool`
    batch_size: int = 8
    memory_gb: float = 0.0  # GiB of main memory that Ray sets aside for each; 0: not counted
    custom: dict[str, float] = field(default_factory=dict)  # what a cluster's nodes are marked with


@dataclass
class Resources:
    """Shares per stage. With `auto` they are worked out from the machine when the run starts."""

    name: str = MISSING
    auto: bool = False
    calibrate_s: float | None = None  # with `auto`: for measuring the stages first; null: a rule
    llm: Share = field(default_factory=Share)
    model: Share = field(default_factory=Share)
    scorer: Share = field(default_factory=Share)
    sink: Share = field(default_factory=lambda: Share(pool=0, batch_size=4096))
    rows_per_block: int | None = None  # rows that travel together; null: worked out


@dataclass
class Sink:
    """What a run leaves: PNG files, a Parquet table, WebDataset shards."""

    name: str = MISSING
    path: str | None = None  # a shared folder or s3://bucket/prefix; null: the run's own folder
    png: bool = True
    parquet: bool = True
    image_bytes: bool = False  # the encoded picture in the table too
    webdataset: bool = False
    gallery_images: int = 200  # pictures in gallery.html at most


@dataclass
class Tracking:
    """Where the run is recorded. `uri` null with backend mlflow: sqlite under `outputs/`."""

    name: str = MISSING
    backend: str = MISSING  # mlflow or none
    uri: str | None = None
    experiment: str = "imagepipe"
    run_name: str | None = None
    samples: int = 8
    system_metrics: bool = True
    system_metrics_interval_s: float = 5.0


@dataclass
class RayOptions:
    """Which Ray runs it. `address` null: Ray on this machine, started and stopped by the run."""

    name: str = MISSING
    address: str | None = None
    num_cpus: int | None = None  # null: what the machine has
    num_gpus: int | None = None
    object_store_gb: float | None = None
    runtime_env: dict[str, Any] = field(default_factory=dict)  # Ray's: what nodes get for a run
    start_timeout_s: float = 300.0  # how long a stage may take to get its first process
    progress_timeout_s: float = 1800.0  # how long nothing may move, loading weights included


@dataclass
class Sweep:
    """What a sweep looks for: the jobs' best `objective`, which Optuna maximises."""

    objective: str = "images_per_s"  # or score
    score: str | None = None  # which score; null: the only one that there is
    at_least_images_per_s: float | None = None  # with objective=score: a slower job counts as bad


@dataclass
class Config:
    """A whole run."""

    dataset: Dataset = field(default_factory=Dataset)
    llm: LLM = field(default_factory=LLM)
    model: Model = field(default_factory=Model)
    scorer: Scorer = field(default_factory=Scorer)
    resources: Resources = field(default_factory=Resources)
    sink: Sink = field(default_factory=Sink)
    tracking: Tracking = field(default_factory=Tracking)
    ray: RayOptions = field(default_factory=RayOptions)
    sweep: Sweep = field(default_factory=Sweep)
    seed: int = 0
    limit: int | None = None
    max_failures: int | float | None = None  # ends the run beyond so many rows, or such a share
    resume: str | None = None  # the folder of an interrupted run, to go on with it
    retry_failed: bool = False  # with resume: rows that failed are tried again
    outputs: str = "outputs"
    verbose: bool = False


def load(cfg: DictConfig) -> Config:
    """The composed configuration as dataclasses, checked key by key and across keys.

    The engine `auto` becomes the one that is installed.
    Raises UserError for an unknown key (also one added with `+`), a required value that is
    missing, and values that contradict each other.
    """
    _refuse_unknown(cfg)
    for key in sorted(OmegaConf.missing_keys(cfg)):
        raise UserError(
            field=key,
            value="???",
            problem="is required and has no value",
            remedy=f"Give one: {key}=...",
        )
    config = OmegaConf.to_object(cfg)
    assert isinstance(config, Config)
    if config.scorer.engine == "auto":
        embedded = (config.model.path or "").startswith(EMBEDDED)
        config.scorer.engine = "clip" if embedded else "none"
    if config.llm.engine == "auto":
        config.llm.engine = "vllm" if find_spec("vllm") else "transformers"
    check(config)
    return config


def unchecked(cfg: DictConfig) -> Config:
    """As `load`, of a configuration that may be wrong; a missing value is the text `NOT_GIVEN`."""
    cfg = copy.deepcopy(cfg)
    for key in OmegaConf.missing_keys(cfg):
        OmegaConf.update(cfg, key, NOT_GIVEN)
    config = OmegaConf.to_object(cfg)
    assert isinstance(config, Config)
    return config


def to_yaml(config: Config) -> str:
    """The whole configuration as YAML, every interpolation resolved."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))


def digest_source(config: Config) -> dict[str, Any]:
    """What decides how the pictures look: seed, prompts, models; not resources or folders."""
    whole = asdict(config)
    return {key: whole[key] for key in ("seed", "dataset", "llm", "model")}


def config_digest(config: Config) -> str:
    """The same for two configurations that draw the same pictures; 16 hex digits."""
    return json_digest(digest_source(config))


def json_digest(value: Any, size: int = 8) -> str:
    """The same for values that are the same as JSON; `size` bytes in hex digits."""
    text = json.dumps(value, sort_keys=True, default=str)
    return blake2b(text.encode(), digest_size=size).hexdigest()


def check(config: Config) -> None:
    """Raise UserError for the first value that cannot be right whatever the files hold."""
    _check_values(_choices(config), _minimums(config), _maximums(config))
    check_model(config.model)
    _check_failures(config.max_failures)
    _check_sink(config.sink)
    _check_ray(config.ray)
    check_secrets(config)
    _check_llm(config)
    _check_resources(config.resources)
    _check_sweep(config.sweep, config.scorer)
    if config.retry_failed and config.resume is None:
        raise UserError(
            field="retry_failed",
            value=True,
            problem="a new run has no failed rows",
            remedy="Name the run whose failed rows to try again: resume=FOLDER.",
        )


def _check_values(
    choices: Iterable[tuple[str, Any, tuple[str, ...]]],
    minimums: Iterable[tuple[str, float | None, float]],
    maximums: Iterable[tuple[str, float, float]] = (),
) -> None:
    for name, value, allowed in choices:
        if value not in allowed:
            raise UserError(
                field=name,
                value=value,
                problem="is not one of the choices",
                remedy=f"{did_you_mean(str(value), allowed)}Choose one of: {', '.join(allowed)}.",
            )
    for name, number, least in minimums:
        if number is not None and not number >= least:
            problem = "is no number" if math.isnan(number) else "is too small"
            raise UserError(field=name, value=number, problem=problem, remedy=f"At least {least}.")
    for name, number, most in maximums:
        if not number <= most:
            raise UserError(
                field=name, value=number, problem="is too large", remedy=f"At most {most}."
            )


def _check_failures(most: int | float | None) -> None:
    if most is None or (isinstance(most, int) and most >= 0) or 0 < most < 1:
        return
    raise UserError(
        field="max_failures",
        value=most,
        problem="is neither a count of rows nor a share of them",
        remedy="Give a whole number (max_failures=10), or a share of all rows between 0 and 1 "
        "(max_failures=0.05).",
    )


def _check_llm(config: Config) -> None:
    if config.llm.requests_per_minute and config.resources.llm.pool > 1:
        raise UserError(
            field="resources.llm.pool",
            value=config.resources.llm.pool,
            problem="each process would keep to llm.requests_per_minute by itself",
            remedy="Use resources.llm.pool=1; it asks resources.llm.batch_size rows at once.",
        )


def check_model(model: Model) -> None:
    """As `check`, of the model alone."""
    choices = (
        ("model.engine", model.engine, ("diffusers", "noop", "custom")),
        ("model.dtype", model.dtype, DTYPES),
        ("model.weights", model.weights, ("trained", "random")),
        ("model.offload", model.offload, ("none", "model", "sequential")),
    )
    minimums = (
        ("model.steps", model.steps, 1 if model.engine == "diffusers" else 0),
        ("model.guidance", model.guidance, 0),
        ("model.width", model.width, 8),
        ("model.height", model.height, 8),
        ("model.max_sequence_length", model.max_sequence_length, 1),
        ("model.images_per_prompt", model.images_per_prompt, 1),
    )
    _check_values(choices, minimums)
    if model.compile_whole and model.compile is None:
        raise UserError(
            field="model.compile_whole",
            value=True,
            problem="says what to compile, and nothing is compiled",
            remedy="Set model.compile=inductor, or leave it out.",
        )


def _check_resources(resources: Resources) -> None:
    if resources.calibrate_s is not None and not resources.auto:
        raise UserError(
            field="resources.calibrate_s",
            value=resources.calibrate_s,
            problem=f"resources={resources.name} gives every share, so nothing is to be chosen",
            remedy="Use resources=tuned, or leave it out.",
        )
    for stage in ("llm", "model", "scorer") if resources.calibrate_s is not None else ():
        for key in ("pool", "num_cpus", "num_gpus"):
            if getattr(getattr(resources, stage), key):
                raise UserError(
                    field=f"resources.{stage}.{key}",
                    value=getattr(getattr(resources, stage), key),
                    problem="is given by hand, and would be measured",
                    remedy="Leave it out, or use resources=auto, which keeps to it.",
                )


def _check_sweep(sweep: Sweep, scorer: Scorer) -> None:
    if sweep.objective == "score" and scorer.engine == "none":
        raise UserError(
            field="sweep.objective",
            value="score",
            problem=f"scorer={scorer.name} gives no score here",
            remedy="Choose another scorer, or sweep.objective=images_per_s.",
        )
    if sweep.objective == "score" and sweep.score not in (None, scorer.name):
        raise UserError(
            field="sweep.score",
            value=sweep.score,
            problem="is no score of this run",
            remedy=f"scorer={scorer.name} gives the score {scorer.name}; leave it out.",
        )
    least = sweep.at_least_images_per_s
    if least is None:
        return
    if sweep.objective != "score":
        raise UserError(
            field="sweep.at_least_images_per_s",
            value=least,
            problem=f"means nothing to sweep.objective={sweep.objective}",
            remedy="Set sweep.objective=score, or leave it out.",
        )
    if not least > 0:
        raise UserError(
            field="sweep.at_least_images_per_s",
            value=least,
            problem="is no rate",
            remedy="Give pictures per second, such as 2.5.",
        )


def _check_ray(ray: RayOptions) -> None:
    if (ray.address or "").startswith("ray://"):
        raise UserError(
            field="ray.address",
            value=ray.address,
            problem="is an address of Ray's client, through which Ray Data does not run here",
            remedy="Give HOST:PORT of the cluster's head, or submit the run: ray job submit.",
        )
    host, _, port = (ray.address or "auto").rpartition(":")
    if host and not (port.isdecimal() and int(port) < 1 << 16):
        raise UserError(
            field="ray.address",
            value=ray.address,
            problem="has no number of a port behind its last colon",
            remedy="Give HOST:PORT of the cluster's head, as `ray start --head` says it.",
        )


def check_secrets(config: Config) -> None:
    """As `check_named`, of the whole of `config`."""
    for key, value in _paths(asdict(config), ""):
        check_named(key, value)


def check_named(key: str, value: Any) -> None:
    """Raise UserError where the name of a variable, or of an option, says that `value` is a secret.

    Options are texts and stand where any key may be. One that ends in _env is a variable's name.
    """
    remedy = next((said for start, said in VARIABLES.items() if key.startswith(start)), None)
    if remedy is None:
        names_variable = key.endswith("_env") and str(value).isidentifier()
        if not (is_open(key) and isinstance(value, str) and value) or names_variable:
            return
        name = f"{key.removesuffix('_env')}_env=ITS_NAME"
        remedy = f"Put it into the environment, for a class of your own with {name}."
    if SECRET.search(key):
        raise UserError(
            field=key,
            value=HIDDEN,
            problem="looks like a secret, which would be written down",
            remedy=remedy,
        )


def _check_sink(sink: Sink) -> None:
    if not (sink.png or sink.image_bytes or sink.webdataset):
        raise UserError(
            field="sink",
            value=sink.name,
            problem="keeps no picture",
            remedy="Set sink.png=true, sink.image_bytes=true or sink.webdataset=true.",
        )
    if not sink.parquet:
        raise UserError(
            field="sink.parquet",
            value=False,
            problem="the table is how a run knows which rows it has written",
            remedy="Leave it true.",
        )


def _choices(config: Config) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    data, formats = config.dataset, ("csv", "parquet", "jsonl")
    joins = (data.join, *data.more_joins)
    yield "llm.engine", config.llm.engine, LLM_ENGINES
    yield "scorer.engine", config.scorer.engine, ("none", "clip", "aesthetic", "custom")
    yield "llm.dtype", config.llm.dtype, DTYPES
    yield "scorer.dtype", config.scorer.dtype, DTYPES
    yield "dataset.format", data.format, formats
    yield "tracking.backend", config.tracking.backend, ("mlflow", "none")
    yield "sweep.objective", config.sweep.objective, ("images_per_s", "score")
    for join in joins:
        yield "dataset.join.format", join.format or data.format, formats
        yield "dataset.join.how", join.how, ("inner", "left", "anti")
        yield "dataset.join.method", join.method, ("auto", "broadcast", "shuffle")


def _minimums(config: Config) -> Iterator[tuple[str, float | None, float]]:
    yield "limit", config.limit, 1
    yield "llm.temperature", config.llm.temperature, 0
    yield "llm.max_tokens", config.llm.max_tokens, 1
    yield "llm.max_model_len", config.llm.max_model_len, config.llm.max_tokens + 1
    yield "llm.timeout_s", config.llm.timeout_s, 0.1
    yield "llm.max_retries", config.llm.max_retries, 0
    yield "llm.requests_per_minute", config.llm.requests_per_minute, 0.01
    yield "resources.calibrate_s", config.resources.calibrate_s, 1
    yield "resources.rows_per_block", config.resources.rows_per_block, 1
    yield "ray.num_cpus", config.ray.num_cpus, 1
    yield "ray.num_gpus", config.ray.num_gpus, 0
    yield "ray.object_store_gb", config.ray.object_store_gb, 0.08  # Ray's own least is 75 MiB
    yield "ray.start_timeout_s", config.ray.start_timeout_s, 0.01
    yield "ray.progress_timeout_s", config.ray.progress_timeout_s, 0.01
    yield "llm.top_p", config.llm.top_p, 0.001
    yield "sink.gallery_images", config.sink.gallery_images, 0
    yield "tracking.samples", config.tracking.samples, 0
    yield "tracking.system_metrics_interval_s", config.tracking.system_metrics_interval_s, 0.1
    for stage in STAGES:
        share: Share = getattr(config.resources, stage)
        is_chosen = config.resources.auto or stage == "sink"
        yield f"resources.{stage}.pool", share.pool, 0 if is_chosen else 1
        yield f"resources.{stage}.pool_max", share.pool_max, max(1, share.pool)
        yield f"resources.{stage}.batch_size", share.batch_size, 1
        yield f"resources.{stage}.num_cpus", share.num_cpus, 0
        yield f"resources.{stage}.num_gpus", share.num_gpus, 0
        yield f"resources.{stage}.memory_gb", share.memory_gb, 0


def _maximums(config: Config) -> Iterator[tuple[str, float, float]]:
    yield "llm.top_p", config.llm.top_p, 1
    yield "tracking.samples", config.tracking.samples, MOST_SAMPLES


def _refuse_unknown(cfg: DictConfig) -> None:
    known = set(keys(OmegaConf.structured(Config)))
    for key in keys(cfg):
        inside_list = any(part.isdigit() for part in key.split("."))
        if key in known or inside_list or is_open(key):
            continue
        raise UserError(
            field=key,
            value=OmegaConf.select(cfg, key),
            problem="there is no such key",
            remedy=did_you_mean(key, known).strip()
            or f"Keys here: {', '.join(_siblings(key, known))}.",
        )


# What may differ when a run is gone on with: none of it changes a picture or the table's columns.
MAY_CHANGE = (
    *("resources", "ray", "tracking", "sweep", "resume", "retry_failed", "outputs", "verbose"),
    *("sink.gallery_images", "dataset.path", "dataset.join.path", "dataset.join.method"),
    *("dataset.more_joins.path", "dataset.more_joins.method"),
    *(
        "dataset.look_through_rows",
        "max_failures",
        "llm.base_url",
        "llm.api_key_env",
        "llm.timeout_s",
    ),
    *("llm.max_retries", "llm.requests_per_minute"),
)
STAGES = ("llm", "model", "scorer", "sink")  # those with resources of their own
# These hold a text or a list, or whatever somebody else's function takes.
_OPEN = (
    *("dataset.path", "dataset.join.path", "dataset.join.on"),
    *("llm.chat_template_kwargs", "llm.engine_kwargs"),
    *("llm.options", "model.options", "scorer.options"),
    *("model.scheduler_config", "model.quantization.quant_kwargs"),
    "ray.runtime_env",
    *(f"resources.{stage}.custom" for stage in STAGES),
)


def is_open(key: str) -> bool:
    """Whether `key` stands inside a value of somebody else's making, where any key may be."""
    return key.startswith(tuple(f"{name}." for name in _OPEN))


def _siblings(key: str, known: Iterable[str]) -> list[str]:
    parent = key.rpartition(".")[0]
    return sorted(name for name in known if name.rpartition(".")[0] == parent)


def keys(cfg: Any) -> Iterator[str]:
    """Every key of `cfg`, nested ones with dots, places in lists as numbers; nothing resolved."""
    yield from (key for key, _ in _paths(OmegaConf.to_container(cfg, resolve=False), ""))


def _paths(value: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for name, child in inner:
        yield f"{prefix}{name}", child
        if isinstance(child, dict | list):
            yield from _paths(child, f"{prefix}{name}.")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`Did you mean "..."? ` for the closest of `known`, or nothing where none is close."""
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if not close:  # "modle.steps" and "steps" alike: compare the last part too
        tails = {name.rpartition(".")[2]: name for name in known}
        tail = difflib.get_close_matches(word.rpartition(".")[2], tails, n=1, cutoff=0.75)
        close = [tails[name] for name in tail]
    return f'Did you mean "{close[0]}"? ' if close else ""
