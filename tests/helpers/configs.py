"""Configurations as the command composes them."""

from __future__ import annotations

import os
from copy import deepcopy
from functools import cache

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from imagepipe import config as configuration
from imagepipe.cli.checks import config_dir
from imagepipe.config import Config, registration

OF_PYTEST = "PYTEST_CURRENT_TEST"  # which is another in each test


def composed(*overrides: str) -> Config:
    """What `imagepipe OVERRIDES` would run in this environment."""
    environment = frozenset(os.environ.items() - {OF_PYTEST: os.environ.get(OF_PYTEST)}.items())
    return deepcopy(_composed(overrides, environment))


@cache
def _composed(overrides: tuple[str, ...], environment: frozenset[tuple[str, str]]) -> Config:
    """Nobody changes it: it takes 0.05 s to make, and a copy of it 0.0002 s.

    Hydra composes a list of choices once: that takes it 0.1 s. Values are set in a copy of it, in
    Hydra's own grammar.
    """
    values = [
        one for one in OverridesParser.create().parse_overrides(list(overrides)) if _sets(one)
    ]
    typed = {one.input_line for one in values}
    cfg = deepcopy(choices(tuple(one for one in overrides if one not in typed)))
    try:
        for one in values:
            OmegaConf.update(cfg, one.key_or_group, one.value(), merge=True)
    except OmegaConfBaseException:
        return configuration.load(choices(overrides))  # Hydra's words for what is wrong
    return configuration.load(cfg)


def _sets(override: Override) -> bool:
    """Whether it is KEY=VALUE, and no choice from a group."""
    key = override.key_or_group
    plain = override.type == OverrideType.CHANGE and not override.is_sweep_override()
    chooses = override.package is not None or (config_dir() / key).is_dir()
    return plain and not chooses and not key.startswith("hydra.")


@cache
def choices(overrides: tuple[str, ...]) -> DictConfig:
    """What Hydra makes of them. Nothing in it is resolved yet, and nobody changes it."""
    registration.register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return compose("config", list(overrides))
