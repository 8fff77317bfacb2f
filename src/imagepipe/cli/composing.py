"""Composes a configuration without running it, for commands that accept the keys of a run."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, open_dict, read_write

from imagepipe import config as configuration
from imagepipe import shell
from imagepipe.cli.checks import check_choices, check_presets, config_dir
from imagepipe.cli.messages import COMPOSING
from imagepipe.config import Config, registration
from imagepipe.errors import UserError, one_line


def composed(overrides: Sequence[str], own: str | None) -> Config:
    """The configuration that `imagepipe OVERRIDES` would run. Raises UserError, and Hydra's own
    errors.
    """
    with composing(overrides, own) as cfg:
        return configuration.load(cfg)


@contextmanager
def composing(overrides: Sequence[str], own: str | None) -> Iterator[DictConfig]:
    """What Hydra composes for `imagepipe OVERRIDES`, also with the presets in the folder `own`.

    Hydra's own part is left out; inside the block it is the current HydraConfig. Afterwards Hydra's
    state is as before. Raises UserError, and Hydra's own errors.
    """
    check_choices(overrides)
    registration.register()
    more = [f"hydra.searchpath=[{_place(own)}]"] if own else []
    with _hydra_put_aside():
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            cfg = _compose([*overrides, *more])
        check_presets(cfg, cfg.hydra)
        HydraConfig.instance().set_config(cfg)
        with read_write(cfg), open_dict(cfg):
            del cfg["hydra"]
        yield cfg


def _compose(overrides: list[str]) -> DictConfig:
    try:
        return compose("config", overrides, return_hydra_config=True)
    except (*COMPOSING, UnicodeDecodeError, PermissionError):
        raise
    except Exception as error:  # Hydra's own keys end it in whatever way
        said = f"{shlex.join(overrides)}: Hydra cannot use that: {one_line(error, 500)}"
        raise HydraException(said) from None


@contextmanager
def _hydra_put_aside() -> Iterator[None]:
    """The caller may be an application that has initialized Hydra for itself."""
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
    """The folder `own` as a value in Hydra's grammar. Raises UserError if there is none."""
    if not Path(own).is_dir():
        raise UserError(
            field="--config-dir",
            value=own,
            problem="is not a folder",
            remedy="Name the one that holds your presets.",
        )
    return shell.quoted(f"file://{Path(own).absolute()}")
