"""Arguments that no file system or terminal takes: refused in a line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest
from helpers.command import imagepipe
from helpers.fuzz import is_plain
from helpers.refusals import refusal
from hydra.errors import ConfigCompositionException, HydraException, InstantiationException
from omegaconf import OmegaConf
from omegaconf.errors import ValidationError

from imagepipe.cli import commands
from imagepipe.cli.checks import check_choices, check_options
from imagepipe.cli.commands import check_keys
from imagepipe.cli.composing import composed, composing
from imagepipe.cli.messages import explain, plain_errors
from imagepipe.cli.varied import check_varied
from imagepipe.config import unchecked
from imagepipe.errors import UserError


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        pytest.param(["-\x1b[31m"], "unrecognized arguments: -\\x1b[31m", id="colour"),
        pytest.param(["--\u202ecfg"], "unrecognized arguments: --\\u202ecfg", id="direction"),
        pytest.param(["b=1", "--nope=\x1b"], "unrecognized arguments: --nope=\\x1b", id="value"),
        pytest.param(["--cfg", "\r"], "argument --cfg/-c: invalid choice: ", id="choice"),
        pytest.param(["plan", "--\x07"], "unrecognized arguments: --\\x07", id="plan"),
        pytest.param(["compare", "x", "--level", "\x1b"], "argument --level: ", id="number"),
        pytest.param(["track", "x", "--ur=1", "-\x1b"], "unrecognized arguments: -\\", id="track"),
        pytest.param(["score"], "the following arguments are required: pictures", id="none"),
        pytest.param(
            ["b=1", "--nope=" + "x" * 9000], "unrecognized arguments: --nope=xxx", id="long"
        ),
    ],
)
def test_what_no_parser_takes_is_told_in_a_short_plain_line(
    typed: list[str], said: str, monkeypatch, capsys
) -> None:
    monkeypatch.setattr("argparse.ArgumentParser.error", argparse.ArgumentParser.error)
    monkeypatch.setattr("sys.argv", ["imagepipe", *typed])
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(f"sys.{stream}", getattr(sys, stream))
    with pytest.raises(SystemExit) as ended:
        commands.main()
    told = capsys.readouterr().err
    command = f"imagepipe {typed[0]}" if typed[0] in commands.COMMANDS else "imagepipe"
    assert ended.value.code == 2 and told.startswith(f"imagepipe: {said}"), told
    assert told.endswith(f". See {command} --help.\n") and is_plain(told)


@pytest.mark.parametrize("typed", ["+=", "++=3", "~=", "=", "=3", "=a=b", "@x=1", "+@x=1"])
def test_a_setting_without_a_key(typed: str) -> None:
    """Named as it was typed."""
    assert refusal(check_keys, [typed]) == f"{typed}: names no key. A setting is KEY=VALUE."


def test_a_sign_without_a_key() -> None:
    assert refusal(check_keys, ["~"]) == "~=: names no key. A setting is KEY=VALUE."


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("dataset=null", r"dataset=null: is not a name, .* Choose one of: animals_outfits, "),
        ("model=a,3", r"model=a,3: is not a name"),
        ("+scorer=true", r"scorer=true: is not a name"),
        ("~llm=1.5", r"llm=1\.5: is not a name"),
        ("sink=[1]", r"sink=\[1\]: is not a name"),
        ("hydra/launcher=null", r"hydra/launcher=null: is not a name, .* Name one\."),
        ("scorer=[glob(*)]", r"scorer=\[glob\(\*\)\]: is not a name"),
        ("scorer=[[clip]]", r"scorer=\[\[clip\]\]: is not a name"),
        ("scorer=[clip],[none,[clip]]", r"scorer=\[clip\],\[none,\[clip\]\]: is not a name"),
    ],
    ids=["null", "of-a-sweep", "added", "removed", "list", "hydra", "pattern", "in-two", "in-both"],
)
def test_a_group_takes_names_alone(typed: str, said: str) -> None:
    with pytest.raises(UserError, match=f"^{said}"):
        composed([typed], None)


@pytest.mark.parametrize(
    "typed",
    [
        "+model.call_kwargs={a/b: 1}",
        "+stages=[{a/b: null}]",
        "ray.runtime_env={env_vars: {A/B: 1}}",
    ],
    ids=["mapping", "list", "inner"],
)
def test_a_value_may_hold_keys_with_a_slash(typed: str) -> None:
    check_choices([typed])


@pytest.mark.parametrize(
    "typed", ["model=glob(tiny*)", "+llm=glob([a,b],exclude=c)", "seed=glob(*)"]
)
def test_a_pattern_of_names_is_for_hydra_to_fill(typed: str) -> None:
    check_choices([typed])


@pytest.mark.parametrize(
    "typed", ["range(1,3,0)", "range(1.5,3,0.0)", "shuffle(range(1,3,0))", "sort(range(1,3,0))"]
)
def test_a_range_that_never_ends(typed: str) -> None:
    said = refusal(check_choices, [f"seed={typed}"])
    assert said.startswith(f"seed={typed}: has steps of 0, which never come to its end.")


@pytest.mark.parametrize("typed", ["--experimental-rerun", "--experimental-rerun=x", "--exp=x"])
def test_a_configuration_past_the_checks(typed: str) -> None:
    assert "runs a configuration that nothing has checked" in refusal(check_options, [typed, "x"])


def test_a_group_that_is_put_elsewhere_is_named() -> None:
    with pytest.raises(ConfigCompositionException) as caught:
        composed(["model@x=tiny"], None)
    assert explain(caught.value) == 'model@x: there is no such key. Did you mean "model"?'


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("~limit", "~limit: a key cannot be removed. Give it a value, such as limit=null."),
        ("~model.steps", "~model.steps: a key cannot be removed."),
        ("~seed=1", "~seed: a key cannot be removed."),
        ("~modle.steps", 'modle.steps: there is no such key. Did you mean "model.steps"?'),
        ("experiment=[lab_1_images,b]", "experiment=b: there is no such choice."),
        ("", "'': is not a setting. Write KEY=VALUE"),
        ("seed=interval(1)", "seed=interval(1): Hydra cannot use that (missing a required"),
        ("seed=1,2", "seed=1,2: holds several values. Add -m for a job with each"),
        ("seed=glob(*)", "seed=glob(*): holds several values. Add -m for a job with each"),
    ],
    ids=["null", "of-a-section", "other", "unknown", "list", "nothing", "function", "many", "glob"],
)
def test_what_hydra_does_not_take_is_told_by_its_name(typed: str, said: str) -> None:
    with pytest.raises(HydraException) as caught:
        composed([typed], None)
    assert explain(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("model.steps=none", "takes a whole number. Correct it, or leave it out"),
        ("seed=", "takes a whole number. Correct it"),
        ("limit=all", "takes a whole number, or null. Correct it"),
        ("model.guidance=high", "takes a number. Correct it"),
        ("max_failures=some", "takes a number, or null. Correct it"),
        ("verbose=maybe", "takes true or false. Correct it"),
        ("dataset.prompt=[a]", "takes text. Correct it"),
        ("dataset.join=none", "takes settings, as in {KEY: VALUE}. Correct it"),
        ("dataset.read=none", "takes settings, as in {KEY: VALUE}. Correct it"),
        ("llm.stop=none", "takes a list, as in [a,b]. Correct it"),
        ("model.columns=null", "takes a value. Correct it"),
        ("hydra.job.name=[a]", "takes text. Correct it"),
    ],
)
def test_a_value_of_another_kind_says_what_its_key_takes(typed: str, said: str) -> None:
    with pytest.raises(HydraException) as caught:
        composed([typed], None)
    key, _, value = typed.partition("=")
    told = "['a']" if value == "[a]" else value
    assert explain(caught.value).startswith(f"{key}={told}: {said}")


def test_no_key_takes_settings_that_are_a_word() -> None:
    with composing(["model.parts=none"], None) as cfg, pytest.raises(ValidationError) as caught:
        unchecked(cfg)
    assert explain(caught.value).startswith("model.parts=none: takes settings, as in {KEY: VALUE}.")


@pytest.mark.parametrize(
    ("typed", "sweeper", "said"),
    [
        ("seed=interval(1,4)", "basic", "is a span to search in, and Hydra's own sweeper runs"),
        ("model=glob(t*)", "optuna", "is a pattern of names, which only Hydra's own sweeper"),
        ("model.guidance=interval(4,1)", "optuna", "ends at 1.0, before it begins at 4.0. Give"),
        ("seed=range(4,1)", "optuna", "ends at 1, before it begins at 4. Give"),
        (
            "model.guidance=tag(log,interval(0,4))",
            "optuna",
            "begins at 0.0, which has no logarithm. Let",
        ),
        ("seed=interval(1,4)", "optuna", "is a span of numbers with fractions, and the key takes"),
    ],
)
def test_a_sweeper_says_what_it_cannot_vary(typed: str, sweeper: str, said: str) -> None:
    cfg = OmegaConf.create({"seed": 0, "model": {"guidance": 0.0}})
    assert refusal(check_varied, ["llm=none", typed], sweeper, {}, cfg).startswith(
        f"{typed}: {said}"
    )


def test_a_search_needs_something_to_search_in() -> None:
    cfg = OmegaConf.create({"seed": 0, "model": {"guidance": 0.0}})
    said = refusal(check_varied, ["seed=1"], "optuna", {}, cfg)
    assert said.startswith("hydra/sweeper=optuna: has nothing to search in, so that all jobs")
    check_varied(["seed=1"], "optuna", {"custom_search_space": "package.function"}, cfg)
    check_varied(["seed=1"], "basic", {}, cfg)
    for text in ("seed=int(interval(1,4))", "model.guidance=interval(1,4)", "seed=range(1,4)"):
        check_varied([text], "optuna", {}, cfg)


def test_what_hydra_cannot_make_of_its_settings_is_told_in_a_line() -> None:
    error = InstantiationException("Error in call to target\nfull_key: hydra.sweeper")
    error.__cause__ = AssertionError()
    said = "hydra.sweeper: Hydra cannot make it of its settings (AssertionError)."
    assert explain(error).startswith(said)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("+hydra.sweeper.params.seed=1", "Unexpected type for root"),
        ("hydra.searchpath=[x://]", "No config source registered for schema x"),
        ("hydra.job.env_copy=[NOT_SET_ANYWHERE]", "'NOT_SET_ANYWHERE'"),
    ],
)
def test_what_composes_a_run_has_no_traceback_for_hydras_own_keys(typed: str, said: str) -> None:
    with pytest.raises(HydraException) as caught:
        composed([typed], None)
    assert f"Hydra cannot use that: {said}" in explain(caught.value)


def test_a_preset_that_ends_in_yml_is_told(tmp_path) -> None:
    (tmp_path / "model").mkdir()
    file = tmp_path / "model" / "mine.yml"
    file.write_text("name: mine")
    with pytest.raises(HydraException) as caught:
        composed(["model=mine"], str(tmp_path))
    said = f"model=mine: is not read from {file}, for Hydra reads .yaml. Rename it."
    assert explain(caught.value) == said


def test_other_flags_and_values_are_for_hydra_to_judge() -> None:
    check_keys(["-m", "--no-such-flag", "dataset.path=\x1b", "--config-dir=提示"])


def test_a_name_that_no_disk_takes(tmp_path, capsys) -> None:
    with pytest.raises(SystemExit) as ended, plain_errors():
        (tmp_path / ("提" * 9000)).stat()
    told = capsys.readouterr().err
    assert ended.value.code == 2 and len(told.encode()) < 500
    assert told.endswith("提: is too long for the name of a file or a folder.\n")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("hydra.sweeper.params={a: 1}", "Hydra cannot use that: 'NoneType' object has no"),
        ("hydra.sweeper.params=${seed}", "dataset.path=/nowhere.csv: is not there"),
        ("hydra.sweeper=null", "dataset.path=/nowhere.csv: is not there"),
        ("~hydra/sweeper", "hydra/sweeper=null: a sweep needs one, and this takes it away."),
        ("-sc query=bash", "Hydra cannot use that: 'COMP_LINE'"),
        ("-m seed=range(0)", "seed=range(0): varies a key over no value at all"),
        ("-m seed=1,2 model=glob(nowhere*)", "model=glob(nowhere*): varies a key over no value"),
    ],
)
def test_hydras_own_keys_end_in_a_plain_line(tmp_path: Path, typed: str, said: str) -> None:
    given = typed.split(" ") if typed.startswith("-") else [typed]
    done = imagepipe(tmp_path, *given, "dataset.path=/nowhere.csv")
    assert done.returncode == 2 and said in is_plain(done.stderr)
    assert not any(tmp_path.iterdir())
    assert done.stderr.count("\n") == 1 and not list(tmp_path.iterdir())
