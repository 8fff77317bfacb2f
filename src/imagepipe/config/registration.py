"""What Hydra gets before it composes: the schema of a run, and of the sweepers.

Not in `config`, which every process of a run imports: only the command needs Hydra.
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
from imagepipe.config import Config, Dataset, Join, Model, Resources, Share


@dataclass
class Optuna(OptunaSweeperConf):
    """`hydra/sweeper=optuna`: maximises, and continues after a failed job."""

    direction: Any = "maximize"
    n_jobs: int = 1  # jobs that are chosen at once; they run one after another anyway
    max_failure_rate: float = 1.0


@dataclass
class OpenResources(Resources):
    """Also accepts the shares of scorers by name, beside the share of each."""

    scorer: Any = field(default_factory=lambda: asdict(Share()))
    scorers: Any = field(default_factory=dict)
    own: Any = field(default_factory=dict)


@dataclass
class OpenModel(Model):
    """Also accepts parts that are set key by key: model.parts.unet.path=FILE."""

    parts: Any = field(default_factory=dict)


@dataclass
class OpenJoin(Join):
    """Also accepts the options of its format if none is set before."""

    read: Any = None


@dataclass
class OpenDataset(Dataset):
    """Also accepts the options of its format."""

    join: OpenJoin = field(default_factory=OpenJoin)


@dataclass
class OpenConfig(Config):
    """Also accepts the keys of a single scorer without its name, and the arguments of custom
    stages; `loading` sorts them.
    """

    dataset: OpenDataset = field(default_factory=OpenDataset)
    model: OpenModel = field(default_factory=OpenModel)
    scorer: Any = field(default_factory=dict)
    stages: Any = field(default_factory=list)
    resources: OpenResources = field(default_factory=OpenResources)


def schema() -> DictConfig:
    """The schema against which Hydra checks keys and values. A mapping accepts any key: `load`,
    the reader of a table, or the library that gets it checks its keys.
    """
    node: DictConfig = OmegaConf.structured(OpenConfig)
    _open_mappings(node)
    return node


def _open_mappings(section: DictConfig) -> None:
    """Let a new key in a mapping be set like any other; Hydra would require a plus before it."""
    for name in section:
        value = None if OmegaConf.is_missing(section, name) else section[name]
        if isinstance(value, DictConfig) and OmegaConf.get_type(value) is dict:
            OmegaConf.set_struct(value, False)
        elif isinstance(value, DictConfig):
            _open_mappings(value)


@cache
def register() -> None:
    """Register the schema with Hydra under the name that `conf/config.yaml` uses."""
    share_config_store()
    Plugins.instance()  # loads the plugins, of which Optuna's stores its own configuration
    store = ConfigStore.instance()
    store.store(name="schema", node=schema())
    store.store(group="hydra/sweeper", name="optuna", node=Optuna)
