"""Folders of models with something wrong: refused before a run, or loaded and used.

Where it is weights that a part needs, the model must be refused.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from helpers.fuzz import is_plain
from hypothesis import strategies as st

from imagepipe import assets, diffusion, llm, scoring
from imagepipe.config import LLM, Model, Scorer
from imagepipe.diffusion.diffusers import DiffusersGenerator
from imagepipe.errors import UserError
from imagepipe.llm.transformers import TransformersEnhancer
from imagepipe.scoring.clip import ClipScorer

KINDS = ("tiny", "tiny_llm", "tiny_clip")
JSON = st.one_of(
    *(st.none(), st.booleans(), st.integers(-2, 99), st.text(max_size=5), st.floats()),
    st.lists(st.integers(0, 3), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=1),
)
# What is done to a folder, and to which of its files or values in JSON, as a share of them all.
CHANGES = st.one_of(
    st.tuples(st.sampled_from(["remove", "empty", "pointer", "folder", "link"]), st.floats(0, 1)),
    st.tuples(st.sampled_from(["cut", "bytes"]), st.floats(0, 1), st.floats(0, 1)),
    st.tuples(st.sampled_from(["value"]), st.floats(0, 1), st.floats(0, 1), JSON),
    st.tuples(st.sampled_from(["key"]), st.floats(0, 1), st.floats(0, 1)),
    st.tuples(st.sampled_from(["lost", "renamed", "reshaped"]), st.floats(0, 1), st.floats(0, 1)),
    st.tuples(
        st.sampled_from(["more"]), st.sampled_from(["a.py", "model.gguf", "x.bin", "y.ckpt"])
    ),
)
WEIGHTS = ("lost", "renamed", "reshaped")  # changes that leave a part without a weight it needs


def folders() -> st.SearchStrategy[tuple[str, list[tuple[Any, ...]]]]:
    """A kind of model, and what is done to a copy of the one in the package."""
    return st.tuples(st.sampled_from(KINDS), st.lists(CHANGES, min_size=1, max_size=2))


def check(given: tuple[str, list[tuple[Any, ...]]]) -> None:
    kind, changes = given
    with copy(kind) as folder:
        lacking = [_change(folder, *change) for change in changes]
        try:
            CHECKS[kind](str(folder))
            _used(kind, str(folder))
        except UserError as error:
            refused = is_plain(str(error))
        else:
            refused = ""
        assert refused or not any(lacking), "weights are missing, and it is not refused"


@contextmanager
def copy(kind: str) -> Iterator[Path]:
    """A copy by links, which a change replaces."""
    source = Path(assets.folder(f"{assets.PREFIX}{kind}"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "m")
        shutil.copytree(source, path, copy_function=os.symlink)
        yield path


def _pick(things: list[Any], share: float) -> Any:
    return things[min(len(things) - 1, int(share * len(things)))]


def _change(folder: Path, what: str, *more: Any) -> bool:
    """Do `what` to one of the files; whether the model then lacks weights that it needs."""
    if what == "more":
        (folder / more[0]).write_bytes(b"GGUF")
        return False
    of_kind = {**dict.fromkeys(WEIGHTS, ".safetensors"), "value": ".json", "key": ".json"}
    every = sorted(path for path in folder.rglob("*") if path.is_file())
    every = [path for path in every if path.suffix == of_kind.get(what, path.suffix)]
    if not every:  # a folder stands in place of the only one
        return False
    file = _pick(every, more[0])
    if what in WEIGHTS:
        return _change_weights(file, what, more[1])
    if what in ("value", "key"):
        _change_json(file, *more[1:])
        return False
    content = file.read_bytes()
    file.unlink()
    if what == "folder":
        file.mkdir()
    elif what == "link":
        file.symlink_to("nowhere")
    elif what != "remove":
        file.write_bytes(_CONTENTS[what](content, *more[1:]))
    return False


_CONTENTS: dict[str, Callable[..., bytes]] = {
    "empty": lambda content: b"",
    "pointer": lambda content: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "cut": lambda content, share: content[: int(share * len(content))],
    "bytes": lambda content, share: (
        content[: int(share * len(content))]
        + b"\xff\x00{"
        + content[int(share * len(content)) + 3 :]
    ),
}


def _change_json(file: Path, share: float, *value: Any) -> None:
    """Another value for one of the keys of a JSON file, or none."""
    try:
        held = json.loads(file.read_text())
    except ValueError:  # changed before
        return
    if not isinstance(held, dict) or not held:
        return
    name = _pick(sorted(held), share)
    held = {key: cell for key, cell in held.items() if key != name}
    held |= {name: value[0]} if value else {}
    file.unlink()
    file.write_text(json.dumps(held))


@cache
def _weights(file: Path) -> dict[str, Any]:
    from safetensors.numpy import load_file

    return load_file(file)


def _change_weights(file: Path, what: str, share: float) -> bool:
    """Leave out, rename or cut one of the weights; whether its part needs it."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        held = dict(_weights(file.resolve()))
    except (SafetensorError, OSError):  # changed before
        return False
    name = _pick(sorted(held), share)
    value = held.pop(name)
    if what == "renamed":
        held[f"old.{name}"] = value
    elif what == "reshaped":
        held[name] = value.reshape(-1)[: max(1, value.size - 1)].copy()
    file.unlink()
    save_file(held, file)
    return value.size > 1  # not of a scale or a counter


MODEL = Model(name="t", engine="diffusers", steps=1, width=128, height=128)
ASKED = LLM(name="t", engine="transformers", max_tokens=2)
SCORER = Scorer(name="t", engine="clip")
CHECKS: dict[str, Callable[[str], Any]] = {
    "tiny": lambda path: diffusion.check(replace(MODEL, path=path)),
    "tiny_llm": lambda path: llm.check(replace(ASKED, path=path)),
    "tiny_clip": lambda path: scoring.check(replace(SCORER, path=path)),
}


def _used(kind: str, path: str) -> None:
    """As a run would: what was not refused loads, and works. Where a scheduler takes a setting and
    then cannot step, every row fails by it, which the run tells.
    """
    picture = np.zeros((1, 128, 128, 3), np.uint8)
    if kind == "tiny":
        generator = DiffusersGenerator(replace(MODEL, path=path))
        generator.load()
        with suppress(ValueError):
            assert np.shape(generator.paint(["a cat"], [1])) == picture.shape
    elif kind == "tiny_llm":
        enhancer = TransformersEnhancer(replace(ASKED, path=path))
        enhancer.load()
        assert len(enhancer.enhance(["a cat"], ["winter"], [1])) == 1
    else:
        scorer = ClipScorer(replace(SCORER, path=path))
        scorer.load()
        assert np.shape(scorer.score(picture, ["a cat"])) == (1,)
