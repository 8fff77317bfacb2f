"""A reference to another key is taken as what it refers to, or refused by its own key."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from helpers.configs import choices
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from imagepipe import config as configuration
from imagepipe.cli.checks import settings
from imagepipe.cli.hooks import Before
from imagepipe.config import Config
from imagepipe.errors import UserError


def with_values(**values: Any) -> DictConfig:
    """The default configuration with each of `values`, whose keys have __ for a dot."""
    cfg = deepcopy(choices(()))
    for key, value in values.items():
        OmegaConf.update(cfg, key.replace("__", "."), value, force_add=True)
    return cfg


def loaded(**values: Any) -> Config:
    return configuration.load(with_values(**values))


def test_values_mappings_and_lists_are_referred_to():
    config = loaded(
        seed=8,
        model__steps="${seed}",
        dataset__prompt="a ${seed} {animal}",
        llm__chat_template_kwargs="${model.call_kwargs}",
        model__call_kwargs={"clip_skip": "${seed}"},
    )
    assert (config.model.steps, config.dataset.prompt) == (8, "a 8 {animal}")
    assert config.llm.chat_template_kwargs == config.model.call_kwargs == {"clip_skip": 8}
    assert loaded(dataset__prompt=r"a \${seed}").dataset.prompt == "a ${seed}"


@pytest.mark.parametrize("read", [configuration.load, configuration.unchecked])
@pytest.mark.parametrize(
    ("key", "written", "problem"),
    [
        ("dataset.join", "${seed}", "does not refer to a mapping"),
        ("model.ip_adapter", "${model.name}", "does not refer to a mapping"),
        ("model.columns", "${seed}", "does not refer to a mapping"),
        ("llm.request", "${model.loras}", "does not refer to a mapping"),
        ("model.loras", "${seed}", "does not refer to a list"),
        ("model.loras", "${dataset.join}", "does not refer to a list"),
        ("dataset.join", "${dataset}", "refers to nothing that fits"),
        ("model.steps", "${model.nothing}", "Interpolation key 'model.nothing' not found"),
        ("model.steps", "${dataset.name}", "could not be converted to Integer"),
        ("model.steps", "${nothing:1}", "Unsupported interpolation type nothing"),
        ("seed", "${seed}", "Recursive interpolation detected"),
        ("dataset.prompt", "a ${what}", "Interpolation key 'what' not found"),
        ("tracking.uri", "${oc.env:NO_NAME}", "'NO_NAME' not found"),
    ],
)
def test_what_refers_to_nothing_that_fits_is_refused(read, key: str, written: str, problem: str):
    with pytest.raises(UserError) as refused:
        read(with_values(**{key: written}))
    error = refused.value
    assert (error.field, error.value) == (key, written)
    assert problem in error.problem and "Name a key that" in str(error.remedy)


def test_typed_settings_are_read_as_typed():
    """Also those that refer to nothing, which are refused by their own key later."""
    typed = ["seed=3", "model.steps=${seed}", "llm.system=${nothing}"]
    assert settings(OmegaConf.create({"seed": 3, "overrides": {"task": typed}})) == typed


class Broken:
    """A command with a defect of ours."""

    def run_begins(self, cfg: DictConfig) -> None:
        raise AttributeError("no such thing")

    def sweep_begins(self, cfg: DictConfig, whole: DictConfig) -> None:
        raise AttributeError("no such thing")


@pytest.mark.parametrize("begins", [Before.on_run_start, Before.on_multirun_start])
def test_a_defect_in_the_checks_ends_the_command(begins, capsys):
    """Hydra would warn of it, and run what was not checked."""
    held = HydraConfig.instance().cfg
    Before.under_way = Broken()
    try:
        with pytest.raises(SystemExit) as ended:
            begins(Before(), OmegaConf.create({"hydra": HydraConf()}))
    finally:
        Before.under_way, HydraConfig.instance().cfg = None, held
    assert ended.value.code == 1 and "no such thing" in capsys.readouterr().err
