"""What Hydra is told before it composes: the schema of a run, and of the sweepers.

Apart from `config`, which every process of a run imports: Hydra is for the command alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra_plugins.hydra_optuna_sweeper.config import OptunaSweeperConf
from omegaconf import DictConfig, OmegaConf

from imagepipe.compat.hydra import share_config_store
from imagepipe.config import Config, Dataset, Join, Resources, Share


@dataclass
class Optuna(OptunaSweeperConf):
    """`hydra/sweeper=optuna`: looks for the most, and goes on after a job that failed."""

    direction: Any = "maximize"
    n_jobs: int = 1  # jobs that are chosen at once; they run one after another anyway
    max_failure_rate: float = 1.0


@dataclass
class OpenResources(Resources):
    """With room for the shares of scorers by name, beside what holds for each."""

    scorer: Any = field(default_factory=lambda: asdict(Share()))


@dataclass
class OpenJoin(Join):
    """With room for the options of its format, also where none is said before."""

    read: Any = None


@dataclass
class OpenDataset(Dataset):
    """With room for the options of its format, which are the format's own."""

    join: OpenJoin = field(default_factory=OpenJoin)


@dataclass
class OpenConfig(Config):
    """With room for what is said of the only scorer without its name, and for the arguments of
    stages of a person's own. `loading` sorts it.
    """

    dataset: OpenDataset = field(default_factory=OpenDataset)
    scorer: Any = field(default_factory=dict)
    stages: Any = field(default_factory=list)
    resources: OpenResources = field(default_factory=OpenResources)


def schema() -> DictConfig:
    """What Hydra checks keys and values against, but for those of scorers and parts of a model,
    which `load` checks, and the options of a format, which its reader does.
    """
    node: DictConfig = OmegaConf.structured(OpenConfig)
    for opened in (node.scorer, node.resources.scorer, node.dataset.read, node.model.parts):
        OmegaConf.set_struct(opened, False)
    return node


@cache
def register() -> None:
    """Make the schema known to Hydra, under the name that `conf/config.yaml` asks for."""
    share_config_store()
    Plugins.instance()  # loads the plugins, of which Optuna's stores its own configuration
    store = ConfigStore.instance()
    store.store(name="schema", node=schema())
    store.store(group="hydra/sweeper", name="optuna", node=Optuna)
