"""The typed shape of a run: what each configuration key means, with its limits beside it.

The dataclasses are the schema that Hydra validates `conf/` and the command line against. What two
keys mean together is in `checks.py`. The longer sections are in `tables.py`, `models.py` and
`shares.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from imagepipe.config.fields import DTYPES, bounded, choice, engine
from imagepipe.config.models import Model
from imagepipe.config.names import PICTURES, PROMPT, Score, said_by, scorer_stages
from imagepipe.config.own import OwnStage, in_order
from imagepipe.config.servers import Server
from imagepipe.config.shares import Resources
from imagepipe.config.tables import Dataset
from imagepipe.stages import engines

MOST_SAMPLES = 8  # rows whose pictures MLflow shows of every run, the same in each


@dataclass
class LLM(Server):
    """Who enriches the base prompt. `engine=none` leaves it as it is."""

    name: str = MISSING
    # auto: vllm where it is installed, else transformers
    engine: str = engine("llm")
    path: str | None = None  # "asset:NAME", a local folder, a hub id, or a server's model
    revision: str | None = None
    system: str = ""
    user: str = "{prompt}"  # what the model is asked; knows {prompt} and {season}
    temperature: float = bounded(0.8, least=0)
    top_p: float = bounded(1.0, least=0.001, most=1)
    max_tokens: int = bounded(64, least=1)
    stop: list[str] = field(default_factory=list)  # texts that end an answer
    max_model_len: int | None = None  # tokens of question and answer; null: the model's own
    chat_template_kwargs: dict[str, Any] = field(default_factory=dict)  # enable_thinking: false
    dtype: str = choice("auto", DTYPES)
    engine_kwargs: dict[str, Any] = field(default_factory=dict)  # vllm: its engine's arguments
    _target_: str | None = None  # engine=custom: a class of your own, package.module.Class
    options: dict[str, Any] = field(default_factory=dict)  # for it to read

    @property
    def section(self) -> str:
        """The key of this section, for errors."""
        return "llm"


@dataclass
class Scorer(Server):
    """Who judges the finished pictures. `engine=auto`: the embedded scorer for embedded models."""

    name: str = MISSING
    engine: str = engine("scorer")
    path: str | None = None  # "asset:NAME", a local folder, a hub id, or a server's model
    revision: str | None = None
    processor: str | None = None  # where the processor is, for a model that comes without
    dtype: str = choice("auto", DTYPES)  # auto: float32 on CPU, float16 on a GPU
    # what a judge is asked of each picture, {name: text over the columns of its row}. vlm: yes or
    # no; caption: to write; attributes: the right answer to that question of the model's;
    # image_classifier: one of its labels
    questions: dict[str, str] = field(default_factory=dict)
    max_tokens: int = bounded(64, least=1)  # of a caption
    _target_: str | None = None  # engine=custom: a class of your own, package.module.Class
    options: dict[str, Any] = field(default_factory=dict)  # for it to read

    @property
    def section(self) -> str:
        """The key of this section, for errors."""
        return "scorer"


@dataclass
class Distance:
    """How far a run's pictures are from a reference, by whose features: told at its end."""

    name: str = engines.NONE
    engine: str = engine("distance", engines.NONE)
    path: str | None = None  # "asset:NAME", a local folder, or a hub id; inception: a file
    revision: str | None = None
    sha256: str | None = None  # of inception's file: its digest, or the first digits
    processor: str | None = None  # where the processor is, for a model that comes without
    dtype: str = choice("auto", DTYPES)  # auto: float32 on CPU, float16 on a GPU
    reference: str | None = None  # a run's folder, a folder of pictures, or a table
    image: str | None = None  # of a table: the column of the paths, or of the bytes
    _target_: str | None = None  # engine=custom: a class of your own, package.module.Class
    options: dict[str, Any] = field(default_factory=dict)  # for it to read

    @property
    def section(self) -> str:
        """The key of this section, for errors."""
        return "distance"


@dataclass
class Filter:
    """Which pictures are kept."""

    keep: str | None = None  # what holds for one that is: "score > 20 and animal != 'cat'"
    best: int | None = bounded(None, least=1)  # so many of a row's images_per_prompt
    by: str | None = None  # the column that they are judged by; null: the first score
    # of pictures whose hashes (imagehash's phash) differ in so many of 64 bits at most one is kept
    near_duplicates: int | None = bounded(None, least=0, most=16)


@dataclass
class Sink:
    """What a run leaves: pictures as files, a Parquet table, WebDataset shards."""

    name: str = MISSING
    path: str | None = None  # a shared folder or s3://bucket/prefix; null: the run's own folder
    png: bool = True  # pictures as files, in `image_format`
    image_format: str = choice("png", ("png", "jpeg", "webp"))
    quality: int | None = bounded(None, least=1, most=100)  # of jpeg and webp; null: 90
    parquet: bool = True
    image_bytes: bool = False  # the encoded picture in the table too
    webdataset: bool = False
    hub: str | None = None  # user/name: a data set of Hugging Face's hub, which gets it at the end
    # pictures of the gallery at most: 200 are inside its page, the others beside it
    gallery_images: int = bounded(10_000, least=0, most=100_000)


@dataclass
class Tracking:
    """Where the run is recorded. `uri` null with backend mlflow: sqlite under `outputs/`."""

    name: str = MISSING
    backend: str = choice(MISSING, ("mlflow", "none"))
    uri: str | None = None
    experiment: str = "imagepipe"
    run_name: str | None = None
    samples: int = bounded(8, least=0, most=MOST_SAMPLES)
    system_metrics: bool = True
    system_metrics_interval_s: float = bounded(5.0, least=0.1)


@dataclass
class RayOptions:
    """Which Ray runs it. `address` null: Ray on this machine, started and stopped by the run."""

    name: str = MISSING
    address: str | None = None
    nodes: list[str] = field(default_factory=list)  # of a cluster, by their ids; empty: all
    num_cpus: int | None = bounded(None, least=1)  # null: what the machine has
    num_gpus: int | None = bounded(None, least=0)
    object_store_gb: float | None = bounded(None, least=0.08)  # Ray's own least is 75 MiB
    runtime_env: dict[str, Any] = field(default_factory=dict)  # Ray's: what nodes get for a run
    # how long a stage may take to get its first process
    start_timeout_s: float = bounded(300.0, least=0.01)
    # how long nothing may move, loading weights included
    progress_timeout_s: float = bounded(1800.0, least=0.01)


@dataclass
class Sweep:
    """What a sweep looks for: the jobs' best `objective`, which Optuna maximises."""

    objective: str = choice("images_per_s", ("images_per_s", "score", "pictures_per_dollar"))
    score: str | None = None  # by which scorer, or its column; null: the first
    at_least_images_per_s: float | None = None  # with objective=score: a slower job counts as bad
    baseline: str | None = None  # the job that others are held against, by label or number
    level: float = bounded(0.95, least=0.5, most=0.9999)  # how sure a best has to be
    # take over what earlier jobs did alike: true, false, auto (not where speed is compared), or
    # the folders of earlier runs, to take over from these too
    reuse: Any = "auto"
    # jobs side by side, each with whole GPUs or nodes: a number, or auto, for as many as fit
    jobs_at_once: Any = 1
    repeats: int = bounded(1, least=1, most=100)  # how often every job runs, by turns
    repeat: int = bounded(0, least=0)  # which of them a job is: the sweep sets it

    @property
    def compares_speed(self) -> bool:
        """Whether it matters for the best how fast a job is."""
        return self.objective != "score" or self.at_least_images_per_s is not None


@dataclass
class Config:
    """A whole run."""

    dataset: Dataset = field(default_factory=Dataset)
    llm: LLM = field(default_factory=LLM)
    model: Model = field(default_factory=Model)
    scorer: dict[str, Scorer] = field(default_factory=dict)  # by name; empty: none
    distance: Distance = field(default_factory=Distance)
    stages: list[OwnStage] = field(default_factory=list)  # of your own, between ours
    resources: Resources = field(default_factory=Resources)
    filter: Filter = field(default_factory=Filter)
    sink: Sink = field(default_factory=Sink)
    tracking: Tracking = field(default_factory=Tracking)
    ray: RayOptions = field(default_factory=RayOptions)
    sweep: Sweep = field(default_factory=Sweep)
    seed: int = 0
    limit: int | None = bounded(None, least=1)
    max_failures: int | float | None = None  # ends the run beyond so many rows, or such a share
    resume: str | None = None  # the folder of an interrupted run or sweep, to resume it
    retry_failed: bool = False  # with resume: rows that failed are tried again
    outputs: str = "outputs"
    verbose: bool = False

    @property
    def sections(self) -> dict[str, Any]:
        """The sections that name an engine, by the names of their stages, in order."""
        scoring = {stage: self.scorer[name] for stage, name in scorer_stages(self.scorer).items()}
        own = {one.name: one for one in self.stages}
        named: dict[str, Any] = {"llm": self.llm, "model": self.model, **scoring, **own}
        return {stage: named[stage] for stage in self.order if stage in named}

    @property
    def order(self) -> tuple[str, ...]:
        """The names of the stages between reading and writing, in order."""
        return in_order(self.ours, self.stages)

    @property
    def ours(self) -> tuple[str, ...]:
        """Those of them that are no class of a person's own."""
        before = (PICTURES,) if self.model.pictures else ()
        return (PROMPT, "llm", *before, "model", *scorer_stages(self.scorer))

    @property
    def judged(self) -> tuple[Score, ...]:
        """What scorers say of each picture, in order: scores, and texts such as captions."""
        stages = scorer_stages(self.scorer).items()
        return tuple(one for stage, name in stages for one in said_by(self.scorer[name], stage))

    @property
    def scores(self) -> tuple[Score, ...]:
        """What pictures are scored by, in order."""
        return tuple(one for one in self.judged if not one.is_text)

    @property
    def score_columns(self) -> dict[str, str]:
        """The columns of the scores, by their names."""
        return {score.name: score.column for score in self.scores}
