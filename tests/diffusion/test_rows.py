"""Rows with settings of their own: what a cell may hold, and that a row is drawn by its own."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from helpers.configs import composed
from helpers.painters import Remembering

from imagepipe import diffusion
from imagepipe.config import Lora, Model
from imagepipe.diffusion.rows import RowSettings, settings
from imagepipe.diffusion.stage import stage
from imagepipe.errors import UserError
from imagepipe.stages.pictures import pictures
from imagepipe.stages.stage import LEDGER, Worker, apply

TINY = composed().model
KEYS = {"width": "w", "height": "h", "steps": "n", "guidance": "g", "negative_prompt": "no"}


def made(model: Model, **cells: object) -> tuple[Model | None, str | None]:
    own = settings(replace(model, columns={key: key for key in cells}), {})
    rows = pa.table({key: [cell] for key, cell in cells.items()})
    return own.maker()(own.cells(rows)[0])


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        pytest.param({"steps": 3}, {"steps": 3}, id="whole"),
        pytest.param({"steps": "3"}, {"steps": 3}, id="text"),
        pytest.param({"steps": 3.0}, {"steps": 3}, id="float"),
        pytest.param({"steps": None, "guidance": " "}, {"steps": 6, "guidance": 2.0}, id="null"),
        pytest.param({"steps": float("nan")}, {"steps": 6}, id="nan"),
        pytest.param({"guidance": Decimal("1.5")}, {"guidance": 1.5}, id="decimal"),
        pytest.param({"negative_prompt": "fog"}, {"negative_prompt": "fog"}, id="negative"),
        pytest.param({"clip_skip": 1}, {"call_kwargs": {"clip_skip": 1}}, id="argument"),
        pytest.param({"clip_skip": "2"}, {"call_kwargs": {"clip_skip": 2}}, id="argument-text"),
        pytest.param({"eta": "0.5"}, {"call_kwargs": {"eta": 0.5}}, id="argument-half"),
        pytest.param({"lora_0": 0.5}, {"loras": [Lora("a", weight=0.5)]}, id="lora"),
    ],
)
def test_cells_are_settings(cells: dict[str, object], expected: dict[str, object]):
    model = replace(TINY, loras=[Lora("a")] if "lora_0" in cells else [])
    drawn, why = made(model, **cells)
    assert why is None
    assert drawn == replace(model, columns={}, **expected)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        pytest.param(
            {"steps": "many"}, "column 'steps', for steps, holds many, no whole", id="word"
        ),
        pytest.param({"steps": 2.5}, "holds 2.5, no whole number", id="half"),
        pytest.param({"steps": True}, "holds True, no whole number", id="true"),
        pytest.param({"steps": 0}, "model.steps=0: is too small. At least 1.", id="none"),
        pytest.param({"width": 100}, "model.width=100: cannot be divided by 8", id="size"),
        pytest.param({"height": -8}, "model.height=-8: is too small. At least 8.", id="below"),
        pytest.param({"guidance": "inf"}, "holds inf, no number", id="infinite"),
        pytest.param({"negative_prompt": 7}, "holds 7, no text", id="number"),
        pytest.param(
            {"image": "a", "strength": "much"}, "for strength, holds much, no num", id="much"
        ),
        pytest.param({"image": "a", "strength": 1.5}, "1.5: is not between 0 and 1", id="strong"),
        pytest.param(
            {"image": "a", "strength": 0.14}, "model.steps=6. Give 8 steps, or more.", id="weak"
        ),
    ],
)
def test_a_bad_cell_says_column_value_and_what_is_wanted(cells: dict[str, object], said: str):
    drawn, why = made(TINY, **cells)
    assert drawn is None
    assert said in str(why)


def test_a_side_that_the_format_cannot_hold_fails_its_row():
    own = settings(replace(TINY, columns={"width": "w"}), {}, most=16_383)
    _, why = own.maker()(own.cells(pa.table({"w": [16_384]}))[0])
    assert why == "model.width=16384: is too large for sink.image_format. At most 16383."


def table(rows: list[dict[str, object]]) -> pa.Table:
    numbers = range(len(rows))
    own = {name: [row.get(name) for row in rows] for name in ("w", "h", "n", "g", "no", "s")}
    return pa.table(
        {
            "id": [str(number) for number in numbers],
            "prompt": [f"a red {('cat', 'dog', 'fox')[number % 3]}" for number in numbers],
            "seed": list(numbers),
            **own,
            **{name: pa.nulls(len(rows), pa.string()) for name in LEDGER.names},
        }
    )


@pytest.fixture(scope="module")
def draw():
    """Draws rows with the embedded model, loaded once."""
    model = replace(TINY, columns=KEYS, steps=2)
    one = stage(settings(model, {}), run_seed=0, id_column="id")
    work: Worker = one.recipe()
    return lambda rows: apply(one, work, rows)


def test_a_row_among_others_is_drawn_as_it_is_alone(draw):
    mixed = [
        {"w": 64, "h": 64, "n": 1},
        {"w": 96, "h": 64, "n": 2, "no": "blue"},
        {"w": 64, "h": 64, "n": 1, "no": "a house"},
        {"w": "many"},
        {},
        {"w": 96, "h": 64, "n": 2, "g": 1.0},
        {"w": 65, "h": 64},
    ]
    rows = table([{k: v if v is None else str(v) for k, v in row.items()} for row in mixed])
    drawn = draw(rows)
    failed = [why is not None for why in drawn["failed_reason"].to_pylist()]
    assert failed == [False, False, False, True, False, False, True]
    good = [place for place, has_failed in enumerate(failed) if not has_failed]
    found = pictures(drawn["image"].filter(pa.array([not one for one in failed])))
    assert [one.shape[1:3] for one in found] == [(64, 64), (64, 96), (64, 64), (128, 128), (64, 96)]
    for place, picture in zip(good, found, strict=True):
        alone = pictures(draw(rows.slice(place, 1))["image"])[0]
        assert np.abs(picture.astype(int) - alone.astype(int)).max() <= 2, place


def test_what_a_row_says_changes_its_picture(draw):
    same = [{}, {"n": "1"}, {"g": "1"}, {"no": "a red fox"}, {"n": "2"}]
    rows = table(same).set_column(1, "prompt", [["a red cat"] * 5]).set_column(2, "seed", [[7] * 5])
    plain, fewer, freer, without, told = pictures(draw(rows)["image"])
    assert np.abs(plain.astype(int) - told.astype(int)).max() <= 2
    for other in (fewer, freer, without):
        assert np.abs(plain.astype(int) - other.astype(int)).max() > 20


def test_rows_that_agree_are_drawn_at_once_and_none_is_padded():
    """Negative prompts and seeds are mixed freely, but for those without one among others."""
    model = Model("mine", "custom", _target_="helpers.painters.Remembering", steps=2)
    own = settings(replace(model, columns={"steps": "n", "negative_prompt": "no"}), {})
    one = stage(own, run_seed=0, id_column="id")
    rows = table(
        [{"n": n, "no": no} for n, no in zip("313131", ["a", "b", "c", None, "", "d"], strict=True)]
    )
    Remembering.batches.clear()
    apply(one, one.recipe(), rows)
    assert Remembering.batches == [
        [(3, "a"), (3, "c")],
        [(1, "b"), (1, "d")],
        [(1, None)],
        [(3, None)],
    ]


def test_rows_that_agree_come_beside_each_other():
    own = RowSettings(Model("mine"), {"steps": "n", "negative_prompt": "no"})
    rows = own.ordered(table([{"n": n, "no": "x"} for n in "313131"]), 4)
    assert rows["n"].to_pylist() == list("111333")
    assert sorted(rows["id"].to_pylist()) == list("012345")


@pytest.mark.parametrize(
    ("kinds", "batch"),
    [
        pytest.param(20 * "abc", 8, id="three-kinds"),
        pytest.param((7 * "abcdefghi")[:60], 6, id="nine-kinds"),
        pytest.param("a" + 8 * "bcdefg", 8, id="one-more"),
        pytest.param(5 * "ab", 3, id="odd"),
        pytest.param("abc", 8, id="fewer-than-a-batch"),
        pytest.param("", 8, id="no-rows"),
    ],
)
def test_batches_are_as_few_as_a_table_allows_that_are_full(kinds: str, batch: int):
    """Whoever cuts the rows cuts them at every so many, whatever their kinds."""
    own = RowSettings(Model("mine"), {"steps": "n"})
    cells = own.ordered(table([{"n": kind} for kind in kinds]), batch)["n"].to_pylist()
    cut = [cells[start : start + batch] for start in range(0, len(cells), batch)]
    full = [one for one in cut if len(set(one)) == 1 and len(one) == batch]
    assert sorted(cells) == sorted(kinds)
    assert len(full) == sum(number // batch for number in Counter(kinds).values())
    assert cut[: len(full)] == full


def test_rows_that_have_failed_fill_no_batch():
    own = RowSettings(Model("mine"), {"steps": "n"})
    rows = table([{"n": "1"} for _ in range(8)])
    place = rows.schema.get_field_index("failed_stage")
    failed = pa.array(["prompt", None] * 4, pa.string())
    rows = own.ordered(rows.set_column(place, rows.schema.field(place), failed), 4)
    assert rows["failed_stage"].to_pylist() == [None] * 4 + ["prompt"] * 4


def test_several_pictures_a_row_have_the_seeds_that_follow_a_given_one():
    model = Model("mine", "noop", width=8, height=8, images_per_prompt=3, columns={"seed": "s"})
    one = stage(settings(model, {}), run_seed=0, id_column="id")
    rows = table([{"s": 5}, {}]).set_column(2, "seed", [[5, 1]])
    first, second = pictures(apply(one, one.recipe(), rows)["image"])
    assert [int(picture[0, 0, 0]) for picture in first] == [6, 7, 8]  # 1 + seed, as noop draws
    assert len({picture.tobytes() for picture in second}) == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"columns": {"path": "p"}}, "model.columns.path=p: applies to the whole run. A row can"),
        ({"columns": {"lora_1": "p"}}, "model.columns.lora_1=p: model.loras has no such LoRA"),
        ({"columns": {"clip_skp": "p"}}, 'Did you mean "clip_skip"?'),
        ({"columns": {"latents": "p"}}, "takes no number or text"),
        ({"call_kwargs": {"guidance_scale": 2}}, "model.call_kwargs.guidance_scale=2: is set by"),
        ({"call_kwargs": {"clip_skp": 2}}, "StableDiffusionPipeline takes no such argument"),
    ],
    ids=["whole-run", "lora", "argument", "tensor", "ours", "typo"],
)
def test_what_no_row_can_decide_is_refused(changes: dict[str, object], said: str):
    with pytest.raises(UserError) as caught:
        diffusion.check(replace(TINY, **changes))
    assert said in str(caught.value)


def test_an_engine_that_takes_no_settings_is_refused_for_rows_that_have_some():
    model = Model("mine", "custom", _target_="helpers.painters.Slow", options={})
    diffusion.check(replace(model, columns={"seed": "s"}))
    with pytest.raises(
        UserError, match=r"the method paint of helpers\.painters\.Slow takes no settings"
    ):
        diffusion.check(replace(model, columns={"steps": "n"}))
