"""Text-to-image experiments at scale, in one command."""

import os

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
