"""Scorers and their servers that cannot judge, each with the line that a person reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.refusals import refusal

from imagepipe.config import LLM, Scorer
from imagepipe.config.shares import Share
from imagepipe.llm import kinds
from imagepipe.resources import refusal as shares
from imagepipe.resources.machine import Machine, Node
from imagepipe.scoring import attributes, clip
from imagepipe.servers import trial


def test_a_question_that_the_clip_has_not():
    asked = Scorer("mine", "attributes", "asset:tiny_clip", questions={"hat": "a hat"})
    said = refusal(attributes.check, asked)
    assert said.startswith("scorer.questions.hat=a hat: asset:tiny_clip has no such question. ")


def test_a_folder_without_a_processor(tmp_path: Path):
    asked = Scorer("mine", "clip", "asset:tiny_clip", processor=str(tmp_path))
    said = refusal(clip.check, asked)
    assert said.startswith(f"scorer.processor={tmp_path}: {tmp_path} holds no processor (neither ")
    assert said.endswith("). Name a folder that holds one, or a model of the hub as owner/name.")


def test_a_server_that_does_not_answer_in_time():
    server = LLM("m", "openai", "m", base_url="http://host/v1", timeout_s=2)
    assert str(trial.unreached(server, "ReadTimeout", "")) == (
        "llm.timeout_s=2: http://host/v1 did not answer a question within that time. "
        "Raise it: a server that still loads its model, or thinks, takes longer."
    )


@pytest.mark.parametrize("kind", ["clip", "t5", "vit"])
def test_a_model_that_does_not_go_on_from_a_text(kind: str):
    assert refusal(kinds.check_class, LLM("m", "transformers", "me/m"), kind) == (
        f"llm.path=me/m: is a {kind}, which does not continue a text as chat models do. "
        "Name an instruction-tuned language model."
    )


def test_a_share_that_is_too_large_to_write_in():
    machine = Machine((Node(2, 0),))
    assert shares.sink_misfit(Share(num_cpus=0.5), machine) is None
    misfit = shares.sink_misfit(Share(num_cpus=8), machine)
    assert misfit is not None
    assert misfit.problem == "the other stages leave at most 1 CPU to a task that writes"
