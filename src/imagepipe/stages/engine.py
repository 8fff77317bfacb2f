"""A line of the table of engines: what the rest of imagepipe must know of an engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

TARGET = "_target_"  # in place of a class: the one that the section names there


class Section(Protocol):
    """A section of the configuration that names an engine; `section` is its kind."""

    engine: str
    _target_: str | None

    @property
    def section(self) -> str: ...


@dataclass(frozen=True)
class Engine:
    """What is known of an engine before it is imported. Functions and classes are dotted paths."""

    # Called with its section of the configuration; empty: its stage has no work.
    made_by: str
    # Its stage runs in a pool of processes that keep it; false: in tasks, which keep nothing.
    actors: bool = True
    # `path` names weights: looked at before the run starts, counted by a plan.
    weights: bool = False
    # What its processes load before anything else: `module`, or `module:name` in it.
    libraries: tuple[str, ...] = ()
    # Called with its section on the driver; raises UserError if it could not work.
    check: str | None = None
    # The package without which `auto` takes another.
    package: str | None = None
    # `auto` takes it for the embedded model alone, which it was trained beside.
    embedded: bool = False
    # Of a scorer: it looks at the picture alone, so that there need be no prompt.
    unprompted: bool = False
    # Its processes wait for another machine's answers: one is enough, and it needs no CPU.
    waits: bool = False
    # Its batches overlap, so the times of rows add up to more than its processes were busy.
    overlaps: bool = False
    # Why a calibration cannot measure it; null: it can.
    unmeasured: str | None = None
    spreads: bool = False  # whole GPUs: one of its processes lays a model over several
    # A processor of `ray.data.llm` does its work: `made_by` is the module with its parts.
    processor: bool = False
    # Of a model: called with its section, tells which prompts it reads to their end.
    prompt_limit: str | None = None
    # Of a model: called with its section, what its rows' sizes and strengths have to be.
    row_limits: str | None = None
    # Of a model: the module that tells what its weights take, and a picture of it.
    memory: str | None = None
    # Of a model: signs in a prompt that other tools obey, such as (word:1.2), are text to it.
    literal_prompts: bool = False
    # Of a model that is asked elsewhere: called with its section, tells which settings it is not
    # told.
    unsent: str | None = None
    # Of a model: without so many steps there is no picture.
    least_steps: int = 0
    # Of a scorer: it is a `scoring.RowScorer`, with columns of its own.
    by_row: bool = False
    also: tuple[str, ...] = ()  # what it says beside the answers to `questions`
    writes: bool = False  # texts, and gives no scores

    @property
    def works(self) -> bool:
        return self.made_by != ""

    @property
    def is_custom(self) -> bool:
        """Whether it is a class that the configuration names, which could run any code."""
        return self.made_by == TARGET
