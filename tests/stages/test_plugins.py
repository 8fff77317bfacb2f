"""The names that docs/plugins.md promises are those of the faces."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import is_dataclass
from importlib import import_module

import pytest
from helpers import ROOT

ROWS = re.findall(
    r"^\| `(imagepipe[\w.]*)` \| (.+) \|$", (ROOT / "docs/plugins.md").read_text(), re.M
)
PROMISED = {module: set(re.findall(r"`(\w+)`", text)) for module, text in ROWS}


def test_every_face_of_a_plug_in_is_listed():
    kinds = ("llm", "diffusion", "scoring", "stages", "config", "errors")
    assert {f"imagepipe.{kind}" for kind in kinds} <= set(PROMISED)


@pytest.mark.parametrize("module", PROMISED)
def test_a_face_has_what_is_promised_and_promises_what_it_has(module: str):
    face = import_module(module)
    own = set(face.__all__)
    if module == "imagepipe.config":  # whose other names are for the rooms of the package
        own = {name for name in own if is_dataclass(getattr(face, name))}
    assert PROMISED[module] == own
    assert all(hasattr(face, name) for name in own)


@pytest.mark.parametrize(
    ("module", "before", "now"),
    [
        pytest.param("imagepipe.diffusion", "Painter", "ImageGenerator", id="model"),
        pytest.param("imagepipe.scoring", "Judge", "ImageScorer", id="scorer"),
    ],
)
def test_a_name_of_before_is_the_same_protocol(module: str, before: str, now: str):
    face = import_module(module)
    assert getattr(face, before) is getattr(face, now)


def test_what_a_plug_in_imports_is_light():
    code = f"import sys, {', '.join(PROMISED)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded.isdisjoint({"torch", "ray", "mlflow", "diffusers", "transformers"})
