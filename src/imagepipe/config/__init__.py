"""The typed schema of a run: what each configuration key means, and the checks across keys."""

from __future__ import annotations

from imagepipe.config.checks import check, check_model, most_pixels
from imagepipe.config.loading import (
    MAY_CHANGE,
    NOT_GIVEN,
    built,
    config_digest,
    digest_source,
    json_digest,
    keys,
    load,
    recorded,
    to_yaml,
    unchecked,
    with_defaults,
)
from imagepipe.config.models import IPAdapter, Lora, Model, Part, Quantization, TextualInversion
from imagepipe.config.names import (
    PICTURES,
    PROMPT,
    Score,
    by_error,
    said_by,
    scorer_stages,
    share_key,
)
from imagepipe.config.own import OwnStage
from imagepipe.config.schema import (
    LLM,
    MOST_SAMPLES,
    Config,
    Distance,
    Filter,
    RayOptions,
    Scorer,
    Sink,
    Sweep,
    Tracking,
)
from imagepipe.config.scoring import Scoring
from imagepipe.config.secrets import check_named, check_secrets
from imagepipe.config.servers import Server
from imagepipe.config.shares import Price, Resources, Share
from imagepipe.config.tables import Dataset, Join

__all__ = [
    "LLM",
    "MAY_CHANGE",
    "MOST_SAMPLES",
    "NOT_GIVEN",
    "PICTURES",
    "PROMPT",
    "Config",
    "Dataset",
    "Distance",
    "Filter",
    "IPAdapter",
    "Join",
    "Lora",
    "Model",
    "OwnStage",
    "Part",
    "Price",
    "Quantization",
    "RayOptions",
    "Resources",
    "Score",
    "Scorer",
    "Scoring",
    "Server",
    "Share",
    "Sink",
    "Sweep",
    "TextualInversion",
    "Tracking",
    "built",
    "by_error",
    "check",
    "check_model",
    "check_named",
    "check_secrets",
    "config_digest",
    "digest_source",
    "json_digest",
    "keys",
    "load",
    "most_pixels",
    "recorded",
    "said_by",
    "scorer_stages",
    "share_key",
    "to_yaml",
    "unchecked",
    "with_defaults",
]
