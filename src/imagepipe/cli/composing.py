"""Composing a configuration without running it, for the commands that take a run's keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import open_dict, read_write

from imagepipe import config as configuration
from imagepipe import shell
from imagepipe.cli.checks import check_presets, config_dir
from imagepipe.config import Config, registration
from imagepipe.errors import UserError


def composed(overrides: Sequence[str], own: str | None) -> Config:
    """What `imagepipe OVERRIDES` would run, with the presets in the folder `own` too.

    Raises UserError, and Hydra's own errors.
    """
    registration.register()
    more = [f"hydra.searchpath=[{_place(own)}]"] if own else []
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        cfg = compose("config", [*overrides, *more], return_hydra_config=True)
    check_presets(cfg, cfg.hydra)
    with read_write(cfg), open_dict(cfg):
        del cfg["hydra"]
    return configuration.load(cfg)


def _place(own: str) -> str:
    """The folder `own` as a value in Hydra's grammar. Raises UserError where there is none."""
    if not Path(own).is_dir():
        raise UserError(
            field="--config-dir",
            value=own,
            problem="is no folder",
            remedy="Name the one that holds your presets.",
        )
    return shell.quoted(f"file://{Path(own).absolute()}")
