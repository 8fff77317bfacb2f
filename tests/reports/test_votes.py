"""Blind votes: what a file of them has to be, and what they let one conclude."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.compared import BLUE, RED, Made, swept_into

from imagepipe.config import Sweep
from imagepipe.errors import UserError
from imagepipe.reports.comparison import votes, write_again
from imagepipe.reports.comparison.job import Job
from imagepipe.reports.comparison.measures import Entry
from imagepipe.reports.comparison.verdict import judge
from imagepipe.reports.comparison.votes import Vote

LABELS = ["a=1", "a=2"]


def cast(signs: list[int], left: str = "a=1", right: str = "a=2") -> list[Vote]:
    """A vote a row: 1 for the left, -1 for the right, 0 for neither."""
    said = {1: "left", -1: "right", 0: "neither"}
    return [Vote(f"r{row}", left, right, said[sign]) for row, sign in enumerate(signs)]


def exported(path: Path, given: list, **more) -> Path:
    known = {"imagepipe_votes": 1, "of": "s", "voter": "x1", "votes": given}
    path.write_text(json.dumps(known | more))
    return path


def one(**more) -> dict[str, str]:
    return {"row": "r0", "left": "a=1", "right": "a=2", "better": "left"} | more


@pytest.mark.parametrize(
    ("given", "more", "said"),
    [
        ([one()], {"of": "t"}, "is of another comparison, 't'; this is 's'"),
        ([one()], {"imagepipe_votes": 2}, "contains no votes exported"),
        ([one()], {"voter": "../x"}, "has a voter '../x'"),
        ([one(left="a=3")], {}, "names 'a=3' in vote 1, which is not a job here: a=1, a=2"),
        ([one(better="both")], {}, "says 'both' of a=1 and a=2 in vote 1"),
        ([one(right="a=1")], {}, "says 'left' of a=1 and a=1 in vote 1"),
        ([one(), one(left="a=2", right="a=1")], {}, "votes 2 times on row 'r0' of a=1 and a=2"),
        ([{"row": "r0"}], {}, "lacks row, left, right, better in vote 1"),
        (["left"], {}, "lacks row, left, right, better in vote 1"),
        ("left", {}, "has no list of votes"),
        ([], {}, "has no list of votes"),
        ([one(row="r7")], {}, "votes on row 'r7', for which no job here has a picture"),
    ],
    ids="other format voter job word same twice part text whole none row".split(),
)
def test_what_the_page_would_not_have_written_is_refused(tmp_path, given, more, said: str):
    path = exported(tmp_path / "votes.json", given, **more)
    with pytest.raises(UserError) as caught:
        votes.read(path, "s", LABELS, ["r0"])
    assert str(caught.value).startswith(f"FILE={path}: {said}")


@pytest.mark.parametrize(
    "content", [b"", b"[1", b"\xff", b"[]"], ids="none torn bytes list".split()
)
def test_what_is_no_file_of_votes_is_refused(tmp_path, content: bytes):
    path = tmp_path / "votes.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"FILE={path}"):
        votes.read(path, "s", LABELS, ["r0"])


def concluded(given: list[Vote], jobs: int = 2):
    """The measure of `given`, and what it lets one conclude of jobs a=1, a=2 and so on."""
    made = [{"sweep": {"job": n, "label": f"a={n + 1}"}} for n in range(jobs)]
    found = [Entry(one["sweep"]["label"], [Job(Path(), one)]) for one in made]
    measure, remarks = votes.voted(found, given, Sweep())
    return measure, judge(measure, remarks, Sweep())


def test_who_is_preferred_is_named_only_where_enough_rows_say_so():
    _, few = concluded(cast([1, 1, 1, 1, 1]))  # p = 1/16
    assert few.named is None
    assert few.sentence == (
        "No clear winner by votes between a=1 and a=2: about 10 votes would decide."
    )
    _, more = concluded(cast([1] * 30 + [-1] * 10))
    assert more.named is not None
    assert more.named.label == "a=1"
    assert more.sentence.endswith(", preferred to a=2 in 75 % (60 to 86) of 40 rows.")
    _, even = concluded(cast([1, -1] * 20))
    assert even.sentence.endswith("treat them as equally good.")


def test_several_votes_on_a_row_count_as_one():
    same = cast([1])
    assert votes.by_row([*same, *same, *cast([-1])]) == {("a=1", "a=2"): {"r0": 1}}
    assert votes.by_row([*same, *cast([1], "a=2", "a=1")]) == {("a=1", "a=2"): {"r0": 0}}


def test_a_ranking_is_that_of_bradley_and_terry():
    """Of two jobs it is the share of wins, with half a vote each way before."""
    measure, _ = concluded(cast([1] * 30 + [-1] * 10))
    assert measure.values["a=1"].value == pytest.approx(30.5 / 41, abs=1e-3)
    assert measure.values["a=1"].low < 0.7 < measure.values["a=1"].high
    chain = [*cast([1] * 9 + [-1]), *cast([1] * 9 + [-1], "a=2", "a=3")]
    measure, _ = concluded(chain, jobs=3)
    shares = [measure.values[f"a={n}"].value for n in (1, 2, 3)]
    assert shares == sorted(shares, reverse=True)  # 1 beats 3, whom it never met


@pytest.mark.faults
def test_the_interval_of_a_ranking_holds_the_truth_as_often_as_it_says():
    rng, held = np.random.default_rng(2), 0
    for _ in range(200):
        signs = {("a", "b"): dict(enumerate(np.where(rng.random(60) < 0.6, 1, -1).tolist()))}
        found = votes.bradley_terry(signs, ["a", "b"], 0.95, 200)["a"]
        held += found.low <= 0.6 <= found.high
    assert 0.92 <= held / 200 <= 0.99


def test_agreement_with_a_score_is_of_the_rows_on_which_one_was_preferred():
    scores = {"a=1": {"r0": 0.5, "r1": 0.5, "r2": 0.5}, "a=2": {"r0": 0.25, "r1": 0.75, "r2": 0.5}}
    share, rows = votes.agreement(cast([1, 1, 0, 1]), scores, 0.95)
    assert (share.value, rows) == (0.5, 2)
    assert votes.agreement(cast([0]), scores, 0.95) is None


def test_votes_that_were_taken_in_are_on_the_page_and_those_of_others_are_told(tmp_path):
    made = [Made({"a": "1"}, 1.0, 0.5, RED, side=8), Made({"a": "2"}, 1.0, 0.25, BLUE, side=8)]
    swept_into(tmp_path, made)
    path = exported(tmp_path / "mine.json", [one(), one(row="r1", better="right")])
    votes.keep(tmp_path, path, "x1")
    exported(tmp_path / "votes" / "x2.json", [one()], of="another")
    found = write_again(tmp_path)
    assert len(found.votes) == 2
    assert found.agreement["clip"][1] == 2
    assert "is of another comparison, 'another'" in found.headline()
    text = (tmp_path / "comparison.html").read_text()
    assert "2 votes" in text
    assert "clip agrees with the votes on 50 % (9 to 91) of 2 rows." in text


def test_alike_jobs_are_seldom_preferred():
    rng, named = np.random.default_rng(4), 0
    for sweep in range(300):
        signs = rng.integers(-1, 2, size=(10, 20, 40)[sweep % 3])
        named += votes.sign_test(signs, 0.95).p <= 0.05
    assert named / 300 <= 0.06
