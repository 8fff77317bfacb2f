"""Scores existing pictures: the scorers' stages of the pipeline, and their columns in a table.

For a run that is its own table, for other pictures a new one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from imagepipe import resources, scoring, tracking
from imagepipe.compat import ray_data
from imagepipe.config import Config, Score, Scorer, Scoring, said_by
from imagepipe.errors import Interrupted, RunFailed, UserError, one_line
from imagepipe.execution import nodes, pipeline
from imagepipe.execution.leaving import leave
from imagepipe.execution.loading import libraries
from imagepipe.execution.place import Place, called, opened, summary_of
from imagepipe.execution.session import cluster, session
from imagepipe.reports import gallery, record, scores, terminal
from imagepipe.reports.progress import Watch
from imagepipe.reports.summary import mlflow_ids, title
from imagepipe.resources.machine import this_machine
from imagepipe.scoring.stage import stage
from imagepipe.signals import termination_as_interrupt
from imagepipe.sink import rescored
from imagepipe.sink.lock import RunLock
from imagepipe.sink.metadata import run_metadata
from imagepipe.sources.pictures import Existing
from imagepipe.stages import engines
from imagepipe.stages.processor import LIGHT_CPUS
from imagepipe.stages.stage import Stage

if TYPE_CHECKING:
    from ray.data import Dataset

CHUNK = 16  # pictures that travel together at most, unless a batch takes more


def score(config: Config, target: str, out: Path, existing: Existing) -> dict[str, Any]:
    """Score what is in `target`, a run's folder, or the pictures that `existing` finds there, whose
    table is made in `out`; the summary.

    What an earlier command has scored stays. Raises UserError before anything starts where
    something cannot work, RunFailed where it broke, Interrupted on Ctrl-C and SIGTERM.
    """
    began = time.time()
    _check(config)
    with termination_as_interrupt(), ExitStack() as stack:
        place, lock = stack.enter_context(opened(target, out, existing))
        mine = Scoring.of(config)
        prompt = _prompt(mine, place, existing)
        journal = {name: said(one, prompt) for name, one in mine.scorer.items()}
        rescored.check_names(place.store, journal, mine.judged, _drawn_with(place))
        console = Console(stderr=True)
        try:
            rows = _score(mine, place, prompt, lock, console)
        except KeyboardInterrupt:
            raise Interrupted("interrupted; the same command resumes it") from None
        rescored.merge(place.store, mine.judged, lock)
        return _leave(mine, place, console, rows, began)


def said(scorer: Scorer, prompt: str) -> dict[str, Any]:
    """What decides the scores of `scorer`, and the column of the prompts."""
    return {"scorer": asdict(scorer), "prompt": prompt}


def _check(config: Config) -> None:
    if not config.scorer:
        raise UserError(
            field="scorer",
            value=engines.NONE,
            problem="nothing would be scored",
            remedy="Choose one, or a list: scorer=clip",
        )
    for scorer in config.scorer.values():
        scoring.check(scorer, one_of=len(config.scorer))
    tracking.check(config.tracking, Path(config.outputs))


def _prompt(config: Scoring, place: Place, existing: Existing) -> str:
    """The column of the prompts. Raises UserError if a scorer reads it, or another, and there is
    nothing in it."""
    prompt = (existing.prompt if place.run else None) or rescored.PROMPT
    for name in _columns(stages(config)):
        is_prompt = name == rescored.PROMPT
        column = prompt if is_prompt else name
        alone = is_prompt and not _asks_prompts(config)
        if alone or rescored.has_values(place.store, column):
            continue
        raise UserError(
            field="--prompt" if is_prompt else "scorer",
            value=existing.prompt if is_prompt else ", ".join(config.scorer),
            problem="there are no prompts, and a scorer asks how well a picture fits its own"
            if is_prompt
            else f"asks for the column {column}, and there is none",
            remedy="Name the column of the table that has them. A folder's PNG files say theirs as "
            "the text prompt"
            if is_prompt
            else "Score a table that has it.",
        )
    return prompt


def _asks_prompts(config: Scoring) -> bool:
    return not all(engines.of("scorer", one).unprompted for one in config.scorer.values())


def _drawn_with(place: Place) -> set[str]:
    """The names of the scores that the run itself gave."""
    return set(place.run.scorer) if place.run else set()


# --- the pipeline


def _score(config: Scoring, place: Place, prompt: str, lock: RunLock, console: Console) -> int:
    """Score the pictures that have no score yet; returns how many."""
    rows = rescored.count(place.store)
    machine = None if config.ray.address else this_machine(config.ray)
    if machine is not None:
        resources.resolve(config, machine, rows)  # refuse before Ray starts
    if not rescored.left(place.store, config.judged, CHUNK):
        return 0
    with session(config.ray, machine, libraries(config), verbose=config.verbose):
        if machine is None:
            nodes.check(config, place.store, None)
        shares, why = resources.resolve(config, machine or cluster(config.ray), rows)
        most = max(share.batch_size for _, share in resources.pools(config, shares))
        chunks = rescored.left(place.store, config.judged, max(CHUNK, most))
        total = sum(len(chunk.places) for chunk in chunks)
        terminal.print_scoring(console, place.folder, total, list(config.scorer), why)
        with terminal.Progress(total, console, doing="scoring") as progress:
            done, since = 0, time.monotonic()
            for counts in _plan(config, place, prompt, shares, chunks, lock):
                done += counts
                progress.update(done, done / (time.monotonic() - since), {})
    return total


def _plan(
    config: Scoring,
    place: Place,
    prompt: str,
    shares: Any,
    chunks: Sequence[rescored.Chunk],
    lock: RunLock,
) -> Iterator[int]:
    """Run it; yields the number of pictures of each stored batch. Raises RunFailed."""
    import ray.data
    from ray.data import DataContext

    context, chain = DataContext.get_current(), stages(config)
    Watch(config.ray.start_timeout_s).follow(context)
    ray_data.end_stalls(context, config.ray.progress_timeout_s)
    items = [asdict(chunk) for chunk in chunks]
    data: Dataset = ray.data.from_items(items, override_num_blocks=len(items))
    data = data.map_batches(
        partial(
            rescored.read,
            store=place.store,
            prompt=prompt,
            columns=_columns(chain),
            asked=_asks_prompts(config),
        ),
        batch_format="pyarrow",
        batch_size=1,
        num_cpus=LIGHT_CPUS,
    )
    pools = dict(resources.pools(config, shares))
    for one in chain:
        data = pipeline.through(data, one, pools[one.name], shares.key(one.name))
    writer = rescored.ScoreWriter(place.store, config.judged, lock)
    plan = pipeline.written(data, config, shares, writer)
    try:
        for counts in plan.iter_batches(batch_size=None, batch_format="pyarrow"):
            yield from counts["rows"].to_pylist()
    except RunFailed:
        raise
    except Exception as error:
        raise RunFailed(f"{one_line(error)}\n  The same command resumes it.") from error


def stages(config: Scoring) -> list[Stage]:
    """The scorers' stages of the pipeline, for one picture per row."""
    return [stage(section, 1, name) for name, section in config.sections.items()]


def _columns(chain: Sequence[Stage]) -> list[str]:
    """The columns that they read, besides the picture."""
    return [*dict.fromkeys(name for one in chain for name in one.reads if name != "image")]


# --- what it leaves


def _leave(
    config: Scoring, place: Place, console: Console, rows: int, began: float
) -> dict[str, Any]:
    """Write the figures to the summary, the gallery and MLflow, all from the table."""
    before = summary_before(place.folder) if place.run else _nothing(place, rows, began)
    judged = _all_judged(place)
    columns = {score.name: score.column for score in judged if not score.is_text}
    found, unscored = rescored.figures(place.store, judged)
    summary = before | {
        "scores": {name: one.figures() for name, one in found.items()},
        "score_columns": columns,
        "score_limits": {**(before.get("score_limits") or {}), **scoring.limits(config)},
        "unscored": unscored.total(),
        "unscored_reasons": dict(unscored.most_common(20)),
    }
    category = (summary.get("samples") or {}).get("category")
    level = config.sweep.level
    scores.add(summary, place.store, place.id_column, category, columns, level)
    run = place.run or config
    tracker = record.track_scores(run, place.folder, is_run=place.run is not None)
    try:
        summary["mlflow"] = mlflow_ids(tracker)
        name = title(run) if place.run else f"Scores of {called(place.store)}"
        heading = gallery.Heading(name, summary, columns, _metadata(place, summary, tracker))
        ids = (place.id_column, *([place.run.dataset.id] if place.run else []))
        what = (place.folder, place.store, ids, place.run, heading, config.sink.gallery_images)
        leave(*what, just_drawn=False)
    finally:
        tracker.finish(summary["status"], summary, pictures=[], folder=place.folder, note=None)
    terminal.print_scored(console, place.folder, rows, summary)
    return summary


def _metadata(
    place: Place, summary: Mapping[str, Any], tracker: tracking.Tracker
) -> dict[str, str]:
    """The metadata of the pictures, if a run has drawn them."""
    if place.run is None:
        return {}
    changed_by = summary.get("changed_by", ())
    stages = [one for one in place.run.stages if one.name in changed_by]
    return run_metadata(place.run, tracker.run_id, stages)


def summary_before(folder: Path) -> dict[str, Any]:
    """The run's summary, without its address on the hub: the table there lacks the new scores,
    so the run can be pushed again.
    """
    return {name: said for name, said in summary_of(folder).items() if name != "hub"}


def _all_judged(place: Place) -> list[Score]:
    """The scores of the run itself, and of each scoring since."""
    later = {n: Scorer(**kept["scorer"]) for n, kept in rescored.journal(place.store).items()}
    added = [one for n, scorer in later.items() for one in said_by(scorer, f"scorer_{n}")]
    return [*(place.run.judged if place.run else ()), *added]


def _nothing(place: Place, rows: int, began: float) -> dict[str, Any]:
    """The summary for pictures that no run has drawn."""
    return {
        "status": "FINISHED",
        "trouble": None,
        "pictures": rescored.count(place.store),
        "images_per_s": {"end_to_end": rows / (time.time() - began), "steady": None},
        "samples": {"id": place.id_column, "ids": []},
        "store": None,
        "sweep": None,
    }
