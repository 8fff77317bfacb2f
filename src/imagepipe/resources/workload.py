"""What a run needs of a machine, whatever its shares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from imagepipe.config import Config, Resources, Share
from imagepipe.resources.packing import Pools
from imagepipe.stages import engines

# How `auto` divides a GPU among the stages that a run has, by their kinds. More than half of it for
# the model: Ray fills a GPU up before it begins another, and would put two halves on one. A custom
# stage has what it is given: it may need none.
GPU_PARTS = {"llm": 4, "model": 7, "scorer": 2, "stages": 0}


@dataclass(frozen=True)
class Workload:
    """A run of `rows` rows, and the `requested` shares; 0 leaves a value open."""

    pooled: tuple[str, ...]  # the stages that run in pools of processes
    drawing: frozenset[str]  # those of them up to the one that draws
    gpu_parts: Mapping[str, int]  # of a GPU, which stages share in these proportions
    waiting: frozenset[str]  # those of them that only wait for another machine's answers
    row_bytes: int  # of the raw pictures of a row, those that go in included
    rows: int
    requested: Resources

    def pools(self, resources: Resources) -> Pools:
        return {stage: resources.share(stage) for stage in self.pooled}


def workload(config: Config, rows: int) -> Workload:
    model, chosen, sections = config.model, engines.chosen(config), config.sections
    kinds = {stage: section.section for stage, section in sections.items()}
    return Workload(
        pooled=tuple(stage for stage, engine in chosen.items() if engine.actors),
        drawing=frozenset(stage for stage, kind in kinds.items() if kind in ("llm", "model")),
        gpu_parts={stage: GPU_PARTS[kind] for stage, kind in kinds.items()},
        waiting=frozenset(stage for stage, engine in chosen.items() if engine.waits),
        row_bytes=(model.images_per_prompt + len(model.pictures)) * model.height * model.width * 3,
        rows=rows,
        requested=config.resources,
    )


def pools(config: Config, resources: Resources) -> Iterator[tuple[str, Share]]:
    """The stages that run as actors, with their shares."""
    yield from workload(config, 0).pools(resources).items()
