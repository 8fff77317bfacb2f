"""Stages of a person's own, `stages`: where they stand, what is refused, how rows pass them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from helpers.configs import composed

from imagepipe import resources, sources
from imagepipe.config import Config
from imagepipe.errors import UserError
from imagepipe.execution import chain
from imagepipe.execution.bench import Probe
from imagepipe.resources.machine import Machine, Node
from imagepipe.stages.own import Pictures
from imagepipe.stages.own import stage as own_stage
from imagepipe.stages.pictures import pictures
from imagepipe.stages.stage import LEDGER, BatchSizeBackoff, Stage, apply

HERE = "helpers.own_stages"
FEW = ("llm=none", "model=noop", "limit=4", "tracking=none")


def with_stages(*entries: str, more: tuple[str, ...] = ()) -> Config:
    """`Larger, after: model` becomes the entry {_target_: helpers.own_stages.Larger, ...}."""
    listed = ", ".join(f"{{_target_: {HERE}.{one}}}" for one in entries)
    return composed(*FEW, *more, f"stages=[{listed}]")


def stages_of(config: Config) -> list[Stage]:
    return chain.stages(config, sources.scan(config.dataset, 4))


@pytest.mark.parametrize(
    ("entries", "order"),
    [
        pytest.param(["Loud, after: llm"], "prompt llm loud model scorer", id="before"),
        pytest.param(["Larger, after: model"], "prompt llm model larger scorer", id="behind"),
        pytest.param(["Verdict, after: scorer"], "prompt llm model scorer verdict", id="last"),
        pytest.param(
            ["Larger, after: model", "Larger, after: model, name: again"],
            "prompt llm model larger again scorer",
            id="as listed",
        ),
        pytest.param(
            ["Larger, after: model", "Larger, after: larger, name: b", "Draws, after: model"],
            "prompt llm model larger b draws scorer",
            id="behind one's own",
        ),
    ],
)
def test_a_stage_stands_where_it_is_told(entries: list[str], order: str):
    config = with_stages(*entries, more=("scorer=tiny_clip",))
    assert config.order == tuple(order.split())
    assert ["prompt", *config.sections] == order.split()


def test_behind_several_scorers_is_behind_the_last_and_each_can_be_named():
    several = ("scorer=[tiny_clip,clip]",)
    config = with_stages("Verdict, after: scorer, of: prompt", more=several)
    assert config.order[-2:] == ("scorer_clip", "verdict")
    config = with_stages("Verdict, after: scorer_tiny_clip, of: score_tiny_clip", more=several)
    assert config.order[-3:] == ("scorer_tiny_clip", "verdict", "scorer_clip")


REFUSED = {
    "no class": ("Missing, after: model", "stages.0._target_", "No module named"),
    "no module": ("nowhere.Upscale, after: model", "stages.0._target_", "No module named"),
    "no stage": (
        "NoStage, after: model",
        "stages.0._target_",
        "is no stage: it lacks load, process, reads",
    ),
    "a function": ("picture, kind: one, after: model", "stages.0._target_", "lacks load"),
    "another argument": ("Larger, after: model, times: 2", "stages.0._target_", "'times'"),
    "one name": ("Says, reads: prompt, after: model", "stages.0._target_", "has reads"),
    "no schema": ("Says, adds: text, after: model", "stages.0._target_", "has adds"),
    "no table's type": ("Says, adds: [tensor], after: model", "stages.0._target_", "has adds"),
    "changes the seed": ("Says, changes: [seed], after: llm", "stages.0._target_", "has changes"),
    "no column": ("Verdict, after: model, of: beauty", "stages.0", "reads columns"),
    "too early": ("Larger, after: llm", "stages.0", "put this stage after it"),
    "a column of the table": ("Says, adds: [animal], after: llm", "stages.0", "animal"),
    "in capitals": ("Says, adds: [Animal], after: llm", "stages.0", "Animal"),
    "a column to come": ("Says, adds: [prompt_cut], after: llm", "stages.0", "already has"),
    "one of the sink's": ("Says, adds: [image_path], after: llm", "stages.0", "already has"),
    "of a stage": ("Says, adds: [score_x], after: llm", "stages.0", "already has"),
    "its own seconds": ("Says, adds: [says_s], after: llm", "stages.0", "already has"),
    "too late": ("Loud, after: model", "stages.0.after", "has already used"),
    "far too late": (
        "Says, changes: [base_prompt], after: llm",
        "stages.0.after",
        "has already used",
    ),
    "no place": ("Larger, after: modle", "stages.0.after", "Did you mean"),
    "behind the end": ("Larger, after: scorer", "stages.0.after", "no such stage"),
    "behind itself": ("Larger, after: larger", "stages.0.after", "no such stage"),
    "nowhere": ("Larger", "stages.0.after", "is required"),
    "a taken name": ("Larger, after: model, name: llm", "stages.0.name", "another stage"),
    "no name": ("Larger, after: model, name: 'a b'", "stages.0.name", "Use a-z"),
    "no batch": ("Larger, after: model, batch_size: 0", "stages.0.batch_size", "too small"),
    "less than nothing": ("Larger, after: model, num_gpus: -1", "stages.0.num_gpus", "too small"),
    "a secret": ("Larger, after: model, api_key: abc", "stages.0.api_key", "secret"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_stage_that_cannot_be_is_refused(case: str):
    entry, field, said = REFUSED[case]
    with pytest.raises(UserError) as caught:
        stages_of(with_stages(entry, more=("scorer=none",)))
    assert caught.value.field == field
    assert said in str(caught.value)


def test_the_column_of_its_seconds_may_not_be_one_of_the_table(tmp_path: Path):
    (tmp_path / "t.csv").write_text("id,what,says_s\n1,a cat,2\n")
    table = ("dataset=csv", f"dataset.path={tmp_path}/t.csv", "dataset.id=id")
    with pytest.raises(UserError) as caught:
        stages_of(
            with_stages("Says, after: llm", more=("scorer=none", *table, "dataset.prompt='{what}'"))
        )
    assert caught.value.field == "stages.0.name"
    assert "its times need the column says_s, which the table already has" in str(caught.value)


@pytest.mark.parametrize("typed", ["stages=5", "stages=[Upscale]"])
def test_stages_are_a_list_of_mappings(typed: str):
    with pytest.raises(UserError) as caught:
        composed(*FEW, typed)
    assert caught.value.field == "stages"


def test_two_of_one_name_are_refused():
    with pytest.raises(UserError, match="name of another stage") as caught:
        with_stages("Larger, after: model", "Larger, after: larger")
    assert caught.value.field == "stages.1.name"


# --- shares

GPUS = Machine((Node(16, 1, 64 << 30),))


def test_a_stage_is_packed_beside_ours_and_gets_what_it_asks_for():
    config = with_stages("Larger, after: model, num_gpus: 0.2, batch_size: 3")
    shares, why = resources.resolve(config, GPUS, 100)
    assert shares.share("larger").num_gpus == 0.2
    assert shares.model.num_gpus <= 0.8
    assert "larger 1 x" in why and "batches of 3" in why


def test_a_stage_without_a_gpu_takes_none_of_ours():
    config = with_stages("Larger, after: model")
    shares, _ = resources.resolve(config, GPUS, 100)
    assert shares.share("larger").num_gpus == 0
    assert shares.model.num_gpus == 1.0


@pytest.mark.parametrize(
    ("share", "key"),
    [("num_gpus: 2", "num_gpus"), ("num_cpus: 99", "num_cpus"), ("memory_gb: 512", "memory_gb")],
)
def test_a_share_that_does_not_fit_is_refused_by_its_key(share: str, key: str):
    config = with_stages(f"Larger, after: model, {share}", more=("resources=cpu",))
    with pytest.raises(UserError) as caught:
        resources.resolve(config, Machine((Node(2, 1, 8 << 30),)), 100)
    assert caught.value.field == f"stages.0.{key}"
    assert f"stages.0.{key}=" in str(caught.value)


def test_only_what_a_stage_is_told_decides_how_pictures_look():
    from imagepipe.config import config_digest

    plain = with_stages("Larger, after: model")
    assert config_digest(plain) == config_digest(with_stages("Larger, after: model, num_cpus: 1"))
    assert config_digest(plain) != config_digest(with_stages("Larger, after: model, factor: 3"))


def test_a_run_is_resumed_with_other_shares_and_not_with_other_stages(tmp_path):
    from imagepipe.execution import manifest

    began = manifest.of(with_stages("Larger, after: model"), [], [], tmp_path)
    other = with_stages("Larger, after: model, num_cpus: 0.5, batch_size: 2")
    manifest.check(began, manifest.of(other, [], [], tmp_path), tmp_path)
    for entries in (["Larger, after: model, factor: 3"], ["Larger, after: llm"], []):
        now = manifest.of(with_stages(*entries), [], [], tmp_path)
        with pytest.raises(UserError, match="began with stages"):
            manifest.check(began, now, tmp_path)


# --- rows


def rows(*prompts: str, sizes: int = 8) -> pa.Table:
    """Rows as they come from a model, the last one failed before."""
    images = np.arange(len(prompts) * sizes * sizes * 3, dtype=np.uint8)
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(
        images.reshape(len(prompts), 1, sizes, sizes, 3)
    )
    nothing = [None] * len(prompts)
    table = pa.table({"prompt": prompts, "image": tensors})
    for name in LEDGER.names:
        values = [*nothing[1:], "model" if name == "failed_stage" else "it broke"]
        table = table.append_column(name, pa.array(values, pa.string()))
    return table


def made(target: str, most: float = 16_383, behind: bool = False, **arguments: Any) -> Stage:
    section = type("Entry", (), {"_target_": f"{HERE}.{target}", "name": target.lower()})
    section.arguments = arguments
    return own_stage(section, "stages.0", Pictures(1, most), behind_model=behind)


def done(stage: Stage, table: pa.Table) -> pa.Table:
    return apply(stage, BatchSizeBackoff(stage.recipe()), table)


def test_pictures_come_back_in_another_size_and_failed_rows_pass_by():
    before = rows("a", "b", "c")
    table = done(made("Larger"), before)
    first = pictures(table.slice(0, 2)["image"])
    assert [one.shape for one in first] == [(1, 16, 16, 3)] * 2
    assert (first[0][0, ::2, ::2] == pictures(before["image"])[0][0]).all()
    assert table["failed_reason"].to_pylist() == [None, None, "it broke"]


def test_a_reason_fails_its_row_alone():
    table = done(made("Larger", fails="b"), rows("a", "b", "c", "d"))
    assert table["failed_stage"].to_pylist() == [None, "larger", None, "model"]
    assert table["failed_reason"].to_pylist() == [None, "not this", None, "it broke"]


def test_an_exception_fails_the_rows_that_raise_it():
    stage = made("Says", adds=["said"], gives={"said": "x"}, raises="b")
    table = done(stage, rows("a", "b", "c", "b", "e"))
    assert table["said"].to_pylist() == ["x", None, "x", None, None]
    assert table["failed_reason"].to_pylist()[1] == "RuntimeError: a broken row"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        pytest.param({"gives": {"said": "x"}, "raises": "b"}, "a broken row", id="raises"),
        pytest.param({"gives": {"said": 5}}, "Expected bytes, got a 'int' object", id="type"),
        pytest.param({"gives": {}}, "the class gave no said", id="lacks"),
    ],
)
def test_behind_the_model_what_it_drew_is_kept(arguments: Any, why: str):
    table = done(made("Says", adds=["said"], behind=True, **arguments), rows("a", "b", "c"))
    assert table["failed_stage"].to_pylist() == [None, None, "model"]
    assert table["said"].to_pylist()[1:] == [None, None]
    said = table["says_error"].to_pylist()
    assert why in said[1] and (said[0] is None) == ("raises" in arguments)


def test_behind_the_model_a_reason_and_a_picture_that_lacks_its_change_fail_rows():
    told = made("Says", gives={"failed_reason": "too dark"}, behind=True)
    assert done(told, rows("a", "b"))["failed_reason"].to_pylist() == ["too dark", "it broke"]
    changed = made("Draws", kind="text", behind=True)
    assert done(changed, rows("a", "b"))["failed_stage"].to_pylist() == ["draws", "model"]


def test_only_behind_the_model_a_stage_has_a_column_of_what_failed():
    entries = ("Says, after: llm", "Verdict, after: scorer", "Larger, after: model")
    chained = stages_of(with_stages(*entries, more=("scorer=tiny_clip",)))
    assert chain.errors(chained) == {"scorer_error": "scorer", "verdict_error": "verdict"}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        pytest.param({"adds": ["a"], "gives": {}}, "no a", id="lacks"),
        pytest.param({"gives": {"b": "x"}}, "b, which it does not name", id="another"),
        pytest.param({"adds": ["a"], "gives": {"a": 5}}, "Expected", id="type"),
        pytest.param({"changes": ["prompt"], "gives": {"prompt": " "}}, "no prompt", id="blank"),
        pytest.param({"changes": ["prompt"], "gives": {"prompt": 5}}, "no prompt", id="number"),
    ],
)
def test_columns_that_are_not_what_was_promised_fail_their_rows(arguments: Any, why: str):
    table = done(made("Says", **arguments), rows("a", "b", "c"))
    assert table["failed_stage"].to_pylist() == ["says", "says", "model"]
    assert why in table["failed_reason"].to_pylist()[0]


@pytest.mark.parametrize("kind", ["floats", "one", "two", "grey", "empty", "wide", "text"])
def test_what_is_no_picture_fails_its_row(kind: str):
    table = done(made("Draws", kind=kind), rows("a", "b"))
    assert table["failed_stage"].to_pylist() == ["draws", "model"]
    assert "the class gave" in table["failed_reason"].to_pylist()[0]


def test_prompts_are_changed_and_columns_added():
    table = done(made("Loud"), rows("a", "bc", "d"))
    assert table["prompt"].to_pylist() == ["A", "BC", None]
    assert table["letters"].to_pylist() == [1, 2, None]


def test_a_stage_is_measured_as_ours_are():
    probe = Probe()
    probe.load(stage := made("Larger"), 1)
    rate, _ = probe.measure(rows("a", "b", "c").slice(0, 2), 4, 1)
    assert rate > 0
    assert probe.hand_on(stage, rows("a", "b", "c"), loaded=True).num_rows == 2
