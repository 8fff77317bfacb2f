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

    Hydra composes a choice once: that takes it 0.1 s. Values are set in a copy of it, in Hydra's
    own grammar.
    """
    typed = OverridesParser.create().parse_overrides(list(overrides))
    values = [one for one in typed if _sets(one)]
    cfg = _chosen([one for one in typed if one not in values])
    try:
        for one in values:
            OmegaConf.update(cfg, one.key_or_group, one.value(), merge=True)
    except OmegaConfBaseException:
        return configuration.load(choices(overrides))  # Hydra's words for what is wrong
    return configuration.load(cfg)


def _sets(override: Override) -> bool:
    """Whether it is KEY=VALUE, and no choice from a group."""
    key = override.key_or_group
    chooses = override.package is not None or (config_dir() / key).is_dir()
    return _is_plain(override) and not chooses and not key.startswith("hydra.")


def _is_plain(override: Override) -> bool:
    return override.type == OverrideType.CHANGE and not override.is_sweep_override()


def _chosen(overrides: list[Override]) -> DictConfig:
    """What Hydra makes of choices, of which each decides the section of its group alone."""
    sections = [one.key_or_group for one in overrides]
    whole = choices(())
    apart = all(_is_plain(one) and one.package is None for one in overrides)
    if not apart or not set(sections) <= whole.keys() or len(set(sections)) < len(sections):
        return deepcopy(choices(tuple(one.input_line for one in overrides)))
    cfg = deepcopy(whole)
    for one in overrides:
        cfg[one.key_or_group] = choices((one.input_line,))[one.key_or_group]
    return cfg


@cache
def choices(overrides: tuple[str, ...]) -> DictConfig:
    """What Hydra makes of them. Nothing in it is resolved yet, and nobody changes it."""
    registration.register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return compose("config", list(overrides))
