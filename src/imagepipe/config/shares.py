"""The share of each stage: CPUs, GPUs, processes, batch size."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from omegaconf import MISSING

from imagepipe.config.fields import bounded
from imagepipe.config.names import scorer_stages, share_key


@dataclass
class Share:
    """What one stage may use: each of its `pool` processes gets this share of CPUs and GPUs."""

    num_cpus: float = bounded(0.0, least=0)  # CPUs of each process
    num_gpus: float = bounded(0.0, least=0)  # GPUs of each process; may be a fraction
    pool: int = bounded(1, least=0)  # number of processes; 0: `auto` chooses
    # Ray Data may start up to this many where there is room, also on new nodes; null: `pool`
    pool_max: int | None = bounded(None, least=1)
    batch_size: int = bounded(8, least=1)  # rows per batch; on a server, requests at once
    # GiB of main memory that Ray reserves for each process; 0: none
    memory_gb: float = bounded(0.0, least=0)
    # custom resources of Ray for each process
    custom: dict[str, float] = field(default_factory=dict)


@dataclass
class Price:
    """What an hour costs, in any one currency."""

    gpu: float | None = bounded(None, least=0)  # price of one GPU for an hour
    # price of a machine without its GPUs for an hour
    machine: float | None = bounded(None, least=0)


@dataclass
class Resources:
    """What each stage gets of the machine. With `auto` this is chosen when the run starts."""

    name: str = MISSING  # name in reports
    auto: bool = False  # choose shares for this machine
    # with `auto`: seconds for measuring the stages first; null: choose by a rule
    calibrate_s: float | None = bounded(None, least=1)
    llm: Share = field(default_factory=Share)
    model: Share = field(default_factory=Share)
    scorer: Share = field(default_factory=Share)
    # made of `resources.scorer` and `resources.scorer.NAME`, with several scorers; do not set it
    scorers: dict[str, Share] = field(default_factory=dict)
    # shares of `stages`; do not set it, but in the entries of `stages`
    own: dict[str, Share] = field(default_factory=dict)
    sink: Share = field(default_factory=lambda: Share(pool=0, batch_size=4096))
    # rows per block of Ray Data; null: chosen
    rows_per_block: int | None = bounded(None, least=1)
    price_per_hour: Price = field(default_factory=Price)  # to report the cost of 1,000 pictures

    def share(self, stage: str) -> Share:
        """The share of a stage, or of the sink."""
        found: Share = self.scorers.get(stage) or self.own.get(stage) or getattr(self, stage)
        return found

    def shares(self) -> dict[str, Share]:
        """All shares, by the names of their stages."""
        scoring = self.scorers or {"scorer": self.scorer}
        return {"llm": self.llm, "model": self.model, **scoring, **self.own, "sink": self.sink}

    def key(self, stage: str) -> str:
        """The key of a stage's share, as it is typed."""
        return f"stages.{[*self.own].index(stage)}" if stage in self.own else share_key(stage)

    def of_scorers(self, before: Collection[str], names: Collection[str]) -> Resources:
        """The resources for only the scorers in `names`, which were among `before`."""
        was = {name: self.share(stage) for stage, name in scorer_stages(before).items()}
        shares = {stage: was[name] for stage, name in scorer_stages(names).items()}
        if len(names) == 1:
            return replace(self, scorers={}, scorer=shares["scorer"])
        return replace(self, scorers=shares)

    def changed(self, shares: Mapping[str, Share]) -> Resources:
        """The resources with other `shares` for some stages."""
        scorers = {stage: share for stage, share in shares.items() if stage in self.scorers}
        own = {stage: share for stage, share in shares.items() if stage in self.own}
        others: dict[str, Any] = {s: v for s, v in shares.items() if s not in scorers | own}
        return replace(self, scorers=self.scorers | scorers, own=self.own | own, **others)
