"""Configurations as the command composes them."""

from __future__ import annotations

from hydra import compose, initialize_config_dir

from imagepipe import config as configuration
from imagepipe.cli.checks import config_dir
from imagepipe.config import registration


def composed(*overrides: str) -> configuration.Config:
    registration.register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return configuration.load(compose("config", list(overrides)))
