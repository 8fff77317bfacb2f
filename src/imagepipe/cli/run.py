"""The command: compose the configuration, check it, run it. Imports nothing heavy.

python -m imagepipe model=sdxl_turbo llm=qwen
"""

from __future__ import annotations

import atexit
import gc
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, QuotedString
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from imagepipe import config as configuration
from imagepipe import store, tracking
from imagepipe.config import registration, secrets
from imagepipe.errors import RunFailed, UserError, did_you_mean, listed, shown
from imagepipe.execution import manifest
from imagepipe.llm import endpoint
from imagepipe.tracking import address

if TYPE_CHECKING:
    from imagepipe.execution.sweep import Refused, Sweep

CONFIG_DIRS = (
    Path(__file__).parents[1] / "conf",  # in an installed wheel
    Path(__file__).parents[3] / "conf",  # in a checkout
)


def main() -> None:
    """Exit codes: 0 every row is accounted for, 1 the run failed, 2 what was typed is wrong, 130
    interrupted."""
    atexit.register(gc.freeze)  # or the interpreter walks all of it once more: a second
    # Hydra then raises instead of printing, so that every message is made in one place.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    registration.register()
    with _plain_errors():
        refuse_typed_secrets(sys.argv[1:])
        sys.argv[1:] = to_go_on(sys.argv[1:])
    if os.getcwd() not in sys.path:  # a person's own classes, for the script and where it goes on
        sys.path.insert(0, os.getcwd())
    started: list[str] = []
    multirun = Multirun()

    @hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="config")
    def job(cfg: DictConfig) -> float | None:
        started.append(HydraConfig.get().runtime.output_dir)
        folder, overrides = Path(started[-1]), typed()
        if HydraConfig.get().mode == RunMode.MULTIRUN:  # errors travel on: the others still run
            return multirun.job(cfg, folder, overrides)
        with _plain_errors():
            return run_job(cfg, folder, overrides)

    with _plain_errors():
        try:
            with multirun:
                job()
        except OSError as error:
            if started or isinstance(error, HydraException):  # a missing choice is both
                raise
            _fail(f"hydra.run.dir: no folder for the run can be made there: {error}", 2)
        except ValueError as error:
            if started or isinstance(error, HydraException | OmegaConfBaseException):
                raise
            _fail(f"hydra.sweeper: no sweep can be made of that: {error}", 2)


def run_job(cfg: DictConfig, folder: Path, overrides: Sequence[str]) -> float | None:
    """One run in `folder`; returns its pictures per second, which sweepers can maximise."""
    _check_secrets(cfg)
    config = configuration.load(cfg)
    from imagepipe.execution.run import (
        run,  # heavy: not before the configuration is known to be right
    )

    return run(config, folder, overrides).images_per_s


def to_go_on(arguments: list[str]) -> list[str]:
    """The arguments, or with `resume=FOLDER` those that began that run, then these.

    Goes to the folder where they were typed, from which their relative paths count.
    """
    asked = [text for text in arguments if text.lstrip("+").startswith("resume=")]
    values: list[Any] = [value for _, value in _values(asked[-1])] if asked else [None]
    if values in ([None], [""]):
        return arguments
    text = len(values) == 1 and isinstance(values[0], str)
    value = values[0] if text else asked[-1].partition("=")[2]
    if {"-m", "--multirun"} & set(arguments):
        raise UserError(
            field="resume",
            value=value,
            problem="goes on with one run, not with a sweep",
            remedy="Leave -m out; a sweep's job is gone on with by its own folder.",
        )
    folder = Path(value).absolute()
    here = manifest.read(folder).cwd
    if Path(here).is_dir():
        if sys.path[0] == os.getcwd():  # classes of a person's own are looked for there
            sys.path[0] = here
        os.chdir(here)
    return manifest.arguments(folder, [text for text in arguments if text not in asked])


def typed() -> list[str]:
    """The arguments that compose this job's configuration again."""
    whole = HydraConfig.get()
    own = [one.path for one in whole.runtime.config_sources if one.provider == "command-line"]
    given: Any = OmegaConf.to_container(whole.overrides, resolve=False)
    places = [text for text in given["hydra"] if text.startswith("hydra.searchpath=")]
    return [*(f"--config-dir={path}" for path in own), *places, *given["task"]]


class Multirun:
    """The jobs of a sweep, as Hydra runs them. The first whose configuration may be written down
    opens the sweep's own record.

    Hydra has callbacks for a sweep, but calls none at its end where a job failed or was
    interrupted.
    """

    def __init__(self) -> None:
        self.sweep: Sweep | None = None
        self.errors: list[Exception] = []
        self._refused: list[Refused] = []
        self._stack = ExitStack()

    def job(self, cfg: DictConfig, folder: Path, overrides: Sequence[str]) -> float | None:
        """Run one job in `folder`; its objective."""
        number = HydraConfig.get().job.num
        try:
            try:
                _check_secrets(cfg)
            except Exception as error:
                nothing = OmegaConf.structured(configuration.Config)
                self._refused.append((number, nothing, folder, overrides, error))
                raise
            self.sweep = self.sweep or self._stack.enter_context(self._opened(cfg))
            return self.sweep.job(number, cfg, folder, overrides)
        except Exception as error:
            self.errors.append(error)
            raise

    def _opened(self, cfg: DictConfig) -> Sweep:
        from imagepipe.execution.sweep import Sweep, swept_keys

        whole = HydraConfig.get()
        keys = swept_keys(sys.argv[1:], whole.sweeper.get("params"))
        return Sweep(cfg, Path(whole.sweep.dir).absolute(), keys, self._refused)

    def __enter__(self) -> None:
        """Nothing is opened before the first job."""

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._stack.__exit__(kind, error, trace)
        tripped = isinstance(error, ValueError | RuntimeError) and error not in self.errors
        if tripped and self.errors:
            # A sweeper over failed jobs: Optuna where all are, its grid where the last is.
            raise self.errors[0] from error


def refuse_typed_secrets(arguments: Sequence[str]) -> None:
    """Hydra writes to disk what was typed before any job can look at it, so look first."""
    for key, value in (pair for argument in arguments for pair in _values(argument)):
        if value in (None, "") or "${" in str(value):  # composed, then checked
            continue
        configuration.check_named(key, value)
        if key in MAY_HOLD_SECRETS:
            MAY_HOLD_SECRETS[key](str(value))


def _values(argument: str) -> Iterator[tuple[str, Any]]:
    """The (key, value) pairs that an argument gives: several of a sweep, a list or a mapping.

    What is no text to Hydra's grammar comes as it is typed.
    """
    try:
        override = OverridesParser.create().parse_override(argument)
    except HydraException:
        key, _, value = argument.lstrip("+").partition("=")
        return iter([(key, value)])
    return _leaves(override.key_or_group, override.value())


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(f"{key}.{name}", inner)
    elif isinstance(value, list | ChoiceSweep):
        for inner in value if isinstance(value, list) else value.list:
            yield from _leaves(key, inner)
    else:
        yield key, value.text if isinstance(value, QuotedString) else value


def _check_secrets(cfg: DictConfig) -> None:
    """Raise UserError where presets hold what may not be written down; Hydra's copies go.

    They also go where that cannot be told, as of a variable that is not set.
    """
    whole = HydraConfig.get()
    try:
        with _plain_errors():  # ends a whole sweep: Hydra shows the overrides of a job that fails
            refuse_typed_secrets(typed())
        for name in whole.job.env_set:
            configuration.check_named(f"hydra.job.env_set.{name}", None)
        config = configuration.unchecked(cfg)
        configuration.check_secrets(config)
        endpoint.check_secrets(config.llm)
        address.check_uri(config.tracking)
        store.check_url("sink.path", config.sink.path or "")
        joins = (config.dataset.join, *config.dataset.more_joins)
        for path in (config.dataset.path, *(join.path for join in joins)):
            secrets.check_table("dataset.path", path)
    except (Exception, SystemExit):
        for copy in _copies():
            copy.unlink(missing_ok=True)
        raise


def _copies() -> Iterator[Path]:
    """Where Hydra has written this job's configuration; for a resumed run it writes none."""
    whole = HydraConfig.get()
    if whole.output_subdir is not None:
        for name in ("config.yaml", "hydra.yaml", "overrides.yaml"):
            yield Path(whole.runtime.output_dir, whole.output_subdir, name)
    if whole.mode == RunMode.MULTIRUN:
        yield Path(whole.sweep.dir, "multirun.yaml")


def _check_tracking(uri: str) -> None:
    tracking.check(configuration.Tracking(name="typed", backend="mlflow", uri=uri))


MAY_HOLD_SECRETS: dict[str, Callable[[str], None]] = {
    "tracking.uri": _check_tracking,
    "sink.path": partial(store.check_url, "sink.path"),
    "dataset.path": partial(secrets.check_table, "dataset.path"),
    "dataset.join.path": partial(secrets.check_table, "dataset.join.path"),
    "dataset.more_joins.path": partial(secrets.check_table, "dataset.more_joins.path"),
    "llm.base_url": endpoint.check_url,
    "llm.api_key_env": endpoint.check_name,
}


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Turn what a person can cause into one line and an exit code."""
    try:
        yield
    except (UserError, HydraException, OmegaConfBaseException) as error:
        _fail(explain(error), 2)
    except RunFailed as error:
        _fail(str(error), 1)
    except KeyboardInterrupt as error:
        _fail(str(error) or "interrupted", 130)


def explain(error: Exception) -> str:
    """What to tell a person about `error`: field, value, and a guess at what was meant."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, MissingConfigException) and error.options:
        group, _, choice = (error.missing_cfg_file or "").rpartition("/")
        guess = did_you_mean(choice, error.options)
        choices = listed(error.options, choice)
        return f"{group}={choice}: there is no such choice. {guess}Choose one of: {choices}."
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override}: is no setting. Write KEY=VALUE, and a value with braces, commas or "
            "quotes in quotes twice: 'KEY=\"VALUE\"'."
        )
    return _of_composing(error)


def _of_composing(error: Exception) -> str:
    text = f"{error}\n{error.__cause__ or ''}"
    found = re.search(r"full_key: (\S+)", text)
    key = found.group(1) if found else ""
    if key.endswith(".True"):
        return f'{key}: YAML reads a bare `on:` as true. Write it in quotes: "on": ...'
    if re.search(r"Key '\S+' (is )?not in", text) or "Could not override" in text:
        if configuration.is_open(key):
            return f"{key}: is not there yet. Add it with a plus: +{key}=..."
        known = set(configuration.keys(OmegaConf.structured(configuration.Config)))
        guess = did_you_mean(key, known).strip()
        return f"{key}: there is no such key. {guess or 'See python -m imagepipe --help.'}"
    cause = error.__cause__ or error
    said = (getattr(cause, "msg", None) or str(cause)).splitlines()[0]
    return f"{key}: {said}" if key else str(error)


def config_dir() -> Path:
    """Where the config groups are: beside the package once installed, else in the checkout."""
    return next(folder for folder in CONFIG_DIRS if folder.is_dir())


def _fail(message: str, code: int) -> None:
    print(f"imagepipe: {shown(message)}", file=sys.stderr)
    sys.exit(code)
