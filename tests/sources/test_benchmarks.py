"""Public lists of prompts: pinned, and read from a file of the same layout."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers.configs import composed

from imagepipe.sources import scan

# The first rows of each, as its makers have them.
DRAWBENCH = "Prompts,Category\nA red colored car.,Colors\nA black colored car.,Colors\n"
GENEVAL = (
    '{"tag": "single_object", "include": [{"class": "bench", "count": 1}], '
    '"prompt": "a photo of a bench"}\n'
    '{"tag": "counting", "include": [{"class": "cow", "count": 2}], '
    '"exclude": [{"class": "cow", "count": 3}], "prompt": "a photo of two cows"}\n'
)
PARTI = (
    "Prompt\tCategory\tChallenge\tNote\n"
    '"G I G G L E" painted on a brick wall\tIllustrations\tWriting & Symbols\t\n'
    "bond\tAbstract\tBasic\tBiology-inspired concepts with multiple meanings\n"
)
LISTS = {"drawbench": DRAWBENCH, "geneval": GENEVAL, "partiprompts": PARTI}
FIRST = {
    "drawbench": "A red colored car.",
    "geneval": "a photo of a bench",
    "partiprompts": '"G I G G L E" painted on a brick wall',  # its quotes are drawn
}


@pytest.mark.parametrize("name", LISTS)
def test_it_is_pinned_and_its_licence_is_said(name: str):
    path = str(composed(f"dataset={name}").dataset.path)
    assert re.search(r"[@/][0-9a-f]{40}/", path)
    preset = Path(__file__).parents[2] / f"conf/dataset/{name}.yaml"
    assert re.search(r"Apache-2\.0|MIT", preset.read_text())


@pytest.mark.parametrize("name", LISTS)
def test_a_file_of_its_layout_is_read_by_categories(name: str, tmp_path: Path):
    (tmp_path / "list").write_text(LISTS[name])
    tables = scan(composed(f"dataset={name}", f"dataset.path={tmp_path}/list").dataset, None)
    assert tables.rows == 2
    assert tables.category in tables.columns
    assert tables.first_ids[0] == FIRST[name]
