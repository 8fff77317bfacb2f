"""Text-to-image experiments at scale, in one command or from Python (`run`)."""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imagepipe.api import Result, compare, dataset, run
    from imagepipe.errors import Interrupted, RunFailed, UserError

__all__ = ["Interrupted", "Result", "RunFailed", "UserError", "compare", "dataset", "run"]

__version__ = "0.1.0"

# No library tells its makers what is drawn here. Each reads its variable when it is imported, so
# they are set before that, in every process that imports a part of this package: workers too.
NO_TELEMETRY = {
    "DO_NOT_TRACK": "1",  # https://donottrack.sh: the hub's client, vLLM
    "HF_HUB_DISABLE_TELEMETRY": "1",  # diffusers and transformers ask the hub's client
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "VLLM_NO_USAGE_STATS": "1",
}
for _name, _value in NO_TELEMETRY.items():
    os.environ.setdefault(_name, _value)

# Each command is a module of cli/, and can also be typed as `python -m imagepipe.plan`.
__path__.append(os.path.join(os.path.dirname(__file__), "cli"))


def __getattr__(name: str) -> Any:
    """The public names, loaded when they are used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "errors" if name in ("Interrupted", "RunFailed", "UserError") else "api"
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
