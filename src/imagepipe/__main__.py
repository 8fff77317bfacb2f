"""The command: compose the configuration, check it, run it. Imports nothing heavy.

python -m imagepipe model=sdxl_turbo llm=qwen
"""

from __future__ import annotations

import atexit
import gc
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from imagepipe import config as configuration
from imagepipe import record, schema, store, tracking, urls
from imagepipe.errors import RunFailed, UserError
from imagepipe.llm import endpoint

if TYPE_CHECKING:
    from imagepipe.sweep import Sweep

CONFIG_DIRS = (
    Path(__file__).parent / "conf",  # in an installed wheel
    Path(__file__).parents[2] / "conf",  # in a checkout
)


def main() -> None:
    """Exit codes: 0 every row is accounted for, 1 the run failed, 2 what was typed is wrong, 130
    interrupted."""
    atexit.register(gc.freeze)  # or the interpreter walks all of it once more: a second
    # Hydra then raises instead of printing, so that every message is made in one place.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    schema.register()
    with _plain_errors():
        _refuse_typed_secret(sys.argv[1:])
        sys.argv[1:] = _to_go_on(sys.argv[1:])
    started: list[str] = []
    sweeps: list[Sweep] = []
    stack = ExitStack()

    @hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="config")
    def job(cfg: DictConfig) -> float | None:
        started.append(HydraConfig.get().runtime.output_dir)
        folder, overrides = Path(started[-1]), _typed()
        if HydraConfig.get().mode == RunMode.MULTIRUN:  # errors travel on: the others still run
            whole = Path(HydraConfig.get().sweep.dir, "multirun.yaml")
            _check_secrets(configuration.unchecked(cfg), [folder / ".hydra", whole])
            if not sweeps:
                sweeps.append(stack.enter_context(open_sweep(cfg)))
            return sweeps[0].job(cfg, folder, overrides)
        with _plain_errors():
            return run_job(cfg, folder, overrides)

    with _plain_errors():
        try:
            with stack:
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
    _check_secrets(configuration.unchecked(cfg), [folder / ".hydra"])
    config = configuration.load(cfg)
    from imagepipe.run import run  # heavy: not before the configuration is known to be right

    return run(config, folder, overrides).images_per_s


def _to_go_on(arguments: list[str]) -> list[str]:
    """The arguments, or with `resume=FOLDER` those that began that run, then these.

    Goes to the folder where they were typed, from which their relative paths count.
    """
    asked = [text for text in arguments if text.lstrip("+").startswith("resume=")]
    value = asked[-1].partition("=")[2].strip("'\"") if asked else ""
    if value in ("", "null"):
        return arguments
    if {"-m", "--multirun"} & set(arguments):
        raise UserError(
            field="resume",
            value=value,
            problem="goes on with one run, not with a sweep",
            remedy="Leave -m out; a sweep's job is gone on with by its own folder.",
        )
    folder = Path(value).absolute()
    here = record.read(folder).cwd
    if Path(here).is_dir():
        if sys.path[0] == os.getcwd():  # classes of a person's own are looked for there
            sys.path[0] = here
        os.chdir(here)
    return record.arguments(folder, [text for text in arguments if text not in asked])


def _typed() -> list[str]:
    """The arguments that compose this job's configuration again."""
    whole = HydraConfig.get()
    own = [one.path for one in whole.runtime.config_sources if one.provider == "command-line"]
    return [*(f"--config-dir={path}" for path in own), *whole.overrides.task]


def open_sweep(cfg: DictConfig) -> Sweep:
    """What the jobs of this multirun share; to be entered before the first runs.

    Hydra has callbacks for a sweep, but calls none at its end where a job failed or was
    interrupted.
    """
    from imagepipe.sweep import Sweep, swept_keys

    whole = HydraConfig.get()
    keys = swept_keys(sys.argv[1:], whole.sweeper.get("params"))
    return Sweep(cfg, Path(whole.sweep.dir).absolute(), keys)


def _refuse_typed_secret(arguments: Sequence[str]) -> None:
    """Hydra writes to disk what was typed before any job can look at it, so look first."""
    for argument in arguments:
        key, _, value = argument.lstrip("+").partition("=")
        if key.startswith(configuration.NODE_VARIABLES):
            configuration.check_variable(key.removeprefix(configuration.NODE_VARIABLES))
        check = MAY_HOLD_SECRETS.get(key)
        for one in _values(value) if check else ():
            if check and one not in ("", "null") and "${" not in one:  # else composed, then checked
                check(one)


def _values(typed: str) -> Iterator[str]:
    """Those of a list or a sweep, such as `a,b` or Optuna's `choice(a,b)`, without their quotes."""
    found = re.fullmatch(r"choice\((.*)\)", typed)
    for one in (found.group(1) if found else typed).split(","):
        yield one.strip("'\"[] ")


def _check_secrets(config: configuration.Config, copies: Sequence[Path]) -> None:
    """Raise UserError where presets hold what may not be written down; Hydra's `copies` go."""
    joins = (config.dataset.join, *config.dataset.more_joins)
    try:
        endpoint.check_secrets(config.llm)
        configuration.check_variables(config.ray)
        tracking.check(config.tracking)
        store.check_url("sink.path", config.sink.path or "")
        for path in (config.dataset.path, *(join.path for join in joins)):
            urls.check_table("dataset.path", path)
    except UserError:
        for copy in copies:
            if copy.is_dir():
                shutil.rmtree(copy)
            else:
                copy.unlink(missing_ok=True)
        raise


def _check_tracking(uri: str) -> None:
    tracking.check(configuration.Tracking(name="typed", backend="mlflow", uri=uri))


MAY_HOLD_SECRETS: dict[str, Callable[[str], None]] = {
    "tracking.uri": _check_tracking,
    "sink.path": partial(store.check_url, "sink.path"),
    "dataset.path": partial(urls.check_table, "dataset.path"),
    "dataset.join.path": partial(urls.check_table, "dataset.join.path"),
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
        guess = configuration.did_you_mean(choice, error.options)
        choices = ", ".join(error.options)
        return f"{group}={choice}: there is no such choice. {guess}Choose one of: {choices}."
    text = f"{error}\n{error.__cause__ or ''}"
    found = re.search(r"full_key: (\S+)", text)
    key = found.group(1) if found else ""
    if key.endswith(".True"):
        return f'{key}: YAML reads a bare `on:` as true. Write it in quotes: "on": ...'
    if re.search(r"Key '\S+' (is )?not in", text) or "Could not override" in text:
        if configuration.is_open(key):
            return f"{key}: is not there yet. Add it with a plus: +{key}=..."
        known = set(configuration.keys(OmegaConf.structured(configuration.Config)))
        guess = configuration.did_you_mean(key, known).strip()
        return f"{key}: there is no such key. {guess or 'See python -m imagepipe --help.'}"
    cause = error.__cause__ or error
    said = (getattr(cause, "msg", None) or str(cause)).splitlines()[0]
    return f"{key}: {said}" if key else str(error)


def config_dir() -> Path:
    """Where the config groups are: beside the package once installed, else in the checkout."""
    return next(folder for folder in CONFIG_DIRS if folder.is_dir())


def _fail(message: str, code: int) -> None:
    print(f"imagepipe: {message}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
