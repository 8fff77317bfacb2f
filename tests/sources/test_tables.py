"""Which of a table's columns get another name beside imagepipe's own."""

from __future__ import annotations

import pytest

from imagepipe.sources.tables import new_names


@pytest.mark.parametrize(
    ("columns", "renamed"),
    [
        pytest.param(["id", "what"], {}, id="none"),
        pytest.param(
            ["prompt", "llm_x"], {"prompt": "input_prompt", "llm_x": "input_llm_x"}, id="own"
        ),
        pytest.param(
            ["Prompt", "SEED"], {"Prompt": "input_Prompt", "SEED": "input_SEED"}, id="case"
        ),
        pytest.param(["Name", "name"], {"name": "input_name"}, id="each-other"),
        pytest.param(["seed", "Input_Seed"], {"seed": "input_input_seed"}, id="taken"),
    ],
)
def test_columns_that_would_collide_are_renamed(columns: list[str], renamed: dict[str, str]):
    assert new_names(columns) == renamed
