"""The held-out prompts as a data set."""

from __future__ import annotations

import pyarrow.json as pa_json
from helpers.configs import composed

from imagepipe.assets import folder
from imagepipe.prompts.template import base_prompts
from imagepipe.sources import scan
from toyworld import held_out


def test_the_data_set_is_the_list_that_models_are_judged_on():
    dataset = composed("dataset=toyworld", "llm=none").dataset
    tables = scan(dataset, None)
    assert tables.rows == 400
    assert tables.renamed["season"] == "input_season"  # the pipeline's own is what an LLM adds
    rows = pa_json.read_json(folder(dataset.path))
    prompts, reasons = base_prompts(dataset.prompt, {}, rows)
    assert prompts == [case.prompt for case in held_out.cases()]
    assert set(reasons) == {None}
