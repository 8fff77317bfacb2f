"""Launchers of Hydra's that run jobs elsewhere: refused before there is a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import open_dict, read_write

from imagepipe.cli.checks import check_composed, config_dir
from imagepipe.config import registration
from imagepipe.errors import UserError


@pytest.mark.parametrize("name", ["joblib", "submitit_local", "ray"])
def test_a_launcher_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    """As its plug-in would add it: a file of that name in the group."""
    folder = tmp_path / "hydra" / "launcher"
    folder.mkdir(parents=True)
    (folder / f"{name}.yaml").write_text("_target_: hydra_plugins.launcher\nn_jobs: 2\n")
    registration.register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        typed = [f"hydra.searchpath=[{tmp_path}]", f"hydra/launcher={name}"]
        cfg = compose("config", typed, return_hydra_config=True)
    HydraConfig.instance().set_config(cfg)
    with read_write(cfg), open_dict(cfg):
        del cfg["hydra"]
    with pytest.raises(UserError) as caught:
        check_composed(cfg)
    said = f"hydra/launcher={name}: imagepipe runs the jobs of a sweep itself"
    assert str(caught.value).startswith(said)
    assert str(caught.value).endswith("sweep.jobs_at_once=auto runs as many at once as have room.")
