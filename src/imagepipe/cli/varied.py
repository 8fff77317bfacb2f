"""What a sweep varies, and whether its sweeper can vary it so: the sweepers only assert that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from imagepipe.errors import UserError
from imagepipe.sink import sweeps

# Settings of a search that say themselves what varies.
SPACES = ("search_space", "custom_search_space")


def check_varied(texts: Sequence[str], sweeper: str, settings: Any, cfg: DictConfig) -> None:
    """Raise UserError for one of the overrides `texts` that `sweeper` cannot vary. `settings` are
    the sweeper's own, `cfg` what all jobs have.
    """
    try:
        typed = OverridesParser.create().parse_overrides(list(texts))
    except HydraException:
        return  # Hydra says what it cannot read
    for override in typed:
        check = _check_of_basic if sweeper == sweeps.BASIC else _check_of_search
        check(override, override.value())
        _check_whole(override, override.value(), cfg)
    own = any(settings.get(name) is not None for name in SPACES)
    if sweeper == "optuna" and not own and not any(one.is_sweep_override() for one in typed):
        raise UserError(
            field="hydra/sweeper",
            value=sweeper,
            problem="has nothing to search in, so that all jobs would be the same",
            remedy="Vary a key: model.steps=1,2,4, 'model.steps=range(1,8)' or "
            "'model.guidance=interval(0,8)'.",
        )


def _check_of_basic(override: Override, value: Any) -> None:
    if isinstance(value, IntervalSweep):
        raise _refused(
            override,
            "is a span to search in, and Hydra's own sweeper runs a job for each of some values",
            "Name values, as in 1,2,4 or 'range(1,8)', or search: hydra/sweeper=optuna.",
        )


def _check_of_search(override: Override, value: Any) -> None:
    if isinstance(value, Glob):
        raise _refused(
            override,
            "is a pattern of names, which only Hydra's own sweeper fills in",
            "Name the choices, separated by commas, or leave hydra/sweeper out.",
        )
    if isinstance(value, IntervalSweep | RangeSweep):
        low, high = value.start, value.end if isinstance(value, IntervalSweep) else value.stop
        assert low is not None and high is not None  # by Hydra's grammar
        if low > high:
            raise _refused(
                override,
                f"ends at {high}, before it begins at {low}",
                "Give the smaller number first.",
            )
        if "log" in value.tags and low <= 0:
            raise _refused(
                override,
                f"begins at {low}, which has no logarithm",
                "Let it begin above 0, or leave tag(log, ...) out.",
            )


def _check_whole(override: Override, value: Any, cfg: DictConfig) -> None:
    """Hydra reads the ends of a span as numbers with fractions."""
    now = OmegaConf.select(cfg, override.get_key_element().lstrip("+~"))
    spans = isinstance(value, IntervalSweep) and isinstance(value.start, float)
    if spans and isinstance(now, int) and not isinstance(now, bool):
        typed = (override.input_line or "").partition("=")[2]
        raise _refused(
            override,
            "is a span of numbers with fractions, and the key takes whole ones",
            f"Write 'int({typed})', or 'range(...)' with both ends.",
        )


def _refused(override: Override, problem: str, remedy: str) -> UserError:
    assert override.input_line is not None  # it was parsed
    value = override.input_line.partition("=")[2]
    return UserError(field=override.get_key_element(), value=value, problem=problem, remedy=remedy)
