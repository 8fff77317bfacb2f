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


STYLES = ("anime", "concept-art", "paintings", "photo")


def test_styles_are_the_files_of_hpdv2(tmp_path: Path):
    """As the code of HPSv2 reads them: an array of bare texts for each style."""
    paths = composed("dataset=hpdv2").dataset.path
    assert [Path(path).stem for path in paths] == list(STYLES)
    assert all(re.search(r"@[0-9a-f]{40}/benchmark/", path) for path in paths)
    for style in STYLES:
        (tmp_path / f"{style}.json").write_text('["a castle on a hill", "a river"]')
    tables = scan(composed("dataset=hpdv2", f"dataset.path={tmp_path}").dataset, None)
    assert (tables.rows, tables.category) == (8, "file")
    assert tables.first_ids[:3] == ("anime/0", "anime/1", "concept-art/0")


def test_prompts_of_dpg_bench_are_a_file_each(tmp_path: Path):
    """Named as its makers' script wants the pictures named."""
    for name in ("1", "256"):
        (tmp_path / f"{name}.txt").write_text("An eye-catching vibrant red pickup truck.")
    tables = scan(composed("dataset=dpg_bench", f"dataset.path={tmp_path}").dataset, None)
    assert tables.first_ids == ("1", "256")


def test_pictures_to_edit_are_read_with_their_instructions(tmp_path: Path):
    """In the columns that GEdit-Bench's own script reads."""
    import datasets
    from PIL import Image

    picture = Image.new("RGB", (32, 48), (200, 30, 30))
    rows = {
        "task_type": ["background_change", "ps_human"],
        "key": ["4c309b59", "5d"],
        "instruction": ["Change the background to a city.", "把头发变成红色"],
        "instruction_language": ["en", "cn"],
        "input_image": [picture] * 2,
        "input_image_raw": [picture] * 2,
        "Intersection_exist": [True, False],
    }
    kinds = datasets.Features(
        {
            **dict.fromkeys(
                ("task_type", "key", "instruction", "instruction_language"),
                datasets.Value("string"),
            ),
            **dict.fromkeys(("input_image", "input_image_raw"), datasets.Image()),
            "Intersection_exist": datasets.Value("bool"),
        }
    )
    made = datasets.Dataset.from_dict(rows, features=kinds)
    datasets.DatasetDict({"train": made}).save_to_disk(str(tmp_path / "gedit"))
    config = composed(
        "dataset=gedit",
        f"dataset.path={tmp_path}/gedit",
        "model=flux_kontext",
        "model.columns.image=input_image_raw",
    )
    tables = scan(config.dataset, None, config.model.columns)
    assert (tables.rows, tables.category) == (2, "task_type")
    assert list(tables.first_ids) == ["4c309b59", "5d"]
    assert {"input_image_raw", "instruction"} <= set(tables.columns)
