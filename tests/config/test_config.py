"""Wrong keys, types, values and choices end the command with one plain line."""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest

import pytest
from helpers.configs import choices, composed
from omegaconf import OmegaConf

from imagepipe import config as configuration
from imagepipe.cli.checks import config_dir
from imagepipe.cli.messages import explain
from imagepipe.config import Config
from imagepipe.errors import UserError


def complaint(*overrides: str) -> str:
    with pytest.raises(Exception) as caught:  # noqa: PT011  Hydra has many exception classes
        composed(*overrides)
    return explain(caught.value)


def test_the_defaults_are_the_embedded_models():
    config = composed()
    assert (config.dataset.name, config.llm.name, config.model.name) == (
        "animals_outfits",
        "tiny",
        "tiny",
    )
    assert (config.model.width, config.model.height) == (128, 128)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model.stepz=3", 'model.stepz: there is no such key. Did you mean "model.steps"?'),
        ("+model.stepz=3", 'model.stepz=3: there is no such key. Did you mean "model.steps"?'),
        ("model.parts.unet.pth=x", 'Did you mean "model.parts.NAME.path"?'),
        ("resources.own.mine.num_cpus=1", "resources.own.mine={'num_cpus': 1}: there is no such"),
        ("+model.steps=3", "model.steps: is set already. Leave the plus out: model.steps=..."),
        ("llm.max_model_len=64", "llm.max_model_len=64: is too small. At least 65."),
        ("llm.engine=openay", 'Did you mean "openai"?'),
        ("modle.steps=3", 'modle: there is no such key. Did you mean "model"?'),
        ("limit 8", "limit 8: is not a setting. Write KEY=VALUE"),
        ("dataset.prompt={animal} in a hat", """Write 'dataset.prompt="{animal} in a hat"'"""),
        ("={animal}", "in quotes twice: 'KEY=\"VALUE\"'."),
        ("+nonsense.deep=3", "nonsense={'deep': 3}: there is no such key."),
        ("llm=tinny", 'llm=tinny: there is no such choice. Did you mean "tiny"?'),
        ("sink=tar", "Choose one of: files, parquet, webdataset."),
        ("model.steps=many", "model.steps=many: takes a whole number."),
        ("seed=1.5", "seed=1.5: takes a whole number."),
        ("model.weights=none", "Choose one of: trained, random."),
        ("model.offload=modle", 'Did you mean "model"?'),
        ("model.loras=[{pth: a}]", "pth"),
        ("model.compile_whole=true", "Set model.compile=inductor, or leave it out."),
        ("model.steps=0", "model.steps=0: is too small. At least 1."),
        ("model.steps=-1", "model.steps=-1: is too small. At least 1."),
        ("model.steps=10001", "model.steps=10001: is too large. At most 10000."),
        ("limit=0", "limit=0: is too small. At least 1."),
        ("llm.top_p=7", "llm.top_p=7.0: is too large. At most 1."),
        ("llm.top_p=0", "llm.top_p=0.0: is too small."),
        ("tracking.samples=20", "tracking.samples=20: is too large. At most 8."),
        ("sink.gallery_images=-1", "sink.gallery_images=-1: is too small. At least 0."),
        ("tracking.system_metrics_interval_s=0", "interval_s=0.0: is too small. At least 0.1."),
        ("ray.address=ray://host:10001", "submit the run: ray job submit."),
        ("ray.address=host:port", "has no port number after its last colon"),
        ("ray.address=host:65536", "has no port number after its last colon"),
        ("+ray.runtime_env.env_vars.MY_TOKEN=hunter2", "MY_TOKEN=...: looks like a secret"),
        ("+ray.runtime_env.env_vars.DB_PASSWD=hunter2", "DB_PASSWD=...: looks like a secret"),
        ("+model.options={store: {api_key: hunter2}}", "store.api_key=...: looks like a secret"),
        (
            "dataset.more_joins=[{path: x, read: {token: hunter2}}]",
            "read.token=...: looks like a s",
        ),
        ("+llm.options.key_env=sk-hunter2", "llm.options.key_env=...: looks like a secret"),
        ("resources.model.num_cpus=nan", "num_cpus=nan: is not a number. At least 0."),
        ("resources.model.pool_max=0", "resources.model.pool_max=0: is too small. At least 1."),
        ("ray.object_store_gb=0.01", "ray.object_store_gb=0.01: is too small. At least 0.08."),
        ("max_failures=-1", "max_failures=-1: is neither a count of rows nor a share of them."),
        ("max_failures=1.5", "Give a whole number (max_failures=10), or a share of all rows"),
        ("max_failures=5%", "max_failures=5%: takes a number, or null."),
        ("max_failures=true", "max_failures=True: takes a number, or null."),
        ("resources.model.pool=-1", "resources.model.pool=-1: is too small. At least 0."),
        ("dataset.join.how=outer", "Choose one of: inner, left, anti, cross."),
        (
            "dataset.join.format=jsn",
            "dataset.join.format=jsn: is not one of the choices. Did you",
        ),
        ("model.engine=difusers", 'Did you mean "diffusers"?'),
        ("dataset=csv", "dataset.path=???: is required and has no value"),
        ("model.steps=???", "model.steps=???: is required and has no value"),
        ("seed=???", "seed=???: is required and has no value"),
        ("+llm.options.a=???", "llm.options.a=???: is required and has no value"),
        ("sink.png=false", "sink=files: saves no pictures"),
        ("sweep.objective=sore", 'Did you mean "score"?'),
        ("sweep.at_least_images_per_s=2", "Set sweep.objective=score, or leave it out."),
        ("sink.parquet=false", "sink.parquet=False: the table is how a run knows"),
        ("experiment=lab_2_jion", 'Did you mean "lab_2_join"?'),
    ],
)
def test_what_is_wrong_is_said_with_field_value_and_remedy(override: str, said: str):
    assert said in complaint(override)


def test_stages_that_are_taken_away_are_none():
    assert composed("~stages").stages == []


def test_a_share_is_given_by_hand_or_measured():
    assert complaint("resources=cpu", "resources.model.pool=0").endswith("At least 1.")
    said = complaint("resources=tuned", "resources.model.num_gpus=0.5")
    assert said.startswith(
        "resources.model.num_gpus=0.5: is set by hand, but resources=tuned measures it"
    )
    assert "use resources=auto" in said


def test_a_sweep_for_a_score_needs_a_scorer():
    assert "Choose another scorer" in complaint("sweep.objective=score", "scorer=none")
    assert "is not a rate" in complaint("sweep.objective=score", "sweep.at_least_images_per_s=0")


def test_a_bare_on_in_yaml_is_explained(tmp_path):
    (tmp_path / "dataset").mkdir()
    text = "name: mine\nformat: csv\npath: a.csv\nid: id\nprompt: '{a}'\njoin: {on: id}\n"
    (tmp_path / "dataset" / "mine.yaml").write_text(text)
    assert 'Write it in quotes: "on"' in complaint(
        "dataset=mine", f"hydra.searchpath=[file://{tmp_path}]"
    )


@pytest.mark.parametrize(
    "overrides",
    [
        pytest.param(["model.steps=3", "sink=parquet", "limit=null"], id="values"),
        pytest.param(["experiment=toyworld", "dataset.prompt='{a}, {b}'"], id="experiment"),
        pytest.param(["llm.options={}", "+llm.options.a=[1,x]", "llm.options.a=b"], id="added"),
        pytest.param(["scorer=[tiny_clip,safety]", "scorer.safety.threshold=0.3"], id="list"),
        pytest.param(["~llm.options.a", "+llm.options.a=1"], id="taken-away"),
        pytest.param(["model.loras=[{path: a}]", 'model.columns={seed: "b c"}'], id="nested"),
        pytest.param(["dataset.path=${outputs}/a.csv", "outputs=o"], id="interpolated"),
    ],
)
def test_tests_compose_what_hydra_does(overrides: list[str]):
    def made(compose: Callable[[], Config]) -> object:
        try:
            return compose()
        except Exception as error:  # Hydra has many exception classes
            return explain(error)

    hydras = made(lambda: configuration.load(choices(tuple(overrides))))
    assert made(lambda: composed(*overrides)) == hydras


def test_every_choice_of_every_group_composes():
    """And in tests as with Hydra. One of each group at a time: composing takes it 0.1 s."""
    groups = {
        group.name: sorted(path.stem for path in group.glob("*.yaml"))
        for group in config_dir().iterdir()
        if group.name not in ("hydra", "experiment", "config.yaml")
    }  # experiments have tests of their own
    for scorer, names in {"auto": ["tiny_clip"], "none": []}.items():  # none has its name
        groups["scorer"].remove(scorer)
        assert [one.name for one in composed(f"scorer={scorer}").scorer.values()] == names
    for some in zip_longest(*groups.values()):
        chosen = {group: one for group, one in zip(groups, some, strict=True) if one}
        typed = tuple(f"{group}={one}" for group, one in chosen.items())
        typed += ("dataset.path=a.csv", "dataset.prompt=b")  # which some datasets leave open
        config = configuration.load(choices(typed))
        assert composed(*typed) == config
        found = {group: getattr(config, group) for group in chosen}
        if "scorer" in chosen:
            [found["scorer"]] = found["scorer"].values()
        assert {group: one.name for group, one in found.items()} == chosen


@pytest.mark.parametrize("choice", ["csv", "parquet", "jsonl"])
def test_a_dataset_of_ones_own_needs_only_path_and_prompt(choice: str):
    config = composed(f"dataset={choice}", "dataset.path=a", "dataset.prompt='{what}'")
    assert (config.dataset.format, config.dataset.id) == (choice, "id")


@pytest.mark.parametrize("plus", ["", "+"], ids=["plain", "plus"])
def test_arguments_of_other_libraries_pass_unchecked(plus: str):
    llm = composed(f"{plus}llm.engine_kwargs.max_num_seqs=4", f"{plus}llm.engine_kwargs.a.b=x").llm
    assert llm.engine_kwargs == {"max_num_seqs": 4, "a": {"b": "x"}}


def test_a_new_key_of_any_mapping_is_typed_as_any_other():
    """As the docs and the remedies of errors write it: Hydra itself would want a plus before it."""
    config = composed(
        *("model=sdxl", "model.columns.image=photo", "model.call_kwargs={strength: 1}"),
        *("model.parts.unet.path=x", "model.cache=TaylorSeerCacheConfig"),
        *("model.cache_config.cache_interval=3", "scorer=clip", "scorer.options.a=1"),
        *("llm=openai", "llm.request={top_p: null}", "llm.chat_template_kwargs.a=false"),
        *("ray.runtime_env.py_modules=[./a.py]", "resources.model.custom.fast=1"),
    )
    model = config.model
    assert (model.columns, model.call_kwargs) == ({"image": "photo"}, {"strength": 1})
    assert (model.parts["unet"].path, model.cache_config) == ("x", {"cache_interval": 3})
    assert (config.llm.request, config.llm.chat_template_kwargs) == ({"top_p": None}, {"a": False})
    assert config.ray.runtime_env == {"py_modules": ["./a.py"]}
    assert (config.resources.model.custom, config.scorer["clip"].options) == ({"fast": 1}, {"a": 1})


def test_a_secret_is_no_option_wherever_it_comes_from(monkeypatch):
    monkeypatch.setenv("MY_KEY", "hunter2")
    said = complaint("+llm.options.api_key=${oc.env:MY_KEY}")
    assert said.startswith("llm.options.api_key=...: looks like a secret")
    assert said.endswith("with llm.options.api_key_env=ITS_NAME.")
    options = {"api_key_env": "MY_KEY", "tokenizer": "my/own", "max_tokens": 64}
    asked = [f"+llm.options.{name}={value}" for name, value in options.items()]
    assert composed(*asked).llm.options == options


def test_a_rate_limit_needs_one_process():
    said = complaint("llm=openai", "llm.requests_per_minute=60", "resources.llm.pool=2")
    assert said.startswith("resources.llm.pool=2: each process would keep to")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["llm=template", "+llm.request.seed=1"], "llm.request={'seed': 1}: is for servers, but"),
        (["model=noop", "+model.request.n=2"], "model.engine=noop asks none. Leave it out, or use"),
        (["model=noop", "model.request_in_prompt=a"], "model.request_in_prompt=a: is for servers"),
        (["scorer=clip", "+scorer.request.n=2"], "or use scorer.engine=openai_vlm or scorer.engi"),
        (["scorer=[clip,none]", "+scorer.clip.request.n=2"], "scorer.request={'n': 2}"),
        (["scorer=[clip,aesthetic]", "+scorer.clip.request.n=2"], "scorer.clip.request={'n': 2}"),
    ],
    ids=["llm", "model", "prompt", "scorer", "one", "several"],
)
def test_a_request_is_for_servers(typed: list[str], said: str):
    assert said in complaint(*typed)


def test_a_list_of_paths_and_of_further_joins_is_accepted():
    config = composed(
        "dataset.path=[a.csv,b.csv]", "dataset.more_joins=[{path: c.csv, on: id, how: left}]"
    )
    assert config.dataset.path == ["a.csv", "b.csv"]
    assert config.dataset.more_joins[0].how == "left"


def test_the_yaml_of_a_run_composes_to_the_same_run():
    config = composed("model.steps=3")
    again = OmegaConf.merge(
        OmegaConf.structured(configuration.Config), OmegaConf.create(configuration.to_yaml(config))
    )
    assert OmegaConf.to_object(again) == config


def test_a_score_that_no_scorer_gives_is_refused():
    said = complaint("sweep.objective=score", "sweep.score=clip", "scorer=tiny_clip")
    assert said.startswith("sweep.score=clip: is not a score of this run. There are tiny_clip (")
    assert composed("sweep.objective=score", "sweep.score=tiny_clip").sweep.score == "tiny_clip"


def test_a_configuration_that_is_not_whole_can_be_told_of():
    cfg = OmegaConf.structured(configuration.Config)
    cfg.model.loras = [configuration.Lora()]
    config = configuration.unchecked(cfg)
    missing = configuration.NOT_GIVEN
    assert (config.dataset.path, config.llm.name, config.model.loras[0].path) == (missing,) * 3
    assert OmegaConf.is_missing(cfg.dataset, "path")


def test_errors_survive_the_way_between_processes():
    import pickle

    error = UserError(field="a", value=1, problem="p", remedy="r")
    assert str(pickle.loads(pickle.dumps(error))) == "a=1: p. r"
