"""What a run wants of a machine, whatever its shares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from imagepipe.config import Config, Resources, Share
from imagepipe.resources.packing import Pools
from imagepipe.stages import engines


@dataclass(frozen=True)
class Workload:
    """A run of `rows` rows, and the shares that are `requested` for it: a 0 leaves one open."""

    pooled: tuple[str, ...]  # the stages that run in pools of processes
    waiting: frozenset[str]  # those of them that only wait for another machine's answers
    row_bytes: int  # of the raw pictures of a row
    rows: int
    requested: Resources

    def pools(self, resources: Resources) -> Pools:
        return {stage: resources.share(stage) for stage in self.pooled}


def workload(config: Config, rows: int) -> Workload:
    model, chosen = config.model, engines.chosen(config)
    return Workload(
        pooled=tuple(stage for stage, engine in chosen.items() if engine.actors),
        waiting=frozenset(stage for stage, engine in chosen.items() if engine.waits),
        row_bytes=model.images_per_prompt * model.height * model.width * 3,
        rows=rows,
        requested=config.resources,
    )


def pools(config: Config, resources: Resources) -> Iterator[tuple[str, Share]]:
    """The stages that run as actors, with their shares."""
    yield from workload(config, 0).pools(resources).items()
