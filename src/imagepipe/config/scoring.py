"""The configuration of `imagepipe score`: existing pictures get scores, nothing is drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from imagepipe.config.names import Score, said_by, scorer_stages
from imagepipe.config.schema import Config


@dataclass
class Scoring(Config):
    """A configuration that only scores: the pictures exist already."""

    @property
    def sections(self) -> dict[str, Any]:
        """The scorers, each by `scorer_NAME`: their columns stand beside others."""
        return {f"scorer_{name}": one for name, one in self.scorer.items()}

    @property
    def judged(self) -> tuple[Score, ...]:
        return tuple(one for stage, s in self.sections.items() for one in said_by(s, stage))

    @classmethod
    def of(cls, config: Config) -> Scoring:
        """`config` with a share for each scorer, also for a single one."""
        before = scorer_stages(config.scorer)
        shares = {f"scorer_{n}": config.resources.share(stage) for stage, n in before.items()}
        resources = replace(config.resources, scorers=shares, calibrate_s=None)
        return cls(**vars(config) | {"resources": resources})
