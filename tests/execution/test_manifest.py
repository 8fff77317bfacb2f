"""A run that began before a key was there is resumed as if the key had had its default."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from imagepipe.config import Config, Join, Lora, with_defaults
from imagepipe.errors import UserError
from imagepipe.execution import manifest
from imagepipe.sink import sweeps


def config() -> Config:
    made = Config(seed=3)
    made.dataset.more_joins = [Join(path="hats.csv", on="id")]
    made.model.loras = [Lora(path="style", weight=0.5)]
    return made


def without(record: manifest.Record, key: str) -> manifest.Record:
    """`record` as it was before there was `key`."""
    whole: Any = asdict(record)["config"]
    section = whole
    *sections, last = key.split(".")
    for name in sections:
        section = section[int(name)] if name.isdigit() else section[name]
    del section[last]
    return replace(record, config=whole)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("limit", id="root"),
        pytest.param("model.steps", id="section"),
        pytest.param("model.quantization.quant_kwargs", id="inner"),
        pytest.param("model.quantization", id="whole"),
        pytest.param("dataset.more_joins.0.how", id="list"),
    ],
)
def test_a_new_key_is_no_difference_at_its_default(tmp_path: Path, key: str):
    now = manifest.of(config(), [], [])
    manifest.check(without(now, key), now, tmp_path)


@pytest.mark.parametrize(
    ("key", "was"),
    [
        pytest.param("model.steps", 4, id="section"),
        pytest.param("model.loras.0.weight", 1.0, id="list"),
        pytest.param("seed", 0, id="root"),
    ],
)
def test_a_new_key_with_another_value_is_one(tmp_path: Path, key: str, was: object):
    changed = config()
    changed.model.steps = 8
    now = manifest.of(changed, [], [])
    with pytest.raises(UserError, match=rf"began with [a-z.]+={was}\."):
        manifest.check(without(now, key), now, tmp_path)


def test_what_is_recorded_stays_and_only_what_lacks_is_filled():
    recorded = {"seed": 3, "resources": {"sink": {"num_cpus": 0.5}}, "gone": {"old": 1}}
    whole = with_defaults(recorded)
    assert (whole["seed"], whole["gone"]) == (3, {"old": 1})
    sink = Config().resources.sink
    assert whole["resources"]["sink"] == {**asdict(sink), "num_cpus": 0.5}
    assert whole["model"] == asdict(Config().model)


def test_a_search_by_optuna_is_not_resumed_and_the_way_is_told(tmp_path: Path):
    search = ["-m", "hydra/sweeper=optuna", "seed=choice(1,2)"]
    sweeps.write(tmp_path, sweeps.Record(search, ["seed"], "optuna", None))
    with pytest.raises(UserError) as caught:
        manifest.resumed(tmp_path, [])
    said = str(caught.value)
    assert "is a search by optuna" in said and "is not resumed as a whole" in said
    assert "Resume its jobs by their own folders" in said and "hydra.sweeper.storage=" in said
