"""Composing a configuration without running it, for the commands that take a run's keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict, read_write

from imagepipe import config as configuration
from imagepipe import shell
from imagepipe.cli.checks import check_choices, check_presets, config_dir
from imagepipe.config import Config, registration
from imagepipe.errors import UserError


def composed(overrides: Sequence[str], own: str | None) -> Config:
    """What `imagepipe OVERRIDES` would run. Raises UserError, and Hydra's own errors."""
    with composing(overrides, own) as cfg:
        return configuration.load(cfg)


@contextmanager
def composing(overrides: Sequence[str], own: str | None) -> Iterator[DictConfig]:
    """What `imagepipe OVERRIDES` composes, with the presets in the folder `own` too.

    Without Hydra's own part, which is the current HydraConfig within it; afterwards Hydra is as it
    was found. Raises UserError, and Hydra's own errors.
    """
    check_choices(overrides)
    registration.register()
    more = [f"hydra.searchpath=[{_place(own)}]"] if own else []
    with _hydra_put_aside():
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            cfg = compose("config", [*overrides, *more], return_hydra_config=True)
        check_presets(cfg, cfg.hydra)
        HydraConfig.instance().set_config(cfg)
        with read_write(cfg), open_dict(cfg):
            del cfg["hydra"]
        yield cfg


@contextmanager
def _hydra_put_aside() -> Iterator[None]:
    """An application of somebody's own may be under way, which has initialized Hydra for itself."""
    found, config = GlobalHydra.instance(), HydraConfig.instance().cfg
    hydra = found.hydra
    found.clear()
    try:
        yield
    finally:
        GlobalHydra.set_instance(found)
        found.hydra = hydra
        HydraConfig.instance().cfg = config


def _place(own: str) -> str:
    """The folder `own` as a value in Hydra's grammar. Raises UserError where there is none."""
    if not Path(own).is_dir():
        raise UserError(
            field="--config-dir",
            value=own,
            problem="is not a folder",
            remedy="Name the one that holds your presets.",
        )
    return shell.quoted(f"file://{Path(own).absolute()}")
