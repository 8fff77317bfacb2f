"""Each distinct piece of work is done once: what decides that two are one, and whole runs."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import one_session
from helpers.command import summary, table
from helpers.configs import composed
from helpers.counted import asked

from imagepipe import resources, sources
from imagepipe.assets import folder as asset
from imagepipe.config import Sweep
from imagepipe.errors import UserError
from imagepipe.execution import chain, manifest, reuse
from imagepipe.reports.sweep_job import SweepJob
from imagepipe.resources.machine import Machine, Node
from imagepipe.sink import sweeps
from imagepipe.sink.reuse import Found, MadeBy, Part, Work
from imagepipe.stages.stage import Stage
from imagepipe.store import Store

MACHINE = Machine((Node(2.0, 0, 8 << 30),))
BASE = ["llm=tiny", "model=tiny", "scorer=tiny_clip", "limit=4"]


def none() -> None:
    """No worker."""


def works(*overrides: str) -> dict[str, Work]:
    config = composed(*BASE, *overrides)
    tables = sources.scan(config.dataset, config.limit, config.model.columns)
    shares, _ = resources.resolve(config, MACHINE, tables.rows)
    said = sources.fingerprint(tables)
    return reuse.works(config, said, shares, chain.stages(config, tables))


def digests(*overrides: str) -> dict[str, str]:
    return {name: work.digest for name, work in works(*overrides).items()}


@pytest.mark.parametrize(
    ("overrides", "others"),
    [
        (["model.steps=7"], {"model", "scorer"}),
        (["model.guidance=3.5", "model.width=64"], {"model", "scorer"}),
        (["seed=1"], {"model", "scorer"}),
        (["+model.columns={steps: animal}"], {"model", "scorer"}),
        (["llm.temperature=0.1"], {"llm"}),
        (["llm.system=Be brief."], {"llm"}),
        (["llm.engine=openai", "llm.base_url=http://a/v1"], {"llm"}),
        (["model=noop"], {"llm", "model", "scorer"}),  # which reads prompts of any length
        (["scorer.tiny_clip.dtype=bfloat16"], {"scorer"}),
        (["limit=3", "dataset.category=animal", "sink=parquet", "filter.keep='score > 1'"], set()),
        (["llm.name=n", "model.name=m", "scorer.tiny_clip.name=s"], set()),
        (
            [
                "model.licence=mine",
                "model.weights_gb=3",
                "llm.timeout_s=9",
                "model.private_urls=true",
            ],
            set(),
        ),
        (["resources.model.batch_size=3", "ray.num_cpus=1", "tracking=none", "outputs=x"], set()),
    ],
    ids=[
        *("steps", "guidance-width", "seed", "columns", "temperature", "system", "server", "model"),
        *("scorer", "rows-and-sink", "names", "no-matter", "machine"),
    ],
)
def test_a_digest_is_another_where_the_result_may_be(overrides: list[str], others: set[str]):
    before, now = digests(), digests(*overrides)
    assert {name for name in before if now[name] != before[name]} == others


@pytest.mark.parametrize(
    "override",
    [
        "model.path={}",
        "model.vae={}",
        "model.controlnet={}",
        "model.ip_adapter.path={}",
        "model.config={}",
        "+model.parts={{text_encoder: {{path: {}}}}}",
        "model.loras=[{{path: {}}}]",
        "model.textual_inversions=[{{path: {}}}]",
    ],
    ids=["path", "vae", "controlnet", "adapter", "config", "part", "lora", "inversion"],
)
def test_a_file_of_another_content_makes_another_picture(override: str, tmp_path: Path):
    file = tmp_path / "one.safetensors"
    file.write_bytes(b"before")
    model = composed(*BASE, override.format(file)).model
    before = reuse.decisive(model)
    assert reuse.decisive(model) == before
    file.write_bytes(b"behind it")
    assert reuse.decisive(model) != before


def test_a_scorer_is_the_same_beside_another_one():
    alone, beside = digests(), digests("scorer=[tiny_clip,aesthetic]")
    assert beside["scorer_tiny_clip"] == alone["scorer"]
    assert beside["scorer_aesthetic"] not in alone.values()


@pytest.mark.parametrize(
    ("key", "name", "stage"),
    [("llm.path", "tiny_llm", "llm"), ("model.path", "tiny", "model")],
    ids=["llm", "model"],
)
def test_weights_are_known_by_what_is_in_the_folder_and_not_by_its_name(
    tmp_path: Path, key: str, name: str, stage: str
):
    one, other = tmp_path / "one", tmp_path / "other"
    for copy in (one, other):
        shutil.copytree(asset(f"asset:{name}"), copy)  # which keeps the files' times
    before = digests(f"{key}={one}")
    assert digests(f"{key}={other}")[stage] == before[stage]
    weights = next(other.rglob("*.safetensors"))
    os.utime(weights, ns=(1, weights.stat().st_mtime_ns + 1))
    assert digests(f"{key}={other}")[stage] != before[stage]


def test_a_class_of_ones_own_is_known_by_its_code(tmp_path: Path, monkeypatch):
    module = tmp_path / "counted_llm.py"
    own = ["llm.engine=custom", "llm._target_=counted_llm.Own"]
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "class Own:\n    def __init__(self, config): pass\n    def load(self): pass\n"
    text += "    def enhance(self, prompts, seasons, seeds): return prompts\n"
    module.write_text(text)
    before = digests(*own)
    assert digests(*own) == before
    module.write_text(f"{text}# changed\n")
    assert digests(*own)["llm"] != before["llm"]


@pytest.mark.parametrize(
    ("sweep", "on"),
    [
        ({}, False),
        ({"objective": "pictures_per_dollar"}, False),
        ({"objective": "score"}, True),
        ({"objective": "score", "at_least_images_per_s": 3.0}, False),
        ({"objective": "score", "reuse": False}, False),
        ({"reuse": True}, True),
        ({"reuse": "some/run"}, True),
        ({"reuse": ["a", "b"]}, True),
    ],
    ids=["rate", "price", "score", "score-at-a-rate", "no", "yes", "folder", "folders"],
)
def test_it_is_off_by_itself_where_speed_is_compared(sweep: dict, on: bool):
    assert reuse.is_on(Sweep(**sweep)) is on


@pytest.mark.parametrize("value", ["3", "[a,1]", "null"], ids=["number", "list", "null"])
def test_what_is_no_folder_is_refused(value: str):
    with pytest.raises(UserError, match=r"^sweep\.reuse=.*names no folder"):
        composed(f"sweep.reuse={value}")


def test_a_folder_without_a_run_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match=r"^sweep\.reuse=.*holds no run whose work"):
        reuse.check(composed(f"sweep.reuse=[{tmp_path}]").sweep)
    (tmp_path / manifest.RECORD).write_text("{}")
    reuse.check(composed(f"sweep.reuse={tmp_path}").sweep)


def test_a_job_that_is_resumed_at_the_same_time_gives_nothing(tmp_path: Path):
    """Its summary was there a moment ago."""
    assert reuse.taken({}, [tmp_path], sure=True) == {}


def test_of_a_sweep_it_takes_jobs_that_have_ended_and_then_those_that_are_named(tmp_path: Path):
    begun = sweeps.Record([], ["seed"], "basic", None)
    for number in (0, 1, 2):
        begun = begun.begun(number, [f"seed={number}"], str(number))
        (tmp_path / str(number)).mkdir()
    sweeps.write(tmp_path, begun)
    for name in ("0", "2", "named"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "summary.json").write_text(json.dumps({"status": "FAILED"}))
    (tmp_path / "named" / manifest.RECORD).write_text("{}")
    job = SweepJob(1, {}, "s", None, tmp_path)
    config = composed("sweep.objective=score")
    assert reuse.sources_of(config, job) == [tmp_path / "0", tmp_path / "2"]
    named = composed(f"sweep.reuse={tmp_path / 'named'}")
    assert reuse.sources_of(named, None) == [tmp_path / "named"]
    assert reuse.sources_of(composed(f"sweep.reuse=[{tmp_path}]"), None) == [
        tmp_path / "0",
        tmp_path / "2",
    ]
    assert reuse.sources_of(composed(), job) == []
    assert reuse.sources_of(composed("sweep.objective=score"), None) == []


@pytest.mark.parametrize(
    ("overrides", "others"),
    [
        (["llm.temperature=0.1"], {"model", "scorer"}),
        (["llm=none"], {"model", "scorer"}),
        (["model.steps=3"], {"scorer"}),
        (["limit=3"], {"llm", "model", "scorer"}),
        (["dataset.prompt='a {animal}'"], {"llm", "model", "scorer"}),
        (["scorer.tiny_clip.dtype=bfloat16", "sink=parquet", "dataset.name=n"], set()),
    ],
    ids=["temperature", "no-llm", "steps", "rows", "template", "no-matter"],
)
def test_whether_the_same_rows_come_to_a_stage_is_decided_by_all_before_it(overrides, others):
    before, now = works(), works(*overrides)
    assert {name for name in now if now[name].inputs != before[name].inputs} == others - (
        others - now.keys()
    )


LLM, MODEL, SCORER = (Stage(name, (), pa.schema([]), none) for name in ("llm", "model", "scorer"))


@pytest.mark.parametrize(
    ("alike", "more", "whole"),
    [
        ((7, 7, 7), {}, {"llm", "model", "scorer"}),
        ((7, 7, 6), {}, {"llm", "model"}),
        ((6, 7, 7), {}, set()),
        ((7, 6, 7), {}, {"llm"}),
        ((None, 7, 7), {}, {"model", "scorer"}),
        ((7, 7, 7), {"status": "KILLED"}, set()),
        ((10, 10, 10), {}, set()),
    ],
    ids=["all", "a-score", "an-answer", "a-picture", "no-llm", "killed", "counted-wrongly"],
)
def test_a_stage_is_taken_whole_where_one_run_has_all_rows_of_it_and_of_those_before(
    alike, more: dict, whole: set[str]
):
    """Ten rows, one of them without a match and two that failed by their own cells."""
    said = {"status": "FINISHED", "rows_read": 10, "unmatched": 1, "failed_for_good": 2}
    stages = zip((LLM, MODEL, SCORER), alike, strict=True)
    found = {stage.name: rows_of(stage, count) for stage, count in stages if count is not None}
    assert reuse.stages_with_all_rows(found, said | more) == whole


def rows_of(stage: Stage, count: int) -> Found:
    work = Work(stage, "d", (), inputs="i")
    part = Part(Store("/nowhere"), "p", MadeBy.of([work]))
    keys = np.array([str(number) for number in range(count)], "S16")
    return Found(work, [part], keys, np.zeros(count, np.int32))


# --- whole runs


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reuse")


def options(place: Path, *more: str) -> list[str]:
    """Six rows, of which the LLM declines one at first; every question is written down."""
    kinds = {"llm": "Writes", "model": "Paints", "scorer": "Scores"}
    counted = [f"++{key}.engine=custom" for key in kinds]
    counted += [f"++{key}._target_=helpers.counted.{name}" for key, name in kinds.items()]
    counted += [f"+{key}.options.file={place / 'asked'}" for key in kinds]
    small = [
        "model=noop",
        "model.width=16",
        "model.height=16",
        "llm=none",
        "scorer=none",
        "+scorer.name=light",
    ]
    return [*small, *counted, "limit=6", "tracking=none", *more]


def run(place: Path, name: str, *more: str) -> tuple[Path, list[str]]:
    """The folder of a run, and what was asked for it, by stage."""
    before = len(asked(place / "asked"))
    folder = one_session.run(place, name, *options(place, *more))
    return folder, [line.partition(" ")[0] for line in asked(place / "asked")[before:]]


@pytest.fixture(scope="module")
def first(place: Path) -> Path:
    folder, kinds = run(place, "first")
    assert sorted(kinds) == [*["llm"] * 6, *["model"] * 6, *["scorer"] * 6]
    assert summary(folder)["reused"] == {}
    return folder


def untimed(folder: Path) -> list[dict]:
    return [{k: v for k, v in row.items() if not k.endswith("_s")} for row in table(folder)]


def pngs(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "images").iterdir()}


def test_a_job_that_differs_in_the_model_alone_asks_the_llm_nothing(place: Path, first: Path):
    taking, kinds = run(place, "steps", "model.steps=3", f"sweep.reuse={first}")
    plain, every = run(place, "steps-plain", "model.steps=3")
    assert sorted(kinds) == [*["model"] * 6, *["scorer"] * 6]
    assert len(every) == 18
    assert pngs(taking) == pngs(plain)
    assert pngs(taking) != pngs(first)
    assert untimed(taking) == untimed(plain)
    assert pq.read_schema(next((taking / "table").iterdir())).equals(
        pq.read_schema(next((plain / "table").iterdir()))
    )
    said = summary(taking)
    assert (said["reused"], said["reused_of"]) == ({"llm": 6}, [str(first)])
    assert said["llm"]["tokens_out"] == 0
    assert said["stages"]["llm"]["rows"] == 6


def test_a_job_that_differs_in_the_scorer_alone_draws_nothing(place: Path, first: Path):
    taking, kinds = run(place, "scorer", "+scorer.revision=other", f"sweep.reuse={first}")
    assert kinds == ["scorer"] * 6
    assert pngs(taking) == pngs(first)
    assert untimed(taking) == untimed(first)
    assert summary(taking)["reused"] == {"llm": 6, "model": 6}


def test_a_job_that_differs_in_what_is_kept_alone_does_nothing_again(place: Path, first: Path):
    scores = sorted(row["score"] for row in table(first))
    more = [f"filter.keep='score > {scores[2]}'", "sink=parquet", f"sweep.reuse={first}"]
    taking, kinds = run(place, "kept", *more)
    assert kinds == []
    assert sorted(row["score"] for row in table(taking)) == scores[3:]
    assert summary(taking)["filtered"] == 3


@pytest.mark.faults
def test_pictures_of_other_prompts_are_drawn(place: Path, first: Path):
    """The same rows come to the LLM, which declines some of them now, and others to the model."""
    other = ["+llm.options.declines=rabbit", f"sweep.reuse={first}"]
    drawn, kinds = run(place, "other-prompts", *other)
    assert sorted(kinds) == [*["llm"] * 6, "model", "scorer"]
    assert summary(drawn)["reused"] == {"model": 5, "scorer": 5}
    assert len(pngs(drawn)) == 6


@pytest.mark.faults
def test_rows_that_are_not_there_or_fell_back_are_asked_beside_those_that_are(place: Path):
    declined = "+llm.options.declines=bear"
    some, kinds = run(place, "some", "limit=4", declined)
    assert [row["llm_fallback"] for row in table(some)].count("refusal") == 1
    more, kinds = run(place, "more", declined, f"sweep.reuse={some}")
    assert sorted(kinds) == [*["llm"] * 3, *["model"] * 2, *["scorer"] * 2]
    plain, _ = run(place, "more-plain", declined)
    assert pngs(more) == pngs(plain)
    assert untimed(more) == untimed(plain)
    assert summary(more)["reused"] == {"llm": 3, "model": 4, "scorer": 4}
