"""`imagepipe model=sdxl_turbo llm=qwen`: composes the configuration, checks it and runs it.

Imports nothing heavy.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from imagepipe import config as configuration
from imagepipe import shell
from imagepipe.cli import commands
from imagepipe.cli.checks import (
    check_choices,
    check_composed,
    check_options,
    config_dir,
    refuse_typed_secrets,
    values,
)
from imagepipe.cli.hooks import Before
from imagepipe.cli.messages import COMPOSING, fail_as_hydras, plain_errors
from imagepipe.cli.multirun import Multirun
from imagepipe.config import registration
from imagepipe.errors import RunFailed, UserError
from imagepipe.execution import manifest
from imagepipe.signals import termination_as_interrupt
from imagepipe.sink import sweeps
from imagepipe.sink.lock import leaving_nothing

if TYPE_CHECKING:
    from imagepipe.execution.run import Outcome


def main(arguments: Sequence[str]) -> None:
    """Exit codes: 0 every row is accounted for, 1 the run failed, 2 what was typed is wrong, 130
    interrupted."""
    sys.argv[1:] = options_first(arguments)  # where Hydra reads them
    atexit.register(gc.freeze)  # or the interpreter walks all of it once more: a second
    # Hydra then raises instead of printing, so that every message is made in one place.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    OmegaConf.register_new_resolver("imagepipe.commands", commands.table, replace=True)
    registration.register()
    with plain_errors():
        check_options(sys.argv[1:])
        refuse_typed_secrets(sys.argv[1:])
        check_choices(sys.argv[1:])
        sys.argv[1:], resumed = to_resume(sys.argv[1:])
    if os.getcwd() not in sys.path:  # custom classes, for the script and where it resumes
        sys.path.insert(0, os.getcwd())
    with plain_errors(), Command(resumed) as command:
        Before.under_way = command

        @hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="config")
        def job(cfg: DictConfig) -> Any:
            return command.job(cfg, Path(HydraConfig.get().runtime.output_dir))

        job()


class Command:
    """The typed command: one run or a sweep. `resumed` is the folder of a sweep that is resumed.

    Its folder stays only if something was started there.
    """

    def __init__(self, resumed: Path | None) -> None:
        self._begun = False
        self._locks = ExitStack()
        self._multirun = Multirun(self._locks, resumed)

    def run_begins(self, cfg: DictConfig) -> None:
        """Check one run before there is a folder. Raises UserError."""
        check_composed(cfg)
        folder = Path(HydraConfig.get().run.dir).absolute()
        self._locks.enter_context(leaving_nothing("hydra.run.dir", folder))

    def sweep_begins(self, cfg: DictConfig, whole: DictConfig) -> None:
        """Check what all jobs of a sweep share, before there is a folder. Raises UserError."""
        self._multirun.begins(cfg, whole)

    def job(self, cfg: DictConfig, folder: Path) -> Any:
        """Run `cfg` in `folder`; returns its pictures per second, or a job's objective, if
        known.
        """
        self._begun = True
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            return self._multirun.job(cfg, folder, typed(), composed(cfg))
        with plain_errors():  # Hydra would print them as well
            return run_job(cfg, folder).images_per_s

    def __enter__(self) -> Command:
        return self

    def __exit__(self, _: Any, error: BaseException | None, trace: Any) -> None:
        with self._locks:
            told = self._multirun.end(error)
        ours = (*COMPOSING, UnicodeDecodeError, UserError, RunFailed, OSError)
        if told is not None and not self._begun and not isinstance(told, ours):
            fail_as_hydras(told, ValueError)
        if told is not None and told is not error:
            raise told from error


def options_first(arguments: Sequence[str]) -> list[str]:
    """Options before settings, as in `seed=1 -m llm=a,b`: Hydra refuses settings on both sides of
    an option. What stands behind an option and is no setting is its value.
    """
    options, settings, after = list[str](), list[str](), False
    for text in arguments:
        value = after and "=" not in text and not text.startswith("~")
        (options if value or text.startswith("-") else settings).append(text)
        after = text.startswith("-")
    return [*options, *settings]


def run_job(cfg: DictConfig, folder: Path) -> Outcome:
    """One run in `folder`, with the configuration that Hydra composed."""
    config = configuration.load(cfg)
    # Heavy, from here on: not before the configuration is known to be right.
    from imagepipe.execution.loading import loading

    with termination_as_interrupt(), loading(config) as script:
        from imagepipe.execution.run import run

        return run(config, folder, typed(), composed(cfg), script)


def to_resume(arguments: list[str]) -> tuple[list[str], Path | None]:
    """The arguments; with `resume=FOLDER` those that started the run or sweep in it, then these.
    Also the folder, if it is a sweep.

    Changes to the folder where they were typed, because relative paths start there.
    """
    asked = [text for text in arguments if text.lstrip("+").startswith("resume=")]
    given: list[Any] = [value for _, value in values(asked[-1])] if asked else [None]
    if given in ([None], [""]):
        return arguments, None
    text = len(given) == 1 and isinstance(given[0], str)
    folder = Path(given[0] if text else asked[-1].partition("=")[2]).absolute()
    is_sweep = not (folder / manifest.RECORD).exists() and (folder / sweeps.RECORD).exists()
    if {"-m", "--multirun"} & set(arguments) and not is_sweep:
        raise UserError(
            field="resume",
            value=folder,
            problem="is a single run, not a sweep",
            remedy="Leave -m out.",
        )
    others = [text for text in arguments if text not in asked]
    home, arguments = manifest.resumed(folder, others)
    if home.is_dir():
        if sys.path[0] == os.getcwd():  # custom classes are looked for there
            sys.path[0] = str(home)
        shell.change_folder(home)
    return arguments, folder if is_sweep else None


def typed() -> list[str]:
    """The arguments that compose this job's configuration again."""
    whole: Any = HydraConfig.get()
    given: Any = OmegaConf.to_container(whole.overrides, resolve=False)
    places = [text for text in given["hydra"] if text.startswith("hydra.searchpath=")]
    return [*_options(whole), *places, *given["task"]]


def _options(whole: DictConfig) -> Iterator[str]:
    """The options that name the config files, relative to the current folder, which may be moved
    or copied.
    """
    sources = {one.provider: Path(one.path) for one in whole.runtime.config_sources}
    here = Path.cwd()
    if sources["main"] != config_dir():
        yield f"--config-path={sources['main']}"
    if own := sources.get("command-line"):
        yield f"--config-dir={own.relative_to(here) if own.is_relative_to(here) else own}"
    if whole.job.config_name != "config":
        yield f"--config-name={whole.job.config_name}"


def composed(cfg: DictConfig) -> dict[str, str]:
    """The files of `.hydra/` by name, as Hydra writes them."""
    whole = HydraConfig.instance().cfg
    parts = {"config": cfg, "hydra": whole, "overrides": HydraConfig.get().overrides.task}
    return {f"{name}.yaml": OmegaConf.to_yaml(part) for name, part in parts.items()}
