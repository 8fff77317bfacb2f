"""A sweep as Hydra runs it: locked before the first job, compared after the last."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from imagepipe import config as configuration
from imagepipe import shell
from imagepipe.cli.checks import check_composed, settings
from imagepipe.cli.varied import check_varied
from imagepipe.errors import Interrupted, UserError
from imagepipe.execution import manifest
from imagepipe.sink import sweeps
from imagepipe.sink.lock import leaving_nothing

if TYPE_CHECKING:
    from imagepipe.execution.sweep import Sweep

MULTIRUN = "multirun.yaml"  # what all jobs have, by Hydra's own sweeper


class Unfinished:
    """The result of a failed job for Hydra's sweeper: not a number. An exception would be
    printed by Hydra, with its own advice, and would end a search by Optuna.
    """


class Multirun:
    """The jobs of a sweep. The first of them opens the sweep itself.

    Hydra has callbacks for a sweep, but calls none at its end if a job was interrupted. If
    `resumed` is a folder, its sweep is resumed.
    """

    def __init__(self, stack: ExitStack, resumed: Path | None) -> None:
        self.resumed, self.errors = resumed, list[BaseException]()
        self._locks, self._sweep = stack, ExitStack()
        self.sweep: Sweep | None = None
        self._begun: sweeps.Record | None = None
        self._any_finished = False

    def begins(self, cfg: DictConfig, whole: DictConfig) -> None:
        """Check what all jobs have, and lock the sweep's folder. Raises UserError."""
        check_composed(cfg)
        prepare_repeats(cfg, whole)
        check_at_once(cfg, whole)
        folder = Path(whole.hydra.sweep.dir).absolute()
        record = self._record(folder, whole, cfg)
        if self.resumed is not None:
            check_resumed(self.resumed, folder, record)
        if record.sweeper == "optuna":
            _prepare_optuna(whole)
        self._locks.enter_context(leaving_nothing("hydra.sweep.dir", folder))
        self._locks.callback(_restored(folder / MULTIRUN, folder / sweeps.RECORD))
        self._locks.enter_context(sweeps.locked(folder, resumed=self.resumed is not None))
        self._config, self._folder, self._begun = configuration.unchecked(cfg), folder, record

    def _record(self, folder: Path, whole: DictConfig, cfg: DictConfig) -> sweeps.Record:
        hydra, cwd = whole.hydra, str(Path.cwd())
        params, typed = hydra.sweeper.get("params") or {}, settings(hydra)
        sweeper = hydra.runtime.choices["hydra/sweeper"]
        every = [*(f"{key}={value}" for key, value in params.items()), *typed]
        check_varied(every, sweeper, hydra.sweeper, cfg)
        return sweeps.Record(
            typed=sys.argv[1:],
            swept=sweeps.swept_keys(typed, params),
            sweeper=sweeper,
            place=manifest.place_below(cwd, folder),
            cwd=cwd,
            jobs=sweeps.planned(every) if sweeper == sweeps.BASIC else [],
        )

    def job(
        self, cfg: DictConfig, folder: Path, typed: Sequence[str], composed: Mapping[str, str]
    ) -> float | Unfinished | None:
        """Run one job in `folder`; its objective."""
        from imagepipe.execution.sweep import Sweep

        number = HydraConfig.get().job.num
        try:
            if self.sweep is None:
                assert self._begun is not None  # by `begins`
                begun = Sweep(self._config, self._folder, self._begun)
                self.sweep = self._sweep.enter_context(begun)
            try:
                check_composed(cfg)
            except Exception as error:
                nothing = OmegaConf.structured(configuration.Config)
                self.sweep.refuse(number, nothing, folder, typed, error)
                raise
            objective = self.sweep.job(number, cfg, folder, typed, composed)
            self._any_finished = True
            return objective
        except Exception as error:
            self.errors.append(error)
            return Unfinished()

    def end(self, error: BaseException | None) -> BaseException | None:
        """End the sweep, after `error` if it is not null; returns the error to report.

        That may be the error of a failed job, except in a search, which continues after one.
        """
        if self._begun and not self.sweep and error is None:
            return _no_job(self._begun)
        if self.sweep:
            try:
                stopped = isinstance(error, KeyboardInterrupt)
                self.errors += self.sweep.wait(interrupted=stopped)
            except Interrupted as interrupted:
                error = interrupted
        goes_on = self._any_finished and self._begun and self._begun.sweeper != sweeps.BASIC
        tripped = isinstance(error, ValueError | RuntimeError)  # Optuna, where all jobs failed
        if self.errors and (tripped or (error is None and not goes_on)):
            error = self.errors[0]
        self._sweep.__exit__(type(error) if error else None, error, None)
        return error


def _no_job(begun: sweeps.Record) -> UserError:
    texts = [text for text in begun.typed if text.lstrip("+").partition("=")[0] in begun.swept]
    key, _, value = next((text for text in texts if not sweeps.planned([text])), "-m").partition(
        "="
    )
    return UserError(
        field=key,
        value=value,
        problem="varies a key over no value at all, so that there is no job",
        remedy="Give it a value or more; glob(...) is for the names of a group's choices.",
    )


def check_resumed(asked: Path, folder: Path, now: sweeps.Record) -> None:
    """Raise UserError if the jobs to be run are not those of the sweep in `asked`."""
    if asked != folder:
        raise UserError(
            field="hydra.sweep.dir",
            value=folder,
            problem=f"is not {asked}, whose sweep is to be resumed",
            remedy="Move it back to where it was begun, or begin it again.",
        )
    before = sweeps.read(folder)
    assert before is not None  # by it the command's arguments were made
    was, are = ([now.values(job.overrides) for job in each.jobs] for each in (before, now))
    if now.jobs and was != are:
        raise UserError(
            field="resume",
            value=shell.typed_path(folder),
            problem="the sweep was started with other settings to vary",
            remedy="Leave that out, or start a new sweep.",
        )


def _restored(path: Path, record: Path) -> Callable[[], None]:
    """A function that restores `path` to its present content, or removes it if it is new and
    there is no `record`.
    """
    before = path.read_bytes() if path.exists() else None

    def restore() -> None:
        if before is not None:
            path.write_bytes(before)
        elif not record.exists():
            path.unlink(missing_ok=True)

    return restore


def prepare_repeats(cfg: DictConfig, whole: DictConfig) -> None:
    """Let Hydra's sweeper vary the repeat first, so that jobs take turns and other load on the
    machine meets them all alike. Raises UserError for another sweeper.
    """
    repeats = cfg.sweep.repeats
    if repeats <= 1:  # what is too small is refused with the other limits
        return
    hydra = whole.hydra
    if hydra.runtime.choices["hydra/sweeper"] != sweeps.BASIC:
        raise UserError(
            field="sweep.repeats",
            value=repeats,
            problem="repeats every job, but this sweeper chooses one job after another",
            remedy="Leave it out, and run the jobs you want to compare again without it.",
        )
    params = dict(hydra.sweeper.get("params") or {})
    with read_write(hydra), open_dict(hydra):
        rounds = ",".join(map(str, range(repeats)))
        hydra.sweeper.params = {sweeps.REPEAT: rounds, **params}


def check_at_once(cfg: DictConfig, whole: DictConfig) -> None:
    """Raise UserError for jobs side by side if the sweeper chooses each from earlier results."""
    sweeper = whole.hydra.runtime.choices["hydra/sweeper"]
    if cfg.sweep.jobs_at_once != 1 and sweeper != sweeps.BASIC:
        raise UserError(
            field="sweep.jobs_at_once",
            value=cfg.sweep.jobs_at_once,
            problem=f"{sweeper} chooses one job after another",
            remedy="Leave it out, or use Hydra's own sweeper.",
        )


def _prepare_optuna(whole: DictConfig) -> None:
    """Make Optuna's plugin accept texts as choices, and a database as Optuna's storage."""
    import optuna

    optuna.logging.set_verbosity(logging.WARNING)
    logging.getLogger("hydra_plugins").setLevel(logging.ERROR)  # that a job failed is told by us
    hydra = whole.hydra
    with read_write(hydra), open_dict(hydra):
        hydra.overrides.task = [with_quotes(text) for text in settings(hydra)]
        for key, value in (hydra.sweeper.get("params") or {}).items():
            hydra.sweeper.params[key] = with_quotes(f"{key}={value}").partition("=")[2]
        url = hydra.sweeper.storage
        if isinstance(url, str) and not url.startswith("redis"):
            hydra.sweeper.storage = _database(url)


def _database(url: str) -> dict[str, Any]:
    """Optuna's storage in a database, for Hydra to make. Raises UserError if it cannot be."""
    import optuna

    # Optuna 2 relies on a commit after each statement, which SQLAlchemy 2 no longer makes.
    options = {"isolation_level": "AUTOCOMMIT"}
    try:
        optuna.storages.RDBStorage(url, engine_kwargs=options)
    except Exception as error:  # whatever the database's driver raises
        said = str(error).strip().partition("\n")[0]
        raise UserError(
            field="hydra.sweeper.storage",
            value=url,
            problem=f"is not a database that a study can be kept in ({said})",
            remedy="Name a file, such as sqlite:///study.db.",
        ) from error
    return {"_target_": "optuna.storages.RDBStorage", "url": url, "engine_kwargs": options}


def with_quotes(text: str) -> str:
    """The override `text`, with its choices quoted so that the plugin's own overrides are valid.

    The plugin removes the quotes that Hydra's `choice()` needs, and adds none to what it types.
    """
    override: Override = OverridesParser.create().parse_override(text)
    value = override.value()
    if not (isinstance(value, ChoiceSweep) and not value.simple_form):
        return text
    texts = [str(one) for one in override.sweep_iterator()]
    if len(texts) < 2 or all(re.fullmatch(r"[\w./+:-]+", one) for one in texts):
        return text
    return f"{override.get_key_element()}={','.join(shell.quoted(one) for one in texts)}"
