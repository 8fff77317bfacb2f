"""Configurations as the command composes them."""

from __future__ import annotations

from functools import cache

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from imagepipe import config as configuration
from imagepipe.cli.checks import config_dir
from imagepipe.config import registration


def composed(*overrides: str) -> configuration.Config:
    return configuration.load(_composed(overrides))


@cache
def _composed(overrides: tuple[str, ...]) -> DictConfig:
    """What Hydra makes of them, which takes it 0.1 s, and tests ask for the same again and again.

    Nothing in it is resolved yet, and nobody changes it.
    """
    registration.register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return compose("config", list(overrides))
