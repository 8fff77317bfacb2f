"""Fetching what a run loads from a hub, and the run's checks without a network then."""

from __future__ import annotations

import json
import shutil

import pytest
from helpers.hub_server import COMMIT, asked, serving
from helpers.tiny_pipelines import SD

from imagepipe.assets import folder

pytestmark = pytest.mark.faults

RUN = ["model=sd_turbo", "model.path=tiny/sd", f"model.revision={COMMIT}", "model.variant=null"]
RUN += ["model.width=32", "model.height=32", "llm=qwen", "llm.engine=transformers"]
RUN += ["llm.path=tiny/llm", f"llm.revision={COMMIT}", "scorer=none"]
LEFT = ("unet/diffusion_pytorch_model.bin", "unet/diffusion_pytorch_model.fp16.safetensors")
LEFT += ("whole.safetensors", "README.md", "onnx/model.onnx")


def test_what_a_run_loads_is_fetched_and_no_more_and_it_needs_no_network_then(trained, tmp_path):
    hub = tmp_path / "hub"
    shutil.copytree(trained(SD), hub / "tiny" / "sd")
    shutil.copytree(folder("asset:tiny_llm"), hub / "tiny" / "llm")
    for name in LEFT:
        for model in ("sd", "llm"):
            file = hub / "tiny" / model / name
            if not (model == "llm" and name == "whole.safetensors"):
                file.parent.mkdir(exist_ok=True)
                file.write_bytes(b"not for a run")
    home = tmp_path / "home"
    with serving(hub) as (address, given):
        told = asked(home, "fetch", *RUN, "--dry-run", "--json", HF_ENDPOINT=address)
        assert told.returncode == 0, told.stderr
        listed = json.loads(told.stdout)["files"]
        weights = {one["name"]: one for one in listed if one["name"].endswith(".safetensors")}
        assert not any(one["cached"] for one in weights.values())
        unet = "unet/diffusion_pytorch_model.safetensors"
        assert weights[unet]["size"] == (hub / "tiny" / "sd" / unet).stat().st_size
        assert not any(name.endswith(".safetensors") for name in given)
        done = asked(home, "fetch", *RUN, HF_ENDPOINT=address)
        assert done.returncode == 0, done.stderr
        assert "GB to be fetched into" in done.stdout or "MB to be fetched into" in done.stdout
        assert {name for name in given if name.endswith(".safetensors")} == set(weights)
        assert not set(LEFT) & set(given)
        before = len(given)
        again = asked(home, "fetch", *RUN, HF_ENDPOINT=address)
        assert again.returncode == 0, again.stderr
        assert len(given) == before and "0 MB to be fetched" in again.stdout
    ready = asked(home, "doctor", *RUN, "--no-presets", "--json", HF_HUB_OFFLINE="1")
    said = {one["name"]: one for one in json.loads(ready.stdout)["findings"]}
    assert said["engines"]["trouble"] is None, said["engines"]
