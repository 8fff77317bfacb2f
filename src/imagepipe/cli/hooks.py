"""The callbacks that Hydra calls before it makes a folder or writes a file (see
`conf/config.yaml`).

Hydra constructs its callbacks itself, so they find the running command here.
"""

from __future__ import annotations

import copy
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict, read_write

from imagepipe.cli.messages import plain_errors


class Command(Protocol):
    """The command that Hydra runs jobs for. `cfg` is without Hydra's own part, `HydraConfig`."""

    def run_begins(self, cfg: DictConfig) -> None:
        """One run is composed. Raises UserError if it is refused."""

    def sweep_begins(self, cfg: DictConfig, whole: DictConfig) -> None:
        """What all jobs have is composed; `whole` is that with Hydra's own part, to be changed."""


class Before(Callback):
    """Calls the command in `under_way`."""

    under_way: Command | None = None

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        HydraConfig.instance().set_config(config)
        if Before.under_way:
            with _ending():
                Before.under_way.run_begins(_without_hydra(config))

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        HydraConfig.instance().set_config(config)
        if Before.under_way:
            with _ending():
                Before.under_way.sweep_begins(_without_hydra(config), config)


@contextmanager
def _ending() -> Iterator[None]:
    """End the command with any error, also a defect of ours. Hydra only warns of an exception in a
    callback, and would run what was not checked.
    """
    try:
        with plain_errors():
            yield
    except Exception:
        traceback.print_exc()
        sys.exit(1)


def _without_hydra(config: DictConfig) -> DictConfig:
    cfg = copy.deepcopy(config)
    with read_write(cfg), open_dict(cfg):
        del cfg["hydra"]
    return cfg
