"""Models of the hub: from its cache with a pinned revision, and when it does not give them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from helpers.served import served
from helpers.tiny_pipelines import SD
from PIL import Image

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = ["model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.bin"]


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does: what a repository holds is public, a gated one's files are not."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        name = "/".join(self.path.removeprefix("/api/models").split("/")[1:3])
        if name == "tiny/unknown":
            self._answer(401, {}, {"X-Error-Code": "RepoNotFound"})
        elif "/revision/" in self.path and not self.path.endswith(("main", COMMIT)):
            self._answer(404, {}, {"X-Error-Code": "RevisionNotFound"})
        elif self.path == "/api/models/tiny/gated/auth-check":
            self._answer(403, {}, {"X-Error-Code": "GatedRepo", "X-Error-Message": "restricted"})
        elif self.path.startswith("/api/models"):
            is_safe = name in ("tiny/code", "tiny/safe", "tiny/clip")
            safe = [{"rfilename": "model.safetensors"}] if is_safe else []
            files = [{"rfilename": file} for file in FILES] + safe
            self._answer(200, {"id": name, "sha": COMMIT, "siblings": files, "gated": "auto"})
        elif name == "tiny/gated":
            self._answer(401, {}, {"X-Error-Code": "GatedRepo", "X-Error-Message": "restricted"})
        elif self.path.endswith("/adapter_config.json"):
            self._answer(404, {}, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        elif name == "tiny/code":
            config = {"model_type": "mine", "auto_map": {"AutoModelForCausalLM": "mine.Model"}}
            self._answer(200, config, {"ETag": '"2"', "X-Repo-Commit": COMMIT})
        else:
            index = {"_class_name": "StableDiffusionPipeline"}
            index |= {"unet": ["diffusers", "UNet2DConditionModel"]}
            self._answer(200, index, {"ETag": '"1"', "X-Repo-Commit": COMMIT})

    def _answer(self, code: int, value: object, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(value).encode()
        self.send_response(code)
        for key, text in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(key, text)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not into the tests' output."""


CHECK = """
import json, os, sys
from diffusers import StableDiffusionPipeline
from transformers import AutoModelForCausalLM, AutoTokenizer, CLIPModel, CLIPProcessor
from imagepipe import llm, scoring
from imagepipe.config import LLM, Model, Scorer
from imagepipe.diffusion import checks
from imagepipe.errors import UserError
kinds = {
    "model": lambda keys: checks.check(Model("mine", "diffusers", **keys)),
    "llm": lambda keys: llm.check(LLM("mine", "transformers", **keys)),
    "scorer": lambda keys: scoring.check(Scorer("mine", "clip", **keys)),
}
for line in sys.stdin:
    if os.fork():
        os.wait()
        continue
    said = []
    for keys in json.loads(line):
        try:
            kinds[keys.pop("kind", "model")](keys)
            said.append("nothing wrong")
        except UserError as error:
            said.append(str(error))
    print(json.dumps(said), flush=True)
    break
"""


@dataclass
class Checks:
    """Processes in which checks have asked nothing yet, forked of one that has loaded all that
    they need: their hub is at `endpoint`, their cache in `home`.
    """

    home: Path
    endpoint: str

    def __post_init__(self) -> None:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHECK],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=clean | {"HF_HOME": str(self.home), "HF_ENDPOINT": self.endpoint},
        )

    def complaints(self, *models: dict[str, object]) -> list[str]:
        """What is said of `models`, each a diffusion model, or with `kind` an LLM or a scorer."""
        print(json.dumps(models), file=self.process.stdin, flush=True)
        said: list[str] = json.loads(self.process.stdout.readline())
        return said


# Of each the cache holds what the first check of a model leaves there: its configuration.
UNWHOLE = [
    {"path": f"tiny/{name}", "revision": COMMIT, "kind": kind}
    for name, kind in (("pickled", "llm"), ("old", "scorer"), ("safe", "llm"), ("clip", "scorer"))
]
NOT_GIVEN = [
    {"path": "tiny/gated", "revision": COMMIT},
    {"path": "tiny/unknown"},
    {"path": "tiny/pickled", "revision": "v9"},
    {"path": "tiny/pickled"},
    {"path": "tiny/gated", "kind": "llm"},
    {"path": "tiny/gated", "kind": "scorer"},
    {"path": "tiny/pickled", "kind": "llm"},
    {"path": "tiny/pickled", "kind": "scorer"},
    {"path": "tiny/code", "kind": "llm"},
]
PROCESSOR = {"path": "asset:tiny_clip", "processor": "tiny/clip", "kind": "scorer"}
WHOLE = {"path": "tiny/sd", "revision": COMMIT, "width": 32, "height": 32}
OUT_OF_REACH = [
    {"path": "tiny/none", "revision": COMMIT, "variant": "fp16"},
    {**WHOLE, "revision": COMMIT[::-1]},
    WHOLE,
    {**WHOLE, "weights": "random"},
    {**WHOLE, "variant": "fp16"},
    {**WHOLE, "variant": "bf16"},
]


@pytest.fixture(scope="module")
def home(trained, tmp_path_factory) -> Path:
    """A cache as the hub's client lays it out: models without weights, and one of a variant."""
    home = tmp_path_factory.mktemp("home")
    for model in UNWHOLE:
        cached = home / "hub" / model["path"].replace("tiny/", "models--tiny--")
        snapshot = cached / "snapshots" / COMMIT
        snapshot.mkdir(parents=True)
        model_type = {"llm": "llama", "scorer": "clip"}[model["kind"]]
        (snapshot / "config.json").write_text(json.dumps({"model_type": model_type}))
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(COMMIT)
    unet = next(of_sd(trained, home).rglob("unet/*.safetensors"))
    unet.rename(unet.with_suffix(".fp16.safetensors"))
    return home


def of_sd(trained, home: Path) -> Path:
    """One model at one revision, in the cache in `home`."""
    snapshots = home / "hub" / "models--tiny--sd" / "snapshots"
    return Path(shutil.copytree(trained(SD), snapshots / COMMIT))


@dataclass
class Said:
    hub: str
    online: list[str]
    offline: list[str]


@pytest.fixture(scope="module")
def said(home: Path) -> Said:
    """Of the models above, with a hub and once it is gone."""
    with served(ThreadingHTTPServer(("127.0.0.1", 0), Hub)) as server:
        checks = Checks(home, f"http://127.0.0.1:{server.server_port}")
        online = checks.complaints(*NOT_GIVEN, *UNWHOLE)
    offline = checks.complaints(*OUT_OF_REACH, PROCESSOR, *UNWHOLE)
    checks.process.communicate()
    assert checks.process.returncode == 0
    return Said(checks.endpoint, online, offline)


def test_what_the_hub_does_not_give_is_explained(said: Said):
    gated, unknown, revision, pickled, *others = said.online[: len(NOT_GIVEN)]
    assert gated.startswith("model.path=tiny/gated: is gated")
    assert f"{said.hub}/tiny/gated" in gated and "hf auth login" in gated and "HF_TOKEN" in gated
    assert "the hub knows no such model" in unknown
    assert revision.startswith("model.revision=v9: tiny/pickled has no such revision")
    assert pickled.startswith("model.use_safetensors=True: tiny/pickled has only pickled weights")
    assert others[0].startswith("llm.path=tiny/gated: is gated")
    assert others[1].startswith("scorer.path=tiny/gated: is gated")
    assert others[2].startswith("llm.path=tiny/pickled: has only pickled weights (unet/diffusion")
    assert others[3].startswith("scorer.path=tiny/pickled: has only pickled weights")
    assert others[4].startswith("llm.path=tiny/code: contains Python code of its own")


def test_a_cache_that_holds_no_weights_is_not_believed(said: Said):
    pickled, also, *good = said.online[len(NOT_GIVEN) :]
    assert pickled.startswith("llm.path=tiny/pickled: has only pickled weights")
    assert also.startswith("scorer.path=tiny/old: has only pickled weights")
    assert good == ["nothing wrong"] * 2
    read, *unread = said.offline[len(OUT_OF_REACH) :]
    assert read == "nothing wrong"
    assert len(unread) == len(UNWHOLE)
    assert all("not complete in the hub's cache" in one for one in unread)


@pytest.mark.faults
def test_a_cached_model_is_drawn_with_at_its_pinned_revision(trained, tmp_path):
    """Through the whole command, without a network."""
    home, out = tmp_path / "home", tmp_path / "out"
    of_sd(trained, home)
    keys = ["path=tiny/sd", f"revision={COMMIT}", "variant=null", "width=32", "height=32"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "imagepipe", "model=sd_turbo", "llm=none", "tracking=none"),
            *(f"model.{key}" for key in keys),
            f"dataset.prompt='{{animal}} {'cat ' * 80}'",
            *("limit=2", f"hydra.run.dir={out}"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    licence = done.stderr.index("LICENCE    tiny/sd is for non-commercial use only")
    assert licence < done.stderr.index("model      sd_turbo")
    rows = pq.read_table(out / "table").to_pylist()
    assert len(rows) == 2
    with Image.open(out / rows[0]["image_path"]) as image:
        assert image.text["model_revision"] == COMMIT
        assert "weights" not in image.text
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["prompts_cut"], summary["prompts_cut_share"]) == (2, 1.0)
    assert "2 prompts (100 %) were too long for the model and were cut" in done.stderr


def test_a_hub_out_of_reach_and_a_cache_that_is_not_whole_name_the_command(said: Said):
    nothing, other, partly, measured, variant, none = said.offline[: len(OUT_OF_REACH)]
    trouble = "is not a folder here, not complete in the hub's cache"
    assert nothing.startswith(f"model.path=tiny/none: {trouble}")
    assert f"hf download tiny/none --revision {COMMIT} --include" in nothing
    assert '"*.fp16*.safetensors"' in nothing
    assert f"hf download tiny/sd --revision {COMMIT[::-1]}" in other
    assert f'hf download tiny/sd --revision {COMMIT} --include model_index.json "*/*"' in partly
    assert measured == variant == "nothing wrong"
    assert '"*.bf16*.safetensors"' in none
