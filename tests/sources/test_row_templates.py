"""Texts of a picture's own beside its prompt: templates in `model.columns`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.asked import dataset, written
from helpers.one_session import run
from helpers.tiny_pipelines import SDXL, painter, small
from PIL import Image

from imagepipe.config import Model
from imagepipe.diffusion.rows import settings
from imagepipe.errors import UserError
from imagepipe.prompts import stage, varied
from imagepipe.sources import fingerprint, scan
from imagepipe.stages.stage import FAILED_REASON


def test_a_value_with_braces_is_a_template_and_others_are_columns(tmp_path: Path):
    left = written(tmp_path / "l.csv", "id,what,style,photo\n1,a cat,ink,{a}.png\n")
    asked = {"prompt_2": "{style} on {paper|wood}", "negative_prompt": "style", "steps": "{id}"}
    tables = scan(dataset(left), None, asked)
    assert {key: one.columns for key, one in tables.texts.items()} == {
        "prompt_2": ["style"],
        "steps": ["id"],
    }
    assert tables.varies and not scan(dataset(left), None, {"prompt_2": "{style}"}).varies


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            {"prompt_2": "{styl}"},
            "model.columns.prompt_2={styl}: names 'styl', which is not a column",
        ),
        ({"prompt_2": "{a"}, "model.columns.prompt_2={a: has an unmatched brace"),
        ({"prompt_2": "__gone__ {what}"}, "dataset.wildcards=gone.txt: "),
        ({"image": "{what}"}, "model.columns.image={what}: is not a column"),
        ({"seed": "{what}"}, "model.columns.seed={what}: is not a column"),
    ],
    ids=["column", "brace", "wildcard", "picture", "seed"],
)
def test_a_template_that_cannot_be_filled_is_refused(columns: dict, said: str, tmp_path: Path):
    left = written(tmp_path / "l.csv", "id,what\n1,a cat\n")
    with pytest.raises(UserError, match=re.escape(said)):
        scan(dataset(left, wildcards=str(tmp_path)), None, columns)


def test_wildcards_in_it_count(tmp_path: Path):
    left = written(tmp_path / "l.csv", "id,what\n1,a cat\n")
    (tmp_path / "style.txt").write_text("ink\noil\n")
    asked = dataset(left, wildcards=str(tmp_path))
    found = [
        one["name"] for one in fingerprint(scan(asked, None, {"prompt_2": "{what} __style__"}))
    ]
    assert found == ["l.csv", "model.columns.prompt_2"]


def test_each_key_has_a_column_of_its_own_also_where_the_texts_agree():
    asked = dict.fromkeys(("prompt_2", "prompt_3", "steps"), "{4|5}") | {"width": "size"}
    own = settings(Model("x", "noop", columns=asked), {"size": "input_size"})
    made = {key: f"model_{key}" for key in ("prompt_2", "prompt_3", "steps")}
    assert own.columns == made | {"width": "input_size"}
    assert own.shared == ["model_steps", "input_size"]


def filled(ids: list[str], style: list[str | None]) -> dict[str, list[object]]:
    texts = {"model_prompt_2": varied("{style} in {red|blue}")}
    work = stage(varied("{red|blue}"), {}, 3, "id", texts=texts).recipe()
    made = work(pa.table({"id": ids, "style": pa.array(style, pa.string())}))
    return {name: list(column) for name, column in made.items()}


def test_each_row_has_its_own_and_chooses_apart_from_the_prompt():
    ids = [str(n) for n in range(40)]
    made = filled(ids, ["ink"] * 39 + [None])
    assert made[FAILED_REASON] == [None] * 39 + ["column 'style' is empty"]
    pairs = set(zip(made["base_prompt"][:-1], made["model_prompt_2"][:-1], strict=True))
    assert len(pairs) == 4
    again = filled(ids[:20][::-1], ["ink"] * 20)
    assert again["model_prompt_2"][::-1] == made["model_prompt_2"][:20]
    assert again["base_prompt"][::-1] == made["base_prompt"][:20]


def test_a_second_encoder_reads_the_text_of_its_row(trained):
    model = small(trained(SDXL), steps=1, columns={"prompt_2": "{style}"})
    own = settings(model, {})
    rows = pa.table({"model_prompt_2": ["ink on paper", "oil on wood"]})
    drawn = [own.maker()(cells)[0] for cells in own.cells(rows)]
    engine = painter(model)
    both = engine.paint(["a cat", "a cat"], [1, 1], drawn)
    assert np.abs(both[0].astype(int) - both[1]).max() > 2
    alone = engine.paint(["a cat"], [1], drawn[1:])[0]
    assert np.abs(both[1].astype(int) - alone).max() <= 2


def test_a_run_keeps_what_each_row_was_drawn_with(tmp_path: Path):
    (tmp_path / "rows.csv").write_text("id,what,no\n1,a cat,fog\n2,a dog,rain\n3,a cow,\n")
    job = ["dataset=csv", f"dataset.path={tmp_path}/rows.csv", "dataset.id=id", "scorer=none"]
    job += ["dataset.prompt='{what}'", "llm=none", "model=noop", "tracking=none"]
    out = run(tmp_path, "out", *job, "+model.columns={negative_prompt: 'no {no}', steps: '{1|2}'}")
    texts = {
        row["id"]: row["model_negative_prompt"] for row in pq.read_table(out / "table").to_pylist()
    }
    assert texts == {"1": "no fog", "2": "no rain"}
    for id, text in texts.items():
        with Image.open(out / "images" / f"{id}.png") as picture:
            assert picture.text["negative_prompt"] == text
            drawn = json.loads(picture.text["model_settings"])
            assert drawn["negative_prompt"] == text and drawn["steps"] in (1, 2)
    failed = pq.read_table(out / "failed.parquet").to_pylist()
    assert [(row["stage"], row["reason"]) for row in failed] == [("prompt", "column 'no' is empty")]
