"""Checks of a composed configuration before anything is written: secrets, presets that Hydra
would not read, and keys of Hydra that must keep their values here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, Override, QuotedString, RangeSweep
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from imagepipe import config as configuration
from imagepipe import shell, store
from imagepipe.config import secrets
from imagepipe.errors import UserError, listed
from imagepipe.servers import endpoint
from imagepipe.tracking import address

CONFIG_DIRS = (
    Path(__file__).parents[1] / "conf",  # in an installed wheel
    Path(__file__).parents[3] / "conf",  # in a checkout
)
# Hydra's own keys that have one value here, and why.
FIXED = {
    "job.chdir": (False, "paths count from where the command is typed"),
    "output_subdir": (None, "imagepipe writes .hydra/ itself, once the folder is the run's"),
    "sweeper.max_batch_size": (None, "sweep.jobs_at_once says how many run at once"),
}


def config_dir() -> Path:
    """The folder of the config groups: beside the installed package, or in the checkout."""
    return next(folder for folder in CONFIG_DIRS if folder.is_dir())


def settings(whole: DictConfig) -> list[str]:
    """The settings of this job as they were typed. `whole` is Hydra's own part of the
    configuration; taken from its list, a ${...} in them would be resolved.
    """
    every: Any = OmegaConf.to_container(whole.overrides, resolve=False)
    return list(every["task"])


def check_composed(cfg: DictConfig) -> None:
    """Raise UserError for secrets, and for settings that Hydra would ignore.

    `cfg` is without Hydra's own part, which is the current HydraConfig.
    """
    check_secrets(cfg)
    whole: Any = HydraConfig.get()
    if (launcher := whole.runtime.choices.get("hydra/launcher")) != "basic":
        raise UserError(
            field="hydra/launcher",
            value=launcher,
            problem="imagepipe runs the jobs of a sweep itself, for one MLflow run and one page",
            remedy="Leave it out; sweep.jobs_at_once=auto runs as many at once as have room.",
        )
    if whole.runtime.choices.get("hydra/sweeper") is None:
        raise UserError(
            field="hydra/sweeper",
            value="null",
            problem="a sweep needs one, and this takes it away",
            remedy="Leave ~hydra/sweeper out.",
        )
    for key, (value, why) in FIXED.items():
        if (given := OmegaConf.select(whole, key)) != value:
            raise UserError(field=f"hydra.{key}", value=given, problem=why, remedy="Leave it out.")
    check_presets(cfg, whole)


def check_presets(cfg: DictConfig, whole: DictConfig) -> None:
    """Raise UserError if a preset is not read, or is overwritten by another. `whole` is Hydra's
    own part of the configuration.
    """
    refuse_unread(whole)
    given: Any = OmegaConf.to_container(cfg.scorer, resolve=False)
    if "name" in given and "scorer" not in whole.runtime.choices:  # as there is for a list
        raise UserError(
            field="scorer",
            value=given["name"],
            problem="is one of a list of scorers, but its file does not say where it belongs, so "
            "that the next scorer would overwrite it",
            remedy=f"Make this the first line of its file: # @package scorer.{given['name']}",
        )
    typed = [text for text in settings(whole) if text.startswith("scorer=")]
    named = OverridesParser.create().parse_override(typed[-1]).value() if typed else []
    several = [name for name in named if name != "none"] if isinstance(named, list) else []
    if len(given) < len(several):
        raise UserError(
            field="scorer",
            value=f"[{','.join(map(str, several))}]",
            problem=f"are {len(several)} names for {len(given)}: two files have the same name",
            remedy="Name each once. The first line of its file gives its name: "
            "# @package scorer.NAME",
        )


def refuse_unread(whole: DictConfig) -> None:
    """Raise UserError if a custom file has the name of a packaged one, because then only the
    packaged one is read. `whole` is Hydra's own part of the configuration.
    """
    own = [one.path for one in whole.runtime.config_sources if one.provider in OWN]
    chosen = {"": whole.job.config_name, **whole.runtime.choices}
    for folder in map(Path, own):
        for group, choice in chosen.items():
            _refuse_unread(folder, group, str(choice))


def _refuse_unread(folder: Path, group: str, choice: str) -> None:
    """As `refuse_unread`, of one file in `folder`, and of those that it is based on."""
    packaged, mine = (one / group / f"{choice}.yaml" for one in (config_dir(), folder))
    if not mine.is_file():
        return
    if not packaged.is_file():
        for base in _bases(mine):
            _refuse_unread(folder, group, base)
    elif mine.read_bytes() != packaged.read_bytes():
        raise UserError(
            field=group or "--config-name",
            value=choice,
            problem=f"{shell.typed_path(mine)} is not read, because imagepipe has a file "
            "with that name",
            remedy="Give your file another name.",
        )


def _bases(file: Path) -> list[str]:
    """The files of the same group that `file` is based on, but for itself."""
    found: Any = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    named = found.get("defaults") or [] if isinstance(found, dict) else []
    texts = [one for one in named if isinstance(one, str)]
    return [one for one in texts if one not in ("_self_", file.stem) and "@" not in one]


OWN = ("command-line", "hydra.searchpath in command-line", "hydra.searchpath in main")


def refuse_typed_secrets(arguments: Sequence[str]) -> None:
    """Check the typed arguments first, because Hydra writes them to disk before any job can
    check them.
    """
    for key, value in (pair for argument in arguments for pair in values(argument)):
        if value in (None, "") or "${" in str(value):  # composed, then checked
            continue
        configuration.check_named(key, value)
        if check := MAY_HOLD_SECRETS.get(OF_ONE_SCORER.sub("scorer.", key)):
            check(str(value))


def check_options(arguments: Sequence[str]) -> None:
    """Refuse the option of Hydra that runs a pickled configuration, past all checks of it."""
    for text in arguments:
        if text.startswith("--e"):  # also shortened
            raise UserError(
                field=text.partition("=")[0],
                value=text.partition("=")[2],
                problem="runs a configuration that nothing has checked",
                remedy="resume=FOLDER goes on with a run; imagepipe reproduce draws one again.",
            )


def check_choices(arguments: Sequence[str]) -> None:
    """Refuse a choice of a group that is not a name, and a range without steps; Hydra has no error
    of its own for them.
    """
    for argument in arguments:
        typed = _parsed(argument)
        nested = typed is not None and _nests(typed.value())
        for key, value in values(argument):
            if isinstance(value, RangeSweep) and value.step == 0:
                raise UserError(
                    field=key,
                    value=argument.partition("=")[2],
                    problem="has steps of 0, which never come to its end",
                    remedy="Give a step above 0, or leave it out.",
                )
            left_out = value is None and argument.startswith("~")
            if left_out or (isinstance(value, str | Glob) and not nested):
                continue
            group = config_dir() / key
            if group.is_dir() or ("/" in key and "." not in key):  # with dots it is in a value
                choices = sorted(file.stem for file in group.glob("*.yaml"))
                raise UserError(
                    field=key,
                    value=argument.partition("=")[2],
                    problem="is not a name, and a group takes the name of one of its choices",
                    remedy=f"Choose one of: {listed(choices)}." if choices else "Name one.",
                )


def values(argument: str) -> Iterator[tuple[str, Any]]:
    """The (key, value) pairs of an argument: several for a sweep, a list or a mapping.

    An argument that Hydra's grammar does not accept is returned as typed.
    """
    typed = _parsed(argument)
    if typed is None:
        key, _, value = argument.lstrip("+").partition("=")
        return iter([(key, value)])
    return _leaves(typed.key_or_group, typed.value())


def _parsed(argument: str) -> Override | None:
    try:
        return OverridesParser.create().parse_override(argument)
    except HydraException:
        return None


def _nests(value: Any) -> bool:
    """Whether it is a list with a list or a pattern in it, or several values one of which is."""
    if isinstance(value, ChoiceSweep):
        return any(map(_nests, value.list))
    return isinstance(value, list) and any(isinstance(one, list | Glob) for one in value)


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(f"{key}.{name}", inner)
    elif isinstance(value, list | ChoiceSweep):
        for inner in value if isinstance(value, list) else value.list:
            yield from _leaves(key, inner)
    else:
        yield key, value.text if isinstance(value, QuotedString) else value


def check_secrets(cfg: DictConfig) -> None:
    """Raise UserError if typed arguments or presets contain what must not be written down."""
    whole: Any = HydraConfig.get()
    refuse_typed_secrets(settings(whole))
    every: Any = OmegaConf.to_container(whole, resolve=False)
    sweeper = every["sweeper"] if isinstance(every["sweeper"], dict) else {}
    params = sweeper.get("params")
    given = params if isinstance(params, dict) else {}  # else a reference, or nothing
    refuse_typed_secrets([f"{key}={value}" for key, value in given.items()])
    for name in whole.job.env_set:
        configuration.check_named(f"hydra.job.env_set.{name}", None)
    config = configuration.unchecked(cfg)
    configuration.check_secrets(config)
    for section in (config.llm, config.model, *config.scorer.values()):
        endpoint.check_secrets(section)
    address.check_uri(config.tracking)
    store.check_url("sink.path", config.sink.path or "")
    joins = (config.dataset.join, *config.dataset.more_joins)
    for path in (config.dataset.path, *(join.path for join in joins)):
        secrets.check_table("dataset.path", path)


def _check_tracking(uri: str) -> None:
    address.check_uri(configuration.Tracking(name="typed", backend="mlflow", uri=uri))


def _check_storage(url: str) -> None:
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise UserError(
            field="hydra.sweeper.storage",
            value="...",
            problem="contains a user or password, which would be recorded",
            remedy="Keep the study in a file: sqlite:///study.db.",
        )


OF_ONE_SCORER = re.compile(r"^scorer\.[^.]+\.(?=\w+$)")  # of several, by its name
MAY_HOLD_SECRETS: dict[str, Callable[[str], None]] = {
    "hydra.sweeper.storage": _check_storage,
    "tracking.uri": _check_tracking,
    "sink.path": partial(store.check_url, "sink.path"),
    "dataset.path": partial(secrets.check_table, "dataset.path"),
    "dataset.join.path": partial(secrets.check_table, "dataset.join.path"),
    "dataset.more_joins.path": partial(secrets.check_table, "dataset.more_joins.path"),
    "distance.reference": partial(secrets.check_table, "distance.reference"),
    **{
        f"{section}.{key}": partial(check, field=f"{section}.{key}")
        for section in ("llm", "model", "scorer")
        for key, check in {
            "base_url": endpoint.check_url,
            "api_key_env": endpoint.check_name,
        }.items()
    },
}
