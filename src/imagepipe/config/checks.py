"""Checks across keys: values that contradict each other, whatever the files hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from imagepipe.config import own
from imagepipe.config.fields import check_bounds, check_fields
from imagepipe.config.models import Model
from imagepipe.config.names import Score, scorer_stages
from imagepipe.config.schema import Config, RayOptions, Sink, Sweep
from imagepipe.config.secrets import check_secrets
from imagepipe.config.shares import Resources, Share
from imagepipe.errors import UserError
from imagepipe.stages import engines

# Caches of diffusers that skip by how far all pictures of a batch are from the step before.
BY_THE_BATCH = ("FirstBlockCacheConfig", "SeaCacheConfig")
MOST_STEPS = 10_000
MOST_PIXELS = {"jpeg": 65_500, "webp": 16_383}  # a side of a picture, in these formats


def most_pixels(sink: Sink) -> float:
    """How long a side of a picture may be in its format."""
    return MOST_PIXELS.get(sink.image_format, math.inf)


def check(config: Config) -> None:
    """Raise UserError for the first value that cannot be right whatever the files hold."""
    check_fields(config)
    _check_model(config.model)
    _check_failures(config.max_failures)
    _check_sink(config.sink, config.model)
    _check_ray(config.ray)
    check_secrets(config)
    check_bounds(config.llm.max_tokens + 1, math.inf, "llm.max_model_len", config.llm.max_model_len)
    own.check(config.stages, config.ours)
    for stage, section in config.sections.items():
        _check_pace(config.resources.key(stage), section, config.resources.share(stage))
        scorer = scorer_stages(config.scorer).get(stage) if len(config.scorer) > 1 else None
        _check_request(f"scorer.{scorer}" if scorer else section.section, section)
    _check_spread(config.model, config.resources.model)
    _check_resources(config.resources)
    _check_sweep(config.sweep, config.scores)
    _check_price(config)
    _check_cache(config)
    if config.retry_failed and config.resume is None:
        raise UserError(
            field="retry_failed",
            value=True,
            problem="only a run that is resumed has failed rows",
            remedy="Name the run: resume=FOLDER.",
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


def _check_pace(key: str, section: Any, share: Share) -> None:
    if getattr(section, "requests_per_minute", None) and share.pool > 1:
        raise UserError(
            field=f"{key}.pool",
            value=share.pool,
            problem=f"each process would keep to {section.section}.requests_per_minute by itself",
            remedy=f"Use {key}.pool=1; it asks {key}.batch_size rows at once.",
        )


def _check_request(key: str, section: Any) -> None:
    kind, keys = section.section, ("request", "request_names", "request_in_prompt")
    given = next((one for one in keys if getattr(section, one, None)), None)
    if given and not engines.of(kind, section).waits:
        asking = [f"{kind}.engine={n}" for n, line in engines.TABLE[kind].items() if line.waits]
        raise UserError(
            field=f"{key}.{given}",
            value=getattr(section, given),
            problem=f"is for servers, but {kind}.engine={section.engine} asks none",
            remedy=f"Leave it out, or use {' or '.join(asking)}.",
        )


def check_model(model: Model) -> None:
    """As `check`, of the model alone."""
    check_fields(model, "model.")
    _check_model(model)


def _check_model(model: Model) -> None:
    least = engines.of("model", model).least_steps
    check_bounds(least, MOST_STEPS, "model.steps", model.steps)
    if model.compile_whole and model.compile is None:
        raise UserError(
            field="model.compile_whole",
            value=True,
            problem="has no effect without model.compile",
            remedy="Set model.compile=inductor, or leave it out.",
        )


def _check_spread(model: Model, share: Share) -> None:
    """A model over several GPUs is placed by diffusers while it is read, each part as a whole."""
    if share.num_gpus <= 1 or not engines.of("model", model).spreads:
        return
    wrong = {
        "offload": (model.offload, model.offload != "none"),
        "weights": (model.weights, model.weights != "trained"),
        "compile": (model.compile, model.compile is not None),
    }
    for key, (value, is_wrong) in wrong.items():
        if is_wrong:
            raise UserError(
                field=f"model.{key}",
                value=value,
                problem="cannot be combined with resources.model.num_gpus="
                f"{share.num_gpus:g}, which spreads the parts of the model over several GPUs",
                remedy=f"Leave model.{key} out, or give each process one GPU.",
            )


def _check_resources(resources: Resources) -> None:
    for stage, share in resources.shares().items():
        is_chosen, key = resources.auto or stage == "sink", resources.key(stage)
        check_bounds(0 if is_chosen else 1, math.inf, f"{key}.pool", share.pool)
        check_bounds(share.pool, math.inf, f"{key}.pool_max", share.pool_max)
    if resources.calibrate_s is not None and not resources.auto:
        raise UserError(
            field="resources.calibrate_s",
            value=resources.calibrate_s,
            problem=f"resources={resources.name} sets every share, so there is nothing to choose",
            remedy="Use resources=tuned, or leave it out.",
        )
    for stage, share in resources.shares().items() if resources.calibrate_s is not None else ():
        for key in ("pool", "num_cpus", "num_gpus") if stage != "sink" else ():
            if getattr(share, key):
                raise UserError(
                    field=f"{resources.key(stage)}.{key}",
                    value=getattr(share, key),
                    problem="is set by hand, but resources=tuned measures it",
                    remedy="Leave it out, or use resources=auto, which keeps to it.",
                )


def _check_sweep(sweep: Sweep, scores: Sequence[Score]) -> None:
    named = sweep.reuse if isinstance(sweep.reuse, list) else [sweep.reuse]
    if not isinstance(sweep.reuse, bool) and not all(isinstance(one, str) for one in named):
        raise UserError(
            field="sweep.reuse",
            value=sweep.reuse,
            problem="is neither true, false nor auto, and names no folder",
            remedy="Use one of these, the folder of an earlier run, or a list of folders.",
        )
    at_once = sweep.jobs_at_once
    if at_once != "auto" and (type(at_once) is not int or at_once < 1):
        raise UserError(
            field="sweep.jobs_at_once",
            value=at_once,
            problem="is neither a number of jobs nor auto",
            remedy="Give a whole number from 1 on, or auto.",
        )
    if sweep.objective == "score" and not scores:
        raise UserError(
            field="sweep.objective",
            value="score",
            problem="no scorer gives a score here",
            remedy="Choose another scorer, or sweep.objective=images_per_s.",
        )
    if sweep.objective == "score" and sweep.score not in (None, *(s.name for s in scores)):
        columns = (f"{score.name} (column {score.column})" for score in scores)
        raise UserError(
            field="sweep.score",
            value=sweep.score,
            problem="is not a score of this run",
            remedy=f"There are {', '.join(columns)}. Left out it is the first.",
        )
    least = sweep.at_least_images_per_s
    if least is None:
        return
    if sweep.objective != "score":
        raise UserError(
            field="sweep.at_least_images_per_s",
            value=least,
            problem=f"has no effect with sweep.objective={sweep.objective}",
            remedy="Set sweep.objective=score, or leave it out.",
        )
    if not least > 0:
        raise UserError(
            field="sweep.at_least_images_per_s",
            value=least,
            problem="is not a rate",
            remedy="Give pictures per second, such as 2.5.",
        )


def _check_cache(config: Config) -> None:
    model, resources = config.model, config.resources
    if model.cache_config and model.cache is None:
        raise UserError(
            field="model.cache_config",
            value=model.cache_config,
            problem="has no effect without model.cache",
            remedy="Set model.cache, or leave it out.",
        )
    one_a_batch = resources.model.batch_size == 1 and resources.calibrate_s is None
    if model.cache in BY_THE_BATCH and not one_a_batch:
        raise UserError(
            field="model.cache",
            value=model.cache,
            problem="decides for a whole batch, so a picture would depend on others in its batch",
            remedy="Set resources.model.batch_size=1 (not with resources=tuned), or use "
            "TaylorSeerCacheConfig, which decides by step.",
        )


def _check_price(config: Config) -> None:
    price = config.resources.price_per_hour
    if config.sweep.objective == "pictures_per_dollar" and not (price.gpu or price.machine):
        raise UserError(
            field="sweep.objective",
            value=config.sweep.objective,
            problem="needs a price",
            remedy="Give resources.price_per_hour.gpu=..., resources.price_per_hour.machine=..., "
            "or both.",
        )


def _check_ray(ray: RayOptions) -> None:
    if ray.nodes and ray.address is None:
        raise UserError(
            field="ray.nodes",
            value=",".join(ray.nodes),
            problem="is for clusters, but ray.address is not set",
            remedy="Leave it out, or use ray=cluster.",
        )
    if (ray.address or "").startswith("ray://"):
        raise UserError(
            field="ray.address",
            value=ray.address,
            problem="is a Ray Client address, which Ray Data does not support here",
            remedy="Give HOST:PORT of the cluster's head, or submit the run: ray job submit.",
        )
    host, _, port = (ray.address or "auto").rpartition(":")
    if host and not (port.isdecimal() and int(port) < 1 << 16):
        raise UserError(
            field="ray.address",
            value=ray.address,
            problem="has no port number after its last colon",
            remedy="Give HOST:PORT of the cluster's head, as `ray start --head` says it.",
        )


def _check_sink(sink: Sink, model: Model) -> None:
    if not (sink.png or sink.image_bytes or sink.webdataset):
        raise UserError(
            field="sink",
            value=sink.name,
            problem="saves no pictures",
            remedy="Set sink.png=true, sink.image_bytes=true or sink.webdataset=true.",
        )
    most = most_pixels(sink)
    check_bounds(8, most, "model.width", model.width)
    check_bounds(8, most, "model.height", model.height)
    if sink.quality is not None and sink.image_format == "png":
        raise UserError(
            field="sink.quality",
            value=sink.quality,
            problem="has no effect with sink.image_format=png, which is lossless",
            remedy="Set sink.image_format=jpeg or webp, or leave it out.",
        )
    if sink.hub is not None and "://" in (sink.path or ""):
        raise UserError(
            field="sink.hub",
            value=sink.hub,
            problem="is pushed from a folder, and sink.path names an object store",
            remedy="Leave sink.path out, or name a folder.",
        )
    if not sink.parquet:
        raise UserError(
            field="sink.parquet",
            value=False,
            problem="the table is how a run knows which rows it has written",
            remedy="Leave it true.",
        )
