"""A table that is a file of a data set on the hub: its pinned revision, from the hub's cache."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from imagepipe.sources.hub import FILE

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SCAN = """
import pickle
from imagepipe.config import Dataset
from imagepipe.errors import UserError
from imagepipe.sources import scan
try:
    asked = Dataset(name="x", path={path!r}, format="csv", id="Prompts", prompt="{{Prompts}}")
    tables = scan(asked, None)
    left = tables.left
    there = pickle.loads(pickle.dumps(left.filesystem))
    print(tables.rows, there.open_input_stream(left.files[0].path).read().decode().split()[-1])
    print(*there.files, sep="|")
except UserError as error:
    print(error)
"""


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """As the hub's library lays it out: two revisions, of which no branch names the first."""
    for commit, last in ((COMMIT, "hat"), ("f" * 40, "dog")):
        folder = tmp_path / "hub/datasets--our--prompts/snapshots" / commit / "some prompts"
        folder.mkdir(parents=True)
        (folder / "All of them.csv").write_text(f"Prompts,Category\na cat,x\na,{last}\n")
    return tmp_path


def scanned(cache: Path, path: str | list[str]) -> str:
    environment = os.environ | {"HF_HOME": str(cache), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCAN.format(path=path)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_pinned_revision_is_read_without_a_network(cache: Path):
    """All of its files, also where they are sent: each machine fetches what it is sent."""
    (cache / f"hub/datasets--our--prompts/snapshots/{COMMIT}/more.csv").write_text("Prompts\nx\n")
    pinned = f"hf://datasets/our/prompts@{COMMIT}"
    said = scanned(cache, [f"{pinned}/some prompts/All of them.csv", f"{pinned}/more.csv"])
    assert said.splitlines() == ["3 a,hat", "some prompts/All of them.csv|more.csv"]


def test_what_is_not_in_the_cache_names_the_command_that_fetches_it(cache: Path):
    said = scanned(cache, f"hf://datasets/our/prompts@{'a' * 40}/All.csv")
    assert said.startswith("dataset.path=our/prompts: ")
    assert f"hf download our/prompts --repo-type dataset --revision {'a' * 40} 'All.csv'" in said


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("hf://datasets/a/b/c.csv", ("a/b", None, "c.csv")),
        ("hf://datasets/a/b@main/c/d e.tsv", ("a/b", "main", "c/d e.tsv")),
        ("hf://datasets/a/b.c@v1.0/d.jsonl", ("a/b.c", "v1.0", "d.jsonl")),
        ("hf://datasets/a/b/*.csv", None),
        ("hf://a/b/c.csv", None),
        ("s3://datasets/a/b/c.csv", None),
    ],
)
def test_an_address_is_read_as_the_hubs_library_writes_it(path: str, parts: tuple | None):
    found = FILE.fullmatch(path)
    assert (found and (found["name"], found["revision"], found["file"])) == parts
