"""The engines that enrich prompts; the transformers engine runs on the embedded model."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pytest
from helpers.configs import composed
from helpers.logged import Logged

from imagepipe.config import LLM
from imagepipe.diffusion import limits
from imagepipe.errors import UserError
from imagepipe.llm import Answer, Enhancer, check, make
from imagepipe.llm.chat import messages
from imagepipe.llm.questions import Questions
from imagepipe.llm.stage import ADDS, stage
from imagepipe.prompts.seasons import ELEMENTS, season_of
from imagepipe.stages.weights import HUB_ID, locate

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


def test_auto_is_vllm_where_it_is_installed() -> None:
    engine = "vllm" if find_spec("vllm") else "transformers"
    assert composed("llm=qwen").llm.engine == engine


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed")
def test_vllm_that_is_not_installed_is_refused_with_the_way_to_get_it() -> None:
    with pytest.raises(UserError, match=r"llm\.engine=vllm: vLLM is not installed.*make vllm"):
        check(composed("llm=tiny_vllm").llm)


@pytest.mark.parametrize("preset", ["qwen", "qwen3_0_6b", "qwen3_4b", "smollm2_1_7b", "gemma"])
def test_a_preset_of_the_hub_names_one_revision(preset: str) -> None:
    llm = composed(f"llm={preset}").llm
    assert HUB_ID.fullmatch(str(llm.path))
    assert re.fullmatch("[0-9a-f]{40}", str(llm.revision))
    assert llm.system
    assert "{season}" in llm.user


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


# --- the stage


def test_an_answer_that_the_text_encoder_would_cut_is_not_drawn() -> None:
    config = composed("llm=template")
    recipe = partial(limits.load, config.model)
    made = stage(config.llm, limit=recipe)
    limit = recipe()
    longest = max(n for n in range(1, 100) if not limit.cuts("cat " * n))
    bases = ["a cat wearing a red scarf", "cat " * longest]
    rows = pa.table({"base_prompt": bases, "seed": pa.array([1, 2], pa.int64())})
    columns = made.recipe()(rows)
    assert columns["llm_fallback"] == [None, "too_long"]
    assert columns["prompt"][0].startswith(bases[0] + ", ")
    assert columns["prompt"][1] == bases[1]
    assert columns["season"] == [season_of(1), season_of(2)]


def test_without_an_llm_the_base_prompt_is_drawn_and_nothing_counted() -> None:
    config = composed("llm=none")
    rows = pa.table({"base_prompt": ["a cat"], "seed": pa.array([1], pa.int64())})
    columns = stage(config.llm, limit=partial(limits.load, config.model)).recipe()(rows)
    assert list(columns) == ADDS.names
    assert columns["prompt"].to_pylist() == ["a cat"]
    assert all(columns[name] == [None] for name in ADDS.names if name != "prompt")


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
    tiny: Enhancer, logged: Logged
) -> None:
    tiny.enhance(ODD[2:3], ["winter"], [1])
    assert "cut to" in logged.text


def test_a_context_made_smaller_cuts_earlier(tiny: Enhancer) -> None:
    (answer,) = _loaded(max_model_len=100).enhance(ODD[2:3], ["winter"], [1])
    assert 20 < answer.tokens_in <= 100 - 64


def test_the_chat_template_gets_its_own_arguments(tmp_path: Path) -> None:
    template = "{{ messages[-1]['content'] }}{% if enable_thinking is false %} at once{% endif %}"
    model = copy_of_tiny(tmp_path)
    (model / "chat_template.jinja").write_text(template)
    asked = [
        Questions(LLM(name="x", path=str(model), chat_template_kwargs=kwargs))
        for kwargs in ({}, {"enable_thinking": False})
    ]
    plain, changed = (q.tokenizer.decode(q.ids("a cat", "winter")).strip() for q in asked)
    assert changed == f"{plain} at once"


def test_settings_that_come_with_a_model_change_no_answer(tiny: Enhancer, tmp_path: Path) -> None:
    """Such as a repetition penalty, which would also count a neighbour's padding."""
    model = copy_of_tiny(tmp_path)
    file = model / "generation_config.json"
    own = {"repetition_penalty": 5.0, "no_repeat_ngram_size": 2, "min_new_tokens": 60}
    file.write_text(json.dumps(json.loads(file.read_text()) | own))
    seeds = [1, 2, 3, 4]
    other = _loaded(path=str(model))
    assert other.enhance(PROMPTS, SEASONS, seeds) == tiny.enhance(PROMPTS, SEASONS, seeds)


def test_pickled_weights_are_not_read(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    model = copy_of_tiny(tmp_path)
    weights = load_file(model / "model.safetensors")
    torch.save(weights, model / "pytorch_model.bin")
    check(LLM("tiny", "transformers", path=str(model)))
    (model / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"has only pickled weights \(pytorch_model\.bin\)"):
        check(LLM("tiny", "transformers", path=str(model)))
    with pytest.raises(OSError, match="safetensors"):
        _loaded(path=str(model))


def test_a_model_that_needs_code_of_its_own_is_refused(tmp_path: Path) -> None:
    model = copy_of_tiny(tmp_path)
    file = model / "config.json"
    config = json.loads(file.read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "mine.Model"}
    file.write_text(json.dumps(config))
    check(LLM("tiny", "transformers", path=str(model)))  # transformers has the class itself
    file.write_text(json.dumps(config | {"model_type": "mine"}))
    with pytest.raises(UserError, match="contains Python code of its own"):
        check(LLM("tiny", "transformers", path=str(model)))


def test_a_folder_whose_weights_are_not_whole_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    model = copy_of_tiny(tmp_path)
    config = LLM("tiny", "transformers", path=str(model))
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    held = load_file(model / "model.safetensors")
    halves = dict.fromkeys(held, names[0]) | dict.fromkeys([*held][1::2], names[1])
    for name in names:
        part = {key: held[key] for key, file in halves.items() if file == name}
        save_file(part, model / name, metadata={"format": "pt"})
    (model / "model.safetensors").unlink()
    index = model / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": halves}))
    check(config)
    (model / names[1]).unlink()
    with pytest.raises(
        UserError, match=rf"llm\.path=.*weights are incomplete .*{names[1]} does not"
    ):
        check(config)
    index.write_text("{")
    with pytest.raises(UserError, match=r"model\.safetensors\.index\.json is broken"):
        check(config)
    index.unlink()
    (model / names[0]).unlink()
    with pytest.raises(UserError, match=r"incomplete \(.*/model\.safetensors does not exist"):
        check(config)


@pytest.mark.parametrize("text", ["{", "[]", "\udcff"])
def test_a_broken_description_is_refused(tmp_path: Path, text: str) -> None:
    model = copy_of_tiny(tmp_path)
    (model / "config.json").write_text(text, errors="surrogateescape")
    with pytest.raises(UserError, match=r"llm\.path=.*config\.json is broken"):
        check(LLM("tiny", "transformers", path=str(model)))


def copy_of_tiny(folder: Path) -> Path:
    return Path(shutil.copytree(locate("asset:tiny_llm"), folder / "model"))


def test_a_question_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(UserError, match="tokens left, fewer than llm.system needs"):
        _loaded(max_tokens=250).enhance(PROMPTS[:1], ["winter"], [1])
