"""What several test files share."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """Ray on two CPUs, quiet, for all tests that ask for it."""
    import ray

    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    ray.data.DataContext.get_current().print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def untrained(tmp_path_factory) -> Callable[[str], Path]:
    """The folder of a hub id's tiny architecture, without weights."""
    import tiny_pipelines

    root = tmp_path_factory.mktemp("architectures")

    def folder(hub_id: str) -> Path:
        where = root / hub_id.replace("/", "--")
        return where if where.exists() else tiny_pipelines.write(hub_id, where)

    return folder


@pytest.fixture(scope="session")
def trained(untrained, tmp_path_factory) -> Callable[[str], Path]:
    """The same with weights, as diffusers saves them."""
    import torch
    from tiny_pipelines import small

    from imagepipe.diffusion import random_weights

    root = tmp_path_factory.mktemp("weights")

    def folder(hub_id: str) -> Path:
        where = root / hub_id.replace("/", "--")
        if not where.exists():
            model = small(untrained(hub_id), weights="random")
            random_weights.pipeline(model, "cpu", torch.float32).save_pretrained(where)
        return where

    return folder
