"""What the documents say can be typed: links that lead somewhere, commands that compose and run."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers import ROOT, reference
from helpers.configs import composed

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
TABLE = re.search(r"```csv\n(.*?)```", TUTORIAL, re.DOTALL)[1]
COMMANDS = re.findall(
    r"^imagepipe .*$", "\n".join(re.findall(r"```sh\n(.*?)```", TUTORIAL, re.DOTALL)), re.M
)


def test_the_reference_is_that_of_the_code():
    """`make reference` writes it again."""
    assert reference.PAGE.read_text("utf-8") == reference.page()


def test_the_reference_has_what_comments_say():
    said = reference.page()
    assert "have this probability together; 1: from all; 0.001 to 1 |" in said
    assert "| `model.loras.0.weight` | `1.0` | its strength; 0: no effect |" in said
    assert "| `model.parts.NAME.path` | required |" in said
    assert "| `dataset.id` | required | column that identifies a row; unique" in said
    assert (
        '| `sink.image_format` | `"png"` | format of the files; one of `png`, `jpeg`, `webp` |'
        in said
    )
    assert "| `resources.model.pool` |" in said
    assert "- `to_pandas() -> pandas.DataFrame`: `table` as a pandas DataFrame." in said


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path):
    """To files, and to headings in them."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#\s]*)(#[^)]*)?\)", text)
    gone = [one for one, _ in links if "://" not in one and not (page.parent / one).exists()]
    assert gone == []
    headings = [
        (one, heading)
        for one, heading in links
        if heading
        and "://" not in one
        and heading[1:] not in anchors(page.parent / one if one else page)
    ]
    assert headings == []


def anchors(page: Path) -> set[str]:
    """As Markdown's toc and hosts of repositories make them of headings."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    plain = [re.sub(r"[^\w\s-]", "", one).strip() for one in re.findall(r"^#+ (.*)$", text, re.M)]
    return {re.sub(r"[-\s]+", "-", one.lower()) for one in plain}


def test_every_page_is_on_the_site():
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"]
    listed = set(re.findall(r"[\w/]+\.md", json.dumps(nav)))
    docs = ROOT / "docs"
    assert listed == {page.relative_to(docs).as_posix() for page in docs.rglob("*.md")}


def typed(command: str) -> list[str]:
    return shlex.split(command)[1:]


@pytest.mark.parametrize("command", COMMANDS, ids=range(len(COMMANDS)))
def test_the_tutorials_commands_compose(command: str):
    settings = [part for part in typed(command) if "=" in part and not part.startswith("-")]
    swept = [re.sub(r"^(model\.steps=\d+),.*", r"\1", part) for part in settings]
    assert composed(*swept) is not None


@pytest.mark.faults
def test_the_tutorial_runs_from_top_to_bottom(tmp_path: Path):
    (tmp_path / "creatures.csv").write_text(TABLE)
    for command in COMMANDS:
        if typed(command)[0] == "ui":
            continue  # it serves until it is ended: tests/cli/test_ui.py
        done = subprocess.run(
            [sys.executable, "-m", "imagepipe", *typed(command)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    left = [one for one in tmp_path.rglob("summary.json") if "mlruns" not in one.parts]
    summaries = [json.loads(one.read_text()) for one in left]
    assert {one["status"] for one in summaries} == {"FINISHED"}
    assert [one["written"] for one in summaries] == [8] * 4
