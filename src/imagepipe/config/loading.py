"""From the composed configuration to the dataclasses and back, and digests that compare two of
them.

Only this module, `references`, `schema` and `registration` use OmegaConf.
"""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from functools import cache
from hashlib import blake2b
from typing import Any, cast, get_args, get_type_hints

from omegaconf import MISSING, DictConfig, OmegaConf

from imagepipe.assets import PREFIX
from imagepipe.config import own, references
from imagepipe.config.checks import check
from imagepipe.config.fields import paths
from imagepipe.config.models import Part
from imagepipe.config.schema import Config, Scorer
from imagepipe.config.scorers import FIELDS, Sections, by_name, check_keys, sections, shares
from imagepipe.config.secrets import is_open
from imagepipe.errors import UserError, did_you_mean, listed
from imagepipe.stages import engines

NOT_GIVEN = "(not given)"
# A part of a model, by any name: what its keys may be is known.
PART, PART_KEY = re.compile(r"^model\.parts\.[^.]+"), "model.parts.NAME"
# What may differ when a run is resumed: none of it changes a picture or the table's columns.
MAY_CHANGE = (
    "distance",
    *("resources", "ray", "tracking", "sweep", "resume", "retry_failed", "outputs", "verbose"),
    *(
        "sink.gallery_images",
        "sink.hub",
        "dataset.path",
        "dataset.join.path",
        "dataset.join.method",
    ),
    *("dataset.more_joins.path", "dataset.more_joins.method"),
    *("dataset.read", "dataset.join.read", "dataset.more_joins.read", "dataset.wildcards"),
    "model.private_urls",
    *("dataset.scan_rows", "dataset.most_rows", "dataset.category", "max_failures"),
    *(
        f"{section}.{key}"
        for section in ("llm", "model", "scorer")
        for key in ("base_url", "api_key_env", "timeout_s", "max_retries", "requests_per_minute")
    ),
)


def load(cfg: DictConfig) -> Config:
    """The composed configuration as dataclasses, checked key by key and across keys.

    The engine `auto` becomes the one that is installed.
    Raises UserError for an unknown key (also one added with `+`), a required value that is
    missing, and values that contradict each other.
    """
    given = references.values(cfg, _schema())
    scorers = by_name(sections(given["scorer"]))
    _refuse_unknown(given, scorers)
    named = _named(given, scorers)
    # As it is given where a default of the schema, another than null, stands in for it.
    typed = {key for key in _missing(given) if OmegaConf.select(named, key) is not None}
    for name in sorted(_missing(OmegaConf.to_container(named)) | typed):
        raise UserError(
            field=name,
            value=MISSING,
            problem="is required and has no value",
            remedy=f"Give one: {name}=...",
        )
    config = OmegaConf.to_object(named)
    assert isinstance(config, Config)
    embedded = (config.model.path or "").startswith(PREFIX)
    if config.llm.engine == engines.AUTO:
        config.llm.engine = engines.automatic("llm", embedded=embedded)
    for scorer in config.scorer.values():
        if scorer.engine == engines.AUTO:
            scorer.engine = engines.automatic("scorer", embedded=embedded)
    config = _with_scorers(config)
    check(config)
    return config


def _missing(values: Any) -> set[str]:
    return {key for key, value in paths(values) if value == MISSING}


def _with_scorers(config: Config) -> Config:
    """`config` without scorers that do nothing, and `sweep.score` as the name of one."""
    working = {n: one for n, one in config.scorer.items() if _works(asdict(one))}
    resources = config.resources.of_scorers(config.scorer, working)
    made = replace(config, scorer=working, resources=resources)
    names = {score.column: score.name for score in made.scores}
    sweep = replace(config.sweep, score=names.get(config.sweep.score or "", config.sweep.score))
    return replace(made, sweep=sweep)


def unchecked(cfg: DictConfig) -> Config:
    """As `load`, of a configuration that may be wrong; a missing value is the text `NOT_GIVEN`."""
    given = references.values(cfg, _schema())
    scorers = {n: _only(one, FIELDS) for n, one in by_name(sections(given["scorer"])).items()}
    named = _named(_only(given, _known()), scorers)
    for key in _missing(OmegaConf.to_container(named)):
        OmegaConf.update(named, key, NOT_GIVEN)
    config = OmegaConf.to_object(named)
    assert isinstance(config, Config)
    return config


def _named(given: Mapping[str, Any], scorers: Sections) -> DictConfig:
    """The given configuration merged into the schema, with `scorers` by name and a share for
    each.
    """
    stages, own_shares = own.split(
        given.get("stages", []), auto=bool(given["resources"].get("auto"))
    )
    resources = {**given["resources"], **shares(given["resources"]["scorer"], scorers)}
    resources |= {"own": own_shares}
    named = {**given, "scorer": scorers, "resources": resources, "stages": stages}
    return _merged(named)


def _merged(values: Mapping[str, Any]) -> DictConfig:
    """`values` merged into the schema: those that it does not have, which is faster."""
    whole = cast("DictConfig", pickle.loads(_pickled()))
    whole.merge_with(_changes(values, _defaults()))
    return whole


def _changes(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The part of `values` that is not in `defaults` as it is, also in its type."""
    changed = {}
    for key, value in values.items():
        default = defaults.get(key)
        if isinstance(value, dict) and isinstance(default, dict):
            if inside := _changes(value, default):
                changed[key] = inside
        elif key not in defaults or repr(value) != repr(default):
            changed[key] = value
    return changed


@cache
def _defaults() -> dict[str, Any]:
    return cast("dict[str, Any]", OmegaConf.to_container(_schema()))


@cache
def _schema() -> DictConfig:
    """`Config` as an OmegaConf schema. Nobody changes it."""
    return cast("DictConfig", OmegaConf.structured(Config))


@cache
def _pickled() -> bytes:
    """The schema, to be copied: four times as fast as by `deepcopy`, and twenty as to make it."""
    return pickle.dumps(_schema())


def _only(given: Mapping[str, Any], known: Collection[str], prefix: str = "") -> dict[str, Any]:
    """The part of `given` whose keys are in `known`."""
    inside = {one.rpartition(".")[0] for one in known}
    return {
        key: _only(value, known, f"{prefix}{key}.")
        if isinstance(value, dict) and f"{prefix}{key}" in inside
        else value
        for key, value in given.items()
        if f"{prefix}{key}" in known
    }


def _refuse_unknown(given: Mapping[str, Any], names: Collection[str]) -> None:
    check_keys(given["scorer"], given["resources"]["scorer"], names)
    known = _known()
    for key, value in paths(given):
        key = PART.sub(PART_KEY, key)
        inside_list = any(part.isdigit() for part in key.split("."))
        is_scorers = key.startswith(("scorer.", "resources.scorer."))
        if key in known or inside_list or is_open(key) or is_scorers:
            continue
        raise UserError(
            field=key,
            value=value,
            problem="there is no such key",
            remedy=did_you_mean(key, known).strip()
            or f"Keys here: {listed(_siblings(key, known), key)}.",
        )


@cache
def _known() -> frozenset[str]:
    of_part = (f"{PART_KEY}.{one.name}" for one in fields(Part))
    return frozenset((*keys(_schema()), PART_KEY, *of_part))


def _siblings(key: str, known: Iterable[str]) -> list[str]:
    parent = key.rpartition(".")[0]
    return sorted(name for name in known if name.rpartition(".")[0] == parent)


def keys(cfg: Any) -> Iterator[str]:
    """Every key of `cfg`, nested ones with dots, places in lists as numbers; nothing resolved."""
    yield from (key for key, _ in paths(OmegaConf.to_container(cfg, resolve=False)))


def with_defaults(recorded: Mapping[str, Any], section: Any = None) -> dict[str, Any]:
    """A recorded `Config`, as a dict, with the default of each key that it lacks.

    Keys that no longer exist stay. `section` is the dataclass of `recorded`. A scorer that was
    recorded without a section of its own gets one.
    """
    section = section or Config()
    whole, types = {**asdict(section), **recorded}, get_type_hints(type(section))
    for name, value in recorded.items():
        default = getattr(section, name, None)
        entry: Any = next(filter(is_dataclass, get_args(types.get(name))), None)  # of a list
        if is_dataclass(default) and isinstance(value, dict):
            whole[name] = with_defaults(value, default)
        elif entry is Scorer and isinstance(value, dict):
            found = by_name(sections(value)).items()
            whole[name] = {key: with_defaults(one, entry()) for key, one in found if _works(one)}
        elif entry and isinstance(value, dict):
            whole[name] = {key: with_defaults(one, entry()) for key, one in value.items()}
        elif entry and isinstance(value, list):
            whole[name] = [with_defaults(one, entry()) for one in value]
    return whole


def built(kind: Any, value: Any) -> Any:
    """A dataclass, with those inside it, from the dicts and lists that it would be in JSON.

    Unlike OmegaConf it resolves no interpolation.
    """
    entry: Any = next(filter(is_dataclass, get_args(kind)), None)  # of a list or a dict
    if is_dataclass(kind):
        types: Any = get_type_hints(kind)
        made: Any = kind
        return made(**{name: built(types[name], one) for name, one in value.items()})
    if entry and isinstance(value, dict):
        return {key: built(entry, one) for key, one in value.items()}
    return [built(entry, one) for one in value] if entry else value


def _works(scorer: Mapping[str, Any]) -> bool:
    return scorer.get("engine") != engines.NONE


def recorded(values: Mapping[str, Any]) -> Config:
    """The configuration of a run from its record, without keys that no longer exist."""
    whole = with_defaults(values)
    known = {key: whole[key] for key in asdict(Config())}
    config = OmegaConf.to_object(_merged(known))
    assert isinstance(config, Config)
    return config


def to_yaml(config: Config) -> str:
    """The whole configuration as YAML, every interpolation resolved."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))


def digest_source(config: Config) -> dict[str, Any]:
    """The settings that decide how pictures look: seed, prompts, models; not resources or
    folders.
    """
    whole = asdict(config)
    return {key: whole[key] for key in ("seed", "dataset", "llm", "model", "stages")}


def config_digest(config: Config) -> str:
    """16 hex digits, equal for two configurations that draw the same pictures."""
    return json_digest(digest_source(config))


def json_digest(value: Any, size: int = 8) -> str:
    """`size` bytes as hex digits, equal for values that are equal as JSON."""
    text = json.dumps(value, sort_keys=True, default=str)
    return blake2b(text.encode(), digest_size=size).hexdigest()
