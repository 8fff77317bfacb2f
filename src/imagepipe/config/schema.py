"""The typed schema of a run: what each configuration key means, with its limits beside it.

Hydra validates `conf/` and the command line against these dataclasses. Checks across keys are in
`checks.py`. The longer sections are in `tables.py`, `models.py` and `shares.py`.
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
    """The LLM that enriches the base prompt. With `engine=none` the base prompt is drawn."""

    name: str = MISSING  # name in reports
    # auto: vllm if it is installed, otherwise transformers
    engine: str = engine("llm")
    # "asset:NAME", a local folder, a hub id, or the name of a server's model
    path: str | None = None
    revision: str | None = None  # commit, tag or branch on the hub
    system: str = ""  # the system prompt
    user: str = "{prompt}"  # the question; may contain {prompt} and {season}
    temperature: float = bounded(0.8, least=0)  # how random answers are; 0: the likeliest each time
    # sample from the likeliest tokens that have this probability together; 1: from all
    top_p: float = bounded(1.0, least=0.001, most=1)
    max_tokens: int = bounded(64, least=1)  # longest answer, in tokens
    stop: list[str] = field(default_factory=list)  # texts that end an answer
    max_model_len: int | None = None  # most tokens of question and answer; null: the model's limit
    # arguments of the chat template: {enable_thinking: false}
    chat_template_kwargs: dict[str, Any] = field(default_factory=dict)
    # auto: float32 with transformers on a CPU, otherwise that of the weight files
    dtype: str = choice("auto", DTYPES)
    # engine=vllm: arguments of vLLM's engine
    engine_kwargs: dict[str, Any] = field(default_factory=dict)
    _target_: str | None = None  # engine=custom: your class, package.module.Class
    options: dict[str, Any] = field(default_factory=dict)  # settings for your class

    @property
    def section(self) -> str:
        """The key of this section, for errors."""
        return "llm"


@dataclass
class Scorer(Server):
    """The model that scores pictures. `engine=auto`: the embedded scorer for embedded models."""

    name: str = MISSING  # name in reports and columns
    # what gives the scores; custom: your class
    engine: str = engine("scorer")
    # "asset:NAME", a local folder, a hub id, or the name of a server's model
    path: str | None = None
    revision: str | None = None  # commit, tag or branch on the hub
    processor: str | None = None  # folder or hub id of the processor, if the model has none
    dtype: str = choice("auto", DTYPES)  # auto: float32 on CPU, float16 on a GPU
    # questions about each picture, {name: text}; the text may contain columns. vlm: a yes/no
    # question; caption: an instruction; attributes: the right answer to the model's question of
    # that name; image_classifier: a label of the model
    questions: dict[str, str] = field(default_factory=dict)
    max_tokens: int = bounded(64, least=1)  # longest caption, in tokens
    _target_: str | None = None  # engine=custom: your class, package.module.Class
    options: dict[str, Any] = field(default_factory=dict)  # settings for your class

    @property
    def section(self) -> str:
        """The key of this section, for errors."""
        return "scorer"


@dataclass
class Distance:
    """The distance of a run's pictures to a reference, and the network that measures it."""

    name: str = engines.NONE  # name in reports
    engine: str = engine("distance", engines.NONE)  # network that gives the features
    path: str | None = None  # "asset:NAME", a local folder, or a hub id; inception: a file
    revision: str | None = None  # commit, tag or branch on the hub
    sha256: str | None = None  # inception: digest of the file, or its first digits
    processor: str | None = None  # folder or hub id of the processor, if the model has none
    dtype: str = choice("auto", DTYPES)  # auto: float32 on CPU, float16 on a GPU
    reference: str | None = None  # a run's folder, a folder of pictures, or a table
    image: str | None = None  # for a table: the column with paths or bytes of pictures
    _target_: str | None = None  # engine=custom: your class, package.module.Class
    options: dict[str, Any] = field(default_factory=dict)  # settings for your class

    @property
    def section(self) -> str:
        """The key of this section, for errors."""
        return "distance"


@dataclass
class Filter:
    """Which pictures are kept."""

    # keep pictures for which this is true: "score > 20 and animal != 'cat'"
    keep: str | None = None
    # keep this many of each row's pictures (model.images_per_prompt); null: all
    best: int | None = bounded(None, least=1)
    by: str | None = None  # column that decides which are best; null: the first score
    # keep one of the pictures whose hashes (phash) differ in at most this many of 64 bits
    near_duplicates: int | None = bounded(None, least=0, most=16)


@dataclass
class Sink:
    """What a run leaves: pictures as files, a Parquet table, WebDataset shards."""

    name: str = MISSING  # name in reports
    path: str | None = None  # a shared folder or s3://bucket/prefix; null: the run's own folder
    png: bool = True  # write pictures as files, in `image_format`
    image_format: str = choice("png", ("png", "jpeg", "webp"))  # format of the files
    quality: int | None = bounded(None, least=1, most=100)  # for jpeg and webp; null: 90
    parquet: bool = True  # always true: the table shows which rows are written
    image_bytes: bool = False  # store the encoded pictures in the table, too
    webdataset: bool = False  # write WebDataset shards
    hub: str | None = None  # user/name: push to this data set on Hugging Face's hub at the end
    # most pictures in the gallery: 200 in the page itself, the others beside it
    gallery_images: int = bounded(10_000, least=0, most=100_000)


@dataclass
class Tracking:
    """Where the run is recorded."""

    name: str = MISSING  # name in reports
    backend: str = choice(MISSING, ("mlflow", "none"))  # none: nothing is recorded
    uri: str | None = None  # MLflow server or database; null: sqlite under `outputs/`
    experiment: str = "imagepipe"  # MLflow experiment: its name, or the id of one
    run_name: str | None = None  # name of the run in MLflow; null: one is made up
    # pictures recorded as samples, of the same rows in every run
    samples: int = bounded(8, least=0, most=MOST_SAMPLES)
    system_metrics: bool = True  # record CPU, memory, disk and GPU use
    system_metrics_interval_s: float = bounded(5.0, least=0.1)  # seconds between two records


@dataclass
class RayOptions:
    """Where Ray runs."""

    name: str = MISSING  # name in reports
    # auto or HOST:PORT of a cluster; null: Ray on this machine, started and stopped by the run
    address: str | None = None
    nodes: list[str] = field(default_factory=list)  # use only these nodes of a cluster, by id
    num_cpus: int | None = bounded(None, least=1)  # CPUs to use; null: all
    num_gpus: int | None = bounded(None, least=0)  # GPUs to use; null: all
    # size of the object store in GB (1e9 bytes); null: 30 % of the memory
    object_store_gb: float | None = bounded(None, least=0.08)
    runtime_env: dict[str, Any] = field(default_factory=dict)  # Ray's runtime_env for the nodes
    # seconds until the first process of a stage must have started
    start_timeout_s: float = bounded(300.0, least=0.01)
    # end the run after this many seconds without progress; must be longer than loading weights
    progress_timeout_s: float = bounded(1800.0, least=0.01)


@dataclass
class Sweep:
    """How the jobs of a sweep are run and compared. Optuna maximises `objective`."""

    # what decides which job is best
    objective: str = choice("images_per_s", ("images_per_s", "score", "pictures_per_dollar"))
    score: str | None = None  # scorer (or its column) that decides; null: the first
    # with objective=score: jobs below this many pictures per second cannot be best
    at_least_images_per_s: float | None = None
    # job to compare the others with, by label or number; null: the first
    baseline: str | None = None
    # confidence level of intervals and verdicts
    level: float = bounded(0.95, least=0.5, most=0.9999)
    # reuse equal work of earlier jobs: true, false, auto (not where speed is compared), or the
    # folders of earlier runs to reuse
    reuse: Any = "auto"
    # jobs to run side by side, each with whole GPUs or nodes: a number, or auto for as many as fit
    jobs_at_once: Any = 1
    repeats: int = bounded(1, least=1, most=100)  # run every job this many times, in turn
    repeat: int = bounded(0, least=0)  # number of the repeat; set by the sweep

    @property
    def compares_speed(self) -> bool:
        """Whether the speed of a job matters for the best."""
        return self.objective != "score" or self.at_least_images_per_s is not None


@dataclass
class Config:
    """A whole run."""

    dataset: Dataset = field(default_factory=Dataset)
    llm: LLM = field(default_factory=LLM)
    model: Model = field(default_factory=Model)
    scorer: dict[str, Scorer] = field(default_factory=dict)  # by name; empty: none
    distance: Distance = field(default_factory=Distance)
    stages: list[OwnStage] = field(default_factory=list)  # your own stages
    resources: Resources = field(default_factory=Resources)
    filter: Filter = field(default_factory=Filter)
    sink: Sink = field(default_factory=Sink)
    tracking: Tracking = field(default_factory=Tracking)
    ray: RayOptions = field(default_factory=RayOptions)
    sweep: Sweep = field(default_factory=Sweep)
    seed: int = 0  # with a row's id it decides the row's picture
    limit: int | None = bounded(None, least=1)  # rows to use, from the first on; null: all
    # end the run once more rows fail: a number (10) or a share of all rows (0.05); null: never
    max_failures: int | float | None = None
    resume: str | None = None  # folder of an interrupted run or sweep to resume
    retry_failed: bool = False  # with resume: try failed rows again
    outputs: str = "outputs"  # folder for runs, sweeps, MLflow's database and calibrations
    verbose: bool = False  # show what Ray and other libraries log

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
        """Those that are no custom stages."""
        before = (PICTURES,) if self.model.pictures else ()
        return (PROMPT, "llm", *before, "model", *scorer_stages(self.scorer))

    @property
    def judged(self) -> tuple[Score, ...]:
        """All results of the scorers, in order: scores, and texts such as captions."""
        stages = scorer_stages(self.scorer).items()
        return tuple(one for stage, name in stages for one in said_by(self.scorer[name], stage))

    @property
    def scores(self) -> tuple[Score, ...]:
        """The scores of the pictures, in order."""
        return tuple(one for one in self.judged if not one.is_text)

    @property
    def score_columns(self) -> dict[str, str]:
        """The columns of the scores, by their names."""
        return {score.name: score.column for score in self.scores}
