"""`imagepipe.dataset`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagepipe import config as configuration
from imagepipe import resources, sources
from imagepipe.api.overrides import checked, overrides
from imagepipe.config import Filter
from imagepipe.errors import UserError
from imagepipe.execution import pipeline, session
from imagepipe.execution.loading import libraries
from imagepipe.resources.machine import this_machine

if TYPE_CHECKING:
    from ray.data import Dataset


def dataset(*typed: str, config_dir: str | Path | None = None, **keys: Any) -> Dataset:
    """The pipeline as a lazy `ray.data.Dataset`, for more work in Ray Data. Nothing is written.

    The arguments are those of `run`. A row has the columns of the input, `base_prompt`, `prompt`,
    `seed`, `image` (uint8 of shape n, height, width, 3, for the row's n pictures), and `score` if
    there is a scorer. If rows have different sizes (`model.columns`), `image` is a struct of
    `pixels` (the bytes of that array), `height` and `width`. For a row that failed, `failed_reason`
    says why and `image` is empty.

    If Ray does not run yet, it is started with this machine's CPUs and GPUs, and runs until
    `ray.shutdown()` or the end of the process. Raises UserError as `run` does.
    """
    with checked(overrides(typed, keys), config_dir) as cfg:
        config = configuration.load(cfg)
    _refuse_filter(config.filter)
    tables = sources.scan(config.dataset, config.limit, config.model.columns)
    stages = pipeline.check(config, tables)
    joined = session.is_anothers() or config.ray.address is not None
    if not joined:
        resources.resolve(config, this_machine(config.ray), tables.rows)  # refused before it starts
    machine = session.started(config, libraries(config))
    shares, _ = resources.resolve(config, machine, tables.rows)
    return pipeline.drawn(config, tables, stages, shares)


def _refuse_filter(given: Filter) -> None:
    """What is kept is decided where pictures are written, and here none is."""
    for key, value in asdict(given).items():
        if value is not None:
            raise UserError(
                field=f"filter.{key}",
                value=value,
                problem="decides which pictures are written, and imagepipe.dataset writes none",
                remedy="Leave it out, and filter the rows: data.filter(expr=...).",
            )
