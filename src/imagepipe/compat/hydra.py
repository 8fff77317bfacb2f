"""Changes to Hydra."""

from __future__ import annotations

from typing import Any

from imagepipe.compat import find


def share_config_store() -> None:
    """Let a copy of Hydra's store of configurations be the store itself.

    Hydra copies it for every group that --help lists, which took 1.5 s of 2. It is a singleton,
    and only read once all is registered.
    """
    store = find("hydra.core.config_store", "ConfigStore", "--help takes a second longer.")
    if store is not None:
        store.__deepcopy__ = _itself


def _itself(store: Any, memo: dict[int, Any]) -> Any:
    return store
