"""What MLflow gets of a run: parameters, tags, live metrics, a note."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from imagepipe import __version__, diffusion, sources, tracking
from imagepipe.config import Config, Dataset, config_digest, json_digest, to_yaml
from imagepipe.reports.job import Job, scorer_names
from imagepipe.reports.summary import mlflow_ids, sweep_entry, write_json
from imagepipe.reports.sweep_job import SweepJob
from imagepipe.sink.ledger import Ledger


def track(
    config: Config,
    folder: Path,
    overrides: Sequence[str],
    sweep_job: SweepJob | None,
    tables: sources.Tables | None,
) -> tracking.Tracker:
    """Start the MLflow record of a run. `tables` null: a refused run that never read them."""
    name = config.tracking.run_name or (sweep_job.label if sweep_job else None)
    return tracking.start(
        replace(config.tracking, run_name=name),
        outputs=Path(config.outputs).absolute(),
        folder=folder,
        params=params(config, overrides, sweep_job.swept if sweep_job else {}),
        tags={
            "imagepipe.version": __version__,
            "imagepipe.config_digest": config_digest(config),
            **({"sweep": sweep_job.sweep} if sweep_job else {}),
        },
        datasets=datasets(config.dataset, tables) if tables else [],
        config_yaml=to_yaml(config),
        parent=sweep_job.parent if sweep_job else None,
    )


def track_scores(config: Config, folder: Path, *, is_run: bool) -> tracking.Tracker:
    """Start or continue the MLflow record of scored pictures: of a run, or of others."""
    if is_run:
        quiet = replace(config.tracking, system_metrics=False)
        return track(replace(config, tracking=quiet), folder, [], None, None)
    return tracking.start(
        replace(config.tracking, system_metrics=False),
        outputs=Path(config.outputs).absolute(),
        folder=folder,
        params={"scorer": scorer_names(config)},
        tags={"imagepipe.version": __version__},
        datasets=[],
        config_yaml=to_yaml(config),
    )


def params(config: Config, overrides: Sequence[str], swept: Mapping[str, str]) -> dict[str, str]:
    """The choices, the typed settings and the swept ones: few, because MLflow prints all of them
    above a picture.
    """
    params = {
        "dataset": config.dataset.name,
        "llm": config.llm.name,
        "llm_engine": config.llm.engine,
        "model": config.model.name,
        "scorer": scorer_names(config),
        "resources": config.resources.name,
        **({} if "steps" in diffusion.unsent(config.model) else {"steps": str(config.model.steps)}),
        "size": f"{config.model.width}x{config.model.height}",
        "seed": str(config.seed),
    }
    for text in overrides:
        key, _, value = text.lstrip("+~").partition("=")
        if key.startswith(("resources.", "model.", "llm.")) and key not in ("model.steps",):
            params[key] = value
    return params | {key: value for key, value in swept.items() if key not in params}


def datasets(data: Dataset, tables: sources.Tables) -> list[tracking.DatasetInfo]:
    return [
        tracking.DatasetInfo(
            name=data.name,
            path=str(data.path),
            format=data.format,
            rows=tables.rows,
            columns=tables.columns,
            digest=json_digest([str(data.path), tables.rows, tables.columns, tables.first_ids], 4),
        )
    ]


def live(ledger: Ledger) -> dict[str, float]:
    """The MLflow metrics during the run."""
    rate = ledger.steady()
    values = {"rows_done": float(ledger.rows), "failed": float(ledger.failed)}
    return {**values, "images_per_s/steady": rate} if rate else values


def note(job: Job, summary: dict[str, Any]) -> str:
    """What MLflow shows on the run's page."""
    counts = ", ".join(f"{name} {number}" for name, number in job.ledger.counts().items())
    lines = [f"{summary['status']}: {counts}.", f"Folder: {job.folder}", job.why]
    if job.config.sink.path:
        lines.append(f"Pictures and table: {job.store.url}")
    for stage, rows in job.ledger.reused.items():
        lines.append(f"{stage}: {rows} rows reused from earlier runs.")
    return "\n".join([*lines, summary["trouble"] or ""]).strip()


def finish_early(
    tracker: tracking.Tracker,
    folder: Path,
    status: tracking.Status,
    trouble: str,
    sweep_job: SweepJob | None,
) -> None:
    """Write `summary.json` of a run that never started to draw, and end its record."""
    summary = {
        "status": status,
        "trouble": trouble,
        "mlflow": mlflow_ids(tracker),
        "sweep": sweep_entry(sweep_job),
    }
    write_json(folder / "summary.json", summary)
    tracker.finish(status, summary=summary, pictures=[], folder=folder, note=trouble)
