"""What is said where the hub gives no model, and where a model is named wrongly."""

from __future__ import annotations

import httpx2
import pytest
from helpers.refusals import refusal
from huggingface_hub import errors

from imagepipe.config import LLM
from imagepipe.stages import engines, hub, weights

ANSWER = httpx2.Response(404, request=httpx2.Request("GET", "https://huggingface.co/me/cats"))


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (
            errors.GatedRepoError,
            "model",
            "model.path=me/cats: is gated: the hub gives it only to accounts that have accepted "
            "its terms. Accept the terms on its page (https://huggingface.co/me/cats), then: hf "
            "auth login. Or set HF_TOKEN to a token of that account.",
        ),
        (
            errors.RevisionNotFoundError,
            "model",
            "model.revision=v2: me/cats has no such revision on the hub. "
            "Its revisions: https://huggingface.co/me/cats/commits/main.",
        ),
        (
            errors.RemoteEntryNotFoundError,
            "dataset",
            "model.path=me/cats: is on the hub, but lacks the files of a dataset. "
            "Its files: https://huggingface.co/datasets/me/cats/tree/main.",
        ),
        (
            errors.RepositoryNotFoundError,
            "model",
            "model.path=me/cats: is not a folder here, and the hub knows no such model or keeps it "
            "private. Check the name. For a private model: hf auth login, or set HF_TOKEN.",
        ),
    ],
    ids="gated revision files unknown".split(),
)
def test_the_hub_refuses(error: type[Exception], kind: str, said: str):
    """Also where a library wraps what the hub's client raises."""
    cause = error("no", response=ANSWER)
    wrapped = OSError("cannot load")
    wrapped.__cause__ = cause
    for raised in (cause, wrapped):
        assert str(hub.refused("model.path", "me/cats", "v2", raised, kind=kind)) == said


@pytest.mark.parametrize("path", [None, ""])
def test_an_engine_that_needs_a_model(path: str | None):
    assert refusal(weights.check_path, "llm.path", path) == (
        f"llm.path={path}: this engine needs a model. "
        "Name a local folder, or a model of the hub as owner/name."
    )


def test_a_model_whose_weights_are_not_whole(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}'
    )
    (tmp_path / "model-1.safetensors").write_bytes(b"")
    gone = tmp_path / "model-2.safetensors"
    assert refusal(weights.check_safe, "llm.path", str(tmp_path), None) == (
        f"llm.path={tmp_path}: its weights are incomplete ({gone} does not exist). "
        "Use a complete model."
    )


def test_an_engine_that_is_not_there():
    known = ", ".join(engines.TABLE["llm"])
    assert refusal(engines.of, "llm", LLM("mine", "gpt", "m")) == (
        f"llm.engine=gpt: no such engine. Use one of {known}."
    )
