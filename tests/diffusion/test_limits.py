"""How long a prompt a model reads, where its makers do not say it in the usual place."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from helpers import fuzz_models

from imagepipe.diffusion import limits
from imagepipe.diffusion.diffusers import DiffusersGenerator, load


@pytest.mark.parametrize("said", [None, 10**30], ids=["none", "huge"])
def test_a_tokenizer_without_a_limit_has_its_encoders(said: int | None) -> None:
    whole = replace(fuzz_models.MODEL, path="asset:tiny")
    with fuzz_models.copy("tiny") as folder:
        file = folder / "tokenizer" / "tokenizer_config.json"
        config = json.loads(file.read_text()) | {"model_max_length": said}
        file.unlink()
        file.write_text(json.dumps({key: value for key, value in config.items() if value}))
        model = replace(whole, path=str(folder))
        for prompt in ("a cat", "a cat " * 9, "a cat " * 99):
            assert limits.load(model).cuts(prompt) == limits.load(whole).cuts(prompt)
        random = load(replace(model, weights="random"), "cpu")
        assert random.tokenizer.model_max_length == load(whole, "cpu").tokenizer.model_max_length
        drawn = []
        for one in (model, whole):
            generator = DiffusersGenerator(one)
            generator.load()
            drawn.append(generator.paint(["a red cat"], [1])[0])
    assert (drawn[0] == drawn[1]).all()
