"""Scorers that say several things of a picture: their columns, from the stage to the table."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.chat_server import serving
from helpers.configs import composed
from helpers.written import batch, writer

from imagepipe.config import Score, Scorer, said_by
from imagepipe.errors import UserError
from imagepipe.execution import chain
from imagepipe.scoring import make
from imagepipe.scoring.questions import NEITHER
from imagepipe.scoring.stage import NO_NUMBER, stage
from imagepipe.sink import resume
from imagepipe.sink.ledger import Ledger
from imagepipe.sources import scan
from imagepipe.stages import engines
from imagepipe.stages.stage import BatchSizeBackoff, apply
from imagepipe.store import Store

QUESTIONS = {"shows": "Does it show {base_prompt}?", "fine": "Is it {prompt}?"}
SURE, MUTE = {"Yes": 0.75, "No": 0.25}, {"I": 0.9}
CHANCES = {"show a thing 1?": MUTE, "show": SURE, "is it a fine thing": SURE}
CHANCES |= {"a fine thing 2": MUTE, "fine": SURE}


def judged(server, engine: str = "openai_vlm", each: int = 1, **changes: object) -> pa.Table:
    asked = {"questions": dict(QUESTIONS), "path": "m", "base_url": server.url, **changes}
    one = stage(Scorer("judge", engine, **asked), each)
    return apply(one, BatchSizeBackoff(one.recipe()), batch(["r0", "r1", "r2"], each=each))


SCORES = said_by(Scorer("judge", "openai_vlm", questions=dict(QUESTIONS)), "scorer")


@pytest.mark.parametrize("each", [1, 2])
def test_each_question_has_its_column_of_the_table(each: int, tmp_path: Path):
    with serving(chances=CHANCES) as server:
        table = judged(server, each=each)
    assert table["score_shows"].to_pylist() == [[0.75] * each, [None] * each, [0.75] * each]
    ledger = Ledger(rows_read=3)
    ledger.add(writer(tmp_path, SCORES)(table))
    assert ledger.adds_up and ledger.failed == 0
    counts = {name: one.count for name, one in ledger.scores.items()}
    assert counts == {"judge_shows": 2 * each, "judge_fine": 2 * each}
    assert ledger.unscored == {f"shows: {NEITHER}": each, f"fine: {NEITHER}": each}
    rows = pq.read_table(tmp_path / "table").to_pylist()
    said = [(row["score_shows"], row["score_fine"], row["scorer_error"]) for row in rows]
    expected = [
        (0.75, 0.75, None),
        (None, 0.75, f"shows: {NEITHER}"),
        (0.75, None, f"fine: {NEITHER}"),
    ]
    assert said == [one for one in expected for _ in range(each)]


def test_a_resumed_run_counts_those_of_before(tmp_path: Path):
    with serving(chances=CHANCES) as server:
        writer(tmp_path / "out", SCORES)(judged(server))
    (tmp_path / "t.csv").write_text("id,what\nr0,a\nr1,b\nr2,c\n")
    tables = scan(composed("dataset=csv", f"dataset.path={tmp_path}/t.csv",
                           "dataset.prompt='{what}'").dataset, None)  # fmt: skip
    store = Store(str(tmp_path / "out"))
    done = resume.take_in(store, tables, "id", retry_failed=False, scores=SCORES)
    assert {name: one.count for name, one in done.scores.items()} == {
        "judge_shows": 2,
        "judge_fine": 2,
    }
    assert done.unscored == {f"shows: {NEITHER}": 1, f"fine: {NEITHER}": 1}


def test_captions_are_texts_and_no_scores(tmp_path: Path):
    questions = {"caption": "Describe it."}
    scorer = Scorer("words", "openai_caption", questions=questions)
    with serving() as server:
        table = judged(server, "openai_caption", questions=questions)
    ledger = Ledger(rows_read=3)
    ledger.add(writer(tmp_path, said_by(scorer, "scorer"))(table))
    assert (ledger.scores, ledger.unscored) == ({}, {})
    said = pq.read_table(tmp_path / "table")["scorer_caption"]
    assert said.type == pa.string()
    assert said.to_pylist() == ["Describe it., in falling snow"] * 3


def test_a_judge_that_breaks_with_a_row_keeps_its_pictures(monkeypatch: pytest.MonkeyPatch):
    line = engines.Engine("helpers.failing_engines.Judge", by_row=True)
    monkeypatch.setitem(engines.TABLE["scorer"], "cursed", line)
    one = stage(Scorer("judge", "cursed", questions=dict(QUESTIONS)), 1)
    table = apply(one, BatchSizeBackoff(one.recipe()), batch(["r0", "r1", "r2"]))
    assert table["failed_stage"].null_count == 3
    assert table["score_shows"].to_pylist() == [[1.0], [None], [1.0]]
    assert table["score_fine"].to_pylist() == [[None], [None], [None]]  # a number that is none
    why = "ValueError: a fine thing 1 <é> is cursed"
    assert table["scorer_error"].to_pylist() == [NO_NUMBER, why, NO_NUMBER]


# --- how they are said


@pytest.mark.parametrize(
    ("choice", "columns"),
    [
        ("toyworld", ["score_animal", "score_garment", "score_colour", "score_season",
                      "score_medium", "score_all"]),
        ("smolvlm_256m", ["score_shows"]),
        ("[tiny_clip,smolvlm_500m]", ["score_tiny_clip", "score_smolvlm_500m_shows"]),
        ("[tiny_clip,caption]", ["score_tiny_clip", "scorer_caption_caption"]),
        ("caption", ["scorer_caption"]),
    ],
    ids=["toyworld", "vlm", "beside", "caption-beside", "caption"],
)  # fmt: skip
def test_the_columns_are_known_from_the_configuration(choice: str, columns: list[str]):
    config = composed(f"scorer={choice}")
    assert [one.column for one in config.judged] == columns
    assert config.scores == tuple(one for one in config.judged if not one.is_text)


@pytest.mark.parametrize("name", ["toyworld", "smolvlm_256m", "caption"])
def test_they_are_those_that_the_engine_gives(name: str):
    scorer = composed(f"scorer={name}").scorer[name]
    assert tuple(make(scorer).adds.names) == tuple(one.part for one in said_by(scorer, "scorer"))


def test_a_question_may_be_added_on_the_command_line():
    config = composed("scorer=smolvlm_256m", '+scorer.smolvlm_256m.questions.red="Is it red?"')
    assert [one.name for one in config.scores] == ["smolvlm_256m_shows", "smolvlm_256m_red"]
    assert config.scores[1] == Score("smolvlm_256m", "scorer", "red")


@pytest.mark.parametrize(
    ("overrides", "missing"),
    [(["scorer=toyworld"], "colour, garment, input_season, medium"),
     (["scorer=smolvlm_256m", 'scorer.smolvlm_256m.questions.shows="Is it {tail}?"'], "tail")],
    ids=["attributes", "vlm"],
)  # fmt: skip
def test_a_question_over_a_column_that_is_not_there_is_refused(overrides: list[str], missing: str):
    config = composed("llm=none", *overrides)
    with pytest.raises(UserError) as caught:
        chain.stages(config, scan(config.dataset, 4))
    said = str(caught.value)
    name = overrides[0].removeprefix("scorer=")
    assert said.startswith(f"scorer.{name}.questions={missing}: this stage reads columns that")
    assert "Columns so far: " in said and "base_prompt" in said
