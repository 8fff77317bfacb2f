"""What docs/clusters.md shows is what the tools take that it is written for."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import jsonschema
import pytest
import ray
import yaml
from helpers import ROOT
from helpers.configs import composed

TEXT = (ROOT / "docs" / "clusters.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.S)
LAUNCHER, RAYJOB = (yaml.safe_load(text) for kind, text in BLOCKS if kind == "yaml")
(SLURM,) = (text for kind, text in BLOCKS if kind == "bash")


def commands() -> list[str]:
    """Every command of imagepipe's on the page, with what the shell would make of it."""
    lines = TEXT.replace("\\\n", " ").replace("$SLURM_SUBMIT_DIR", "/home/me").splitlines()
    found = [line[line.index("python -m imagepipe") :] for line in lines if " -m imagepipe" in line]
    return [line for line in found if "ray=cluster" in line]


@pytest.mark.parametrize("command", commands())
def test_every_command_composes(command: str):
    assert composed(*shlex.split(command)[3:]).ray.address


def test_there_are_commands_to_try():
    assert len(commands()) == 5


def test_the_launchers_file_is_of_rays_schema():
    schema = json.loads(
        Path(ray.__file__).with_name("autoscaler").joinpath("ray-schema.json").read_text()
    )
    jsonschema.validate(LAUNCHER, schema)


def test_the_versions_are_those_that_imagepipe_needs():
    assert RAYJOB["spec"]["rayClusterSpec"]["rayVersion"] == version("ray")
    assert set(re.findall(r"ray\[default\]==([\d.]+)", TEXT)) == {version("ray")}


def test_the_slurm_script_is_a_shells_and_its_command_rays():
    assert subprocess.run(["bash", "-n"], input=SLURM, text=True).returncode == 0
    options = re.search(r"srun ray (symmetric-run .*?) --", SLURM)
    assert options
    words = [sys.executable, "-m", "ray.scripts.scripts", options[1].split()[0], "--help"]
    said = subprocess.run(words, capture_output=True, text=True)
    assert "--min-nodes" in said.stdout
