"""The engines that enrich prompts; the transformers engine runs on the embedded model."""

from __future__ import annotations

import subprocess
import sys

import pytest

from imagepipe.config import LLM
from imagepipe.errors import UserError
from imagepipe.llm import Answer, Enhancer, make
from imagepipe.llm.chat import messages
from imagepipe.seasons import ELEMENTS

USER = "Prompt: {prompt}\nSeason: {season}"
PROMPTS = [
    "A cat wearing a red scarf",
    "An oil painting of an owl wearing a turquoise bow tie",
    "a photo of a lighthouse",
    "A duck wearing a black hat, pencil sketch",
]
SEASONS = ["winter", "summer", "autumn", "spring"]
ODD = ["", "🐈 in a {season} {garment} {0}", "A lion wearing a pink crown " * 70, "%s <b> \n\\"]


def _loaded(**changes: object) -> Enhancer:
    values = {"name": "tiny", "engine": "transformers", "path": "asset:tiny_llm", "user": USER}
    model = make(LLM(**{**values, "dtype": "float32", "temperature": 0.8, **changes}))
    model.load()
    return model


@pytest.fixture(scope="module")
def tiny() -> Enhancer:
    return _loaded()


def _alone(model: Enhancer, seeds: list[int]) -> list[Answer]:
    rows = zip(PROMPTS, SEASONS, seeds, strict=True)
    return [model.enhance([prompt], [season], [seed])[0] for prompt, season, seed in rows]


def _texts(answers: list[Answer]) -> list[str]:
    return [answer.text for answer in answers]


# --- the question


def test_only_the_users_own_placeholders_are_filled() -> None:
    asked = messages("Be {prompt}.", "{prompt} in {season}, {other}", "a {season} {0}", "winter")
    assert asked == [
        {"role": "system", "content": "Be {prompt}."},
        {"role": "user", "content": "a {season} {0} in winter, {other}"},
    ]
    assert messages("", "{prompt}", "x", "winter") == [{"role": "user", "content": "x"}]


def test_an_unknown_engine_is_refused_by_name() -> None:
    with pytest.raises(UserError, match=r"llm\.engine=gpt.*template"):
        make(LLM(name="x", engine="gpt"))


def test_making_an_engine_loads_nothing_heavy() -> None:
    code = (
        "import sys; from imagepipe.llm import make; from types import SimpleNamespace as N\n"
        "make(N(engine='transformers', path='asset:tiny_llm')); make(N(engine='template'))\n"
        "assert not {'torch', 'transformers', 'ray', 'mlflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- rules


@pytest.mark.parametrize("prompt", [*PROMPTS, *ODD[1:]])
def test_the_template_keeps_the_prompt_and_names_two_elements(prompt: str) -> None:
    model = make(LLM(name="template", engine="template"))
    for seed in range(20):
        text = model.enhance([prompt], ["autumn"], [seed])[0].text
        assert text.startswith(prompt.strip(" .,"))
        assert sum(element in text for element in ELEMENTS["autumn"]) >= 2


def test_the_templates_words_come_from_the_rows_seed_alone() -> None:
    model = make(LLM(name="template", engine="template"))
    together = model.enhance(PROMPTS, SEASONS, [1, 2, 3, 4])
    assert together == _alone(model, [1, 2, 3, 4])
    assert len({model.enhance(PROMPTS[:1], ["winter"], [i])[0].text for i in range(30)}) > 20
    assert model.enhance([""], ["winter"], [5])[0].text[0] not in " ,"


# --- a model


def test_an_answer_is_the_same_alone_and_in_any_batch(tiny: Enhancer) -> None:
    seeds = [11, 12, 13, 14]
    together = tiny.enhance(PROMPTS, SEASONS, seeds)
    backwards = tiny.enhance(PROMPTS[::-1], SEASONS[::-1], seeds[::-1])[::-1]
    assert together == backwards == _alone(tiny, seeds)


def test_the_seed_changes_the_wording(tiny: Enhancer) -> None:
    texts = _texts(tiny.enhance(PROMPTS[:1] * 16, ["winter"] * 16, list(range(16))))
    assert len(set(texts)) > 10


def test_temperature_zero_is_greedy_and_ignores_the_seed() -> None:
    texts = _texts(_loaded(temperature=0.0).enhance(PROMPTS[:1] * 3, ["winter"] * 3, [1, 2, 3]))
    assert len(set(texts)) == 1


def test_a_small_nucleus_leaves_only_the_likeliest_token() -> None:
    asked = PROMPTS, SEASONS, [1, 2, 3, 4]
    assert _texts(_loaded(top_p=1e-6).enhance(*asked)) == _texts(
        _loaded(temperature=0.0).enhance(*asked)
    )


def test_sampling_follows_the_models_probabilities() -> None:
    """1,000 seeds of the Gumbel-max trick against softmax: within 4 standard deviations."""
    import torch

    from imagepipe.llm.transformers import GumbelNoise

    logits = torch.tensor([2.0, 1.0, 0.0, -1.0])
    noisy = GumbelNoise(list(range(1000)))(torch.zeros(1000, 1), logits.expand(1000, 4))
    counts = torch.bincount(noisy.argmax(dim=1), minlength=4)
    expected = 1000 * logits.softmax(dim=0)
    assert ((counts - expected).abs() < 4 * expected.sqrt()).all()


def test_tokens_are_counted_and_limited(tiny: Enhancer) -> None:
    answer = tiny.enhance(PROMPTS[:1], ["winter"], [1])[0]
    assert 10 < answer.tokens_in < 40
    assert 10 < answer.tokens_out < 40
    assert _loaded(max_tokens=5).enhance(PROMPTS[:1], ["winter"], [1])[0].tokens_out == 5


def test_odd_prompts_get_an_answer(tiny: Enhancer) -> None:
    answers = tiny.enhance(ODD, ["winter"] * 4, [1, 2, 3, 4])
    assert all(answer.text == answer.text.strip() for answer in answers)
    assert answers[2].tokens_in <= 256 - 64


def test_a_prompt_too_long_for_the_model_is_cut_with_a_warning(
    tiny: Enhancer, caplog: pytest.LogCaptureFixture
) -> None:
    tiny.enhance(ODD[2:3], ["winter"], [1])
    assert "cut to" in caplog.text


def test_a_question_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(UserError, match=r"llm\.max_tokens"):
        _loaded(max_tokens=250).enhance(PROMPTS[:1], ["winter"], [1])
