"""What is typed for a run is kept, and the run gone on with by what it is called."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest
from helpers.configs import composed
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser

from imagepipe import shell
from imagepipe.cli.checks import config_dir
from imagepipe.cli.run import to_resume, typed
from imagepipe.config import registration
from imagepipe.execution import manifest


@pytest.mark.parametrize(
    "name",
    ["plain", "back\\slash", "end\\", "q'", "'q'", "x\\'y", "it's", "a,b", "a=b", "[x]", "007"],
)
def test_a_run_is_gone_on_with_whatever_its_folder_is_called(tmp_path, monkeypatch, name: str):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / name
    folder.mkdir()
    (folder / manifest.RECORD).write_text(manifest.to_json(manifest.of(composed(), [], [])))
    for argument in (shlex.split(shell.resume_command(folder))[-1], f"resume={shell.quoted(name)}"):
        made = OverridesParser.create().parse_overrides(to_resume([argument])[0])
        values = {override.key_or_group: override.value() for override in made}
        assert values["hydra.run.dir"] == values["resume"] == str(folder)


def test_a_run_that_is_named_without_quotes_is_found_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("it's", "2026", "a,b"):
        Path(name).mkdir()
        Path(name, manifest.RECORD).write_text(manifest.to_json(manifest.of(composed(), [], [])))
        where = shell.quoted(os.path.abspath(name))
        assert f"hydra.run.dir={where}" in to_resume([f"resume={name}"])[0]


def test_what_was_typed_is_kept_as_it_was_typed(tmp_path):
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "mine.yaml").write_text("name: mine\n")
    asked = [f"hydra.searchpath=[file://{tmp_path}]", "ray=mine", "seed=${oc.env:NOT_SET,null}"]
    registration.register()
    before = HydraConfig.instance().cfg
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        HydraConfig.instance().set_config(compose("config", asked, return_hydra_config=True))
    try:
        assert typed() == asked
    finally:
        HydraConfig.instance().cfg = before
