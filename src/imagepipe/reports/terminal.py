"""What the terminal shows before, during and after a run."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from imagepipe import diffusion, shell, tracking
from imagepipe.config import Config, Model
from imagepipe.errors import figure, shown
from imagepipe.reports import cost, distances, figures, notes, scores
from imagepipe.reports.comparison import Comparison
from imagepipe.reports.job import Job, scorer_names
from imagepipe.reports.notebook import NotebookBar
from imagepipe.sink.ledger import Ledger
from imagepipe.stages import engines

LINE_EVERY_S = 10.0
RANDOM = (
    "model.weights=random: random weights, to measure speed and memory. The pictures are noise; "
    "LoRAs are left out."
)


class Progress:
    """A live line in a terminal, a bar in a notebook, and otherwise a line every ten seconds.

    It shows rows done of `total`, pictures per second, the time left and what each stage is doing.
    """

    def __init__(self, total: int, console: Console, doing: str = "drawing") -> None:
        self.total, self.console = total, console
        self.start = self.last_line = time.monotonic()
        self.bar = Bar(
            TextColumn(doing),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[stages]}", style="dim"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.notebook = NotebookBar() if console.is_jupyter else None
        self.task = self.bar.add_task("", total=total, rate="", stages="starting")

    def __enter__(self) -> Progress:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def say(self, text: str) -> None:
        """One line above the bar."""
        self.console.print(text, highlight=False)

    def update(self, rows: int, rate: float | None, stages: Mapping[str, str]) -> None:
        """`rows` are done; `rate` is pictures per second; `stages` says what each is doing."""
        said = " | ".join(f"{name} {doing}" for name, doing in stages.items())
        speed = f"{figure(rate)} pictures/s" if rate else ""
        self.bar.update(self.task, completed=rows, rate=speed, stages=said)
        now = time.monotonic()
        if self.notebook:
            self.notebook.say(rows, self.total, f"{speed} ({said})" if speed else said)
        elif not self.console.is_terminal and now - self.last_line >= LINE_EVERY_S:
            self.last_line = now
            left = f", {(self.total - rows) / rate:.0f} s left" if rate else ""
            self.console.print(
                f"{now - self.start:.0f} s: {rows} of {self.total} rows"
                f"{', ' + speed if speed else ''}{left} ({said})",
                soft_wrap=True,
                highlight=False,
            )


def side_by_side(console: Console, parts: Sequence[str]) -> None:
    """How many jobs run at once; each of their lines begins with the job's number."""
    line(console, "at once", f"{len(parts)} jobs, with {parts[0]} each")


def print_header(console: Console, job: Job) -> None:
    """What is about to happen, in a few lines; for a sweep's job only what differs."""
    if job.sweep_job and job.in_sweep:
        line(console, f"job {job.sweep_job.number}", job.sweep_job.label)
        line(console, "resources", job.why)
        _print_taken(console, job)
        return
    config, tables = job.config, job.tables
    joins = "".join(f"; {join.reason}" for join in tables.joins)
    done = f"; {job.ledger.rows} already done" if config.resume else ""
    lines = {
        "dataset": f"{config.dataset.name}: {tables.rows} rows{joins}{done}",
        "llm": f"{config.llm.name} ({config.llm.engine})",
        "model": _model(config.model),
        "scorer": scorer_names(config),
        "resources": job.why,
    }
    for name, text in lines.items():
        line(console, name, text)
    if config.model.weights == "random":
        line(console, "NOISE", RANDOM)
    for note in notes.before(job, os.environ):
        line(console, "note", note)
    _print_taken(console, job)
    for note in tables.notes:
        line(console, "note", note)
    for part in job.done.torn:
        line(console, "note", f"a part of the table cannot be read and is not used: {part}")


def _print_taken(console: Console, job: Job) -> None:
    """What is reused of earlier runs."""
    for stage, known in job.taken.items():
        said = "for all rows; the stage is not loaded" if known.whole else "for equal rows"
        line(console, "reuse", f"{stage}: results of earlier runs are reused {said}")


def _model(model: Model) -> str:
    steps = [] if "steps" in diffusion.unsent(model) else [f"{model.steps} steps"]
    said = [model.name, *steps, f"{model.width}x{model.height}"]
    if model.columns:
        said.append(f"{', '.join(model.columns)} by row")
    if model.weights_gb:
        said.append(f"{model.weights_gb:g} GB of weights")
    return ", ".join([*said, *([model.licence] if model.licence else [])])


def print_first(console: Console, model: Model) -> None:
    """What to know before a model is downloaded or a server is called: licence limits, costs."""
    if note := diffusion.trial_note(model):
        line(console, "note", note)
    if model.non_commercial:
        line(
            console,
            "LICENCE",
            f"{model.path} is for non-commercial use only: {model.licence}. Its terms are on its "
            "page on the hub.",
        )


def print_summary(
    console: Console, job: Job, tracker: tracking.Tracker, summary: dict[str, Any]
) -> None:
    """Counts, rate, where everything is, and what to try next (for a sweep at its end)."""
    ledger, rates = job.ledger, summary["images_per_s"]
    steady = f", {figure(rates['steady'])} in steady state" if rates["steady"] else ""
    if "steady_low" in rates:
        steady += f" ({figures.limits(rates['steady_low'], rates['steady_high'])})"
    line(console, "rows", _counts(ledger))
    first = summary["time_to_first_image_s"]
    began = "" if first is None else f"; first after {first:.1f} s"
    line(
        console,
        "pictures",
        f"{ledger.pictures} in {summary['seconds']:.1f} s "
        f"({figure(rates['end_to_end'])} pictures/s{steady}{began})",
    )
    _print_figures(console, summary)
    if job.config.model.weights == "random":
        line(console, "NOISE", RANDOM)
    if busy := summary["machine"].get("busy"):
        line(
            console,
            "note",
            f"other programs used the machine, which makes speed less exact: {busy}",
        )
    for text in notes.warnings(job):
        line(console, "note", text)
    line(console, "folder", str(job.folder))
    if job.config.sink.path:
        line(console, "written to", job.store.url)
    _print_hub(console, summary)
    if job.in_sweep:
        return
    if (job.folder / "gallery.html").exists():  # there is none without pictures
        line(console, "look at", str(job.folder / "gallery.html"))
    if tracker.url:
        line(console, "mlflow", tracker.url)
    line(console, "try next", _next(job.config))


def _print_figures(console: Console, summary: Mapping[str, Any]) -> None:
    if summary["reused"]:
        said = ", ".join(f"{stage} of {rows} rows" for stage, rows in summary["reused"].items())
        line(console, "reused", f"from earlier runs: {said}")
    if summary["scores"]:
        line(console, "score", "\n".join(scores.lines(summary)))
    if found := summary.get("distance"):
        line(console, "distance", "\n".join(distances.in_summary(found)))
    if spent := cost.said(summary["cost"]):
        line(console, "cost", spent)


def print_scoring(
    console: Console, folder: Path, pictures: int, scorers: Sequence[str], why: str
) -> None:
    """What is about to be scored."""
    line(console, "pictures", f"{pictures} of {folder} to be scored")
    line(console, "scorer", ", ".join(scorers))
    line(console, "resources", why)


def print_scored(console: Console, folder: Path, pictures: int, summary: Mapping[str, Any]) -> None:
    """The result, and where it is."""
    line(console, "scored", f"{pictures} pictures" if pictures else "nothing left to score")
    if summary["scores"]:
        line(console, "score", "\n".join(scores.lines(summary)))
    for reason, number in list(summary["unscored_reasons"].items())[:3]:
        line(console, "note", f"{number} pictures are kept without a score: {reason}")
    line(console, "folder", str(folder))
    if (folder / "gallery.html").exists():
        line(console, "look at", str(folder / "gallery.html"))


def _next(config: Config) -> str:
    other = "llm=none" if engines.of("llm", config.llm).works else "llm=tiny"
    sweep = f"{shell.python()} -m imagepipe -m model.steps=2,4,8"
    return f"{sweep}    or    {other}    or    --help"


def print_already_complete(console: Console, folder: Path, summary: Mapping[str, Any]) -> None:
    """A run to be resumed is already complete."""
    line(console, "rows", f"all {summary['rows_read']} rows are done; nothing is left to do")
    if summary["failed"] > summary.get("failed_for_good", 0):
        again = f"{shell.resume_command(folder)} retry_failed=true"
        line(console, "note", f"{summary['failed']} failed; try them again: {again}")
    _print_hub(console, summary)
    line(console, "folder", str(folder))


def _print_hub(console: Console, summary: Mapping[str, Any]) -> None:
    if pushed := summary.get("hub"):
        line(console, "hub", pushed["url"])


def sweep_end(
    console: Console,
    folder: Path,
    comparison: Comparison,
    links: Sequence[tuple[str, str]],
    told: str = "",
) -> None:
    """How the jobs ended, which one is best, and where to see them side by side.

    A reason shared by several jobs is printed once; `told` is the one that the command ends with.
    """
    known = {"": "", told.partition("\n")[0]: ""}
    for job in comparison.jobs:
        rate = comparison.rate(job)
        speed = f"{figure(rate)} pictures/s" if rate else ""
        reason = job.trouble.partition("\n")[0]
        said = [job.status, speed, job.label, known.get(reason, reason)]
        known.setdefault(reason, f"as job {job.number}")
        line(console, f"job {job.number}", "  ".join(text for text in said if text))
    for name, text in zip_longest(["sweep"], [comparison.headline(), *comparison.besides()]):
        line(console, name or "", text)
    line(console, "folder", str(folder))
    line(console, "look at", str(folder / "comparison.html"))
    for what, link in links:
        line(console, what, link)


def trouble(job: Job, what: str) -> str:
    """Why the run failed, and what it has written."""
    rows, again = _counts(job.ledger), notes.how_to_go_on(job)
    return f"{what}\n  rows: {rows}\n  folder: {job.folder}\n  {again}"


def _counts(ledger: Ledger) -> str:
    return (
        f"{ledger.rows_read} read = {ledger.written} written + {ledger.failed} failed "
        f"+ {ledger.unmatched} unmatched + {ledger.already_done} already done"
        + (f" + {ledger.filtered} filtered" if ledger.filtered else "")
    )


def line(console: Console, name: str, text: str) -> None:
    """A line of a run's output, with `name` in front."""
    text = shown(text).replace("\n", f"\n{'':<11}")
    console.print(f"{name:<10} {text}", soft_wrap=True, highlight=False, markup=False)
