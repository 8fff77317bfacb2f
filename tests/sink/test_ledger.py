"""Every row ends once, and the counts say so."""

from __future__ import annotations

import pyarrow as pa
import pytest

from imagepipe.sink.ledger import KIND_CHARS, MOST_KINDS, OTHERS, Ledger, Tally
from imagepipe.sink.writer import COUNTS


def counts(**values) -> pa.Table:
    row = (
        dict.fromkeys(COUNTS.names, 0)
        | {"written_at": 0.0, "unknown_words": [], "reasons": []}
        | {"scores": [], "unscored": [], "prompt_signs": [], "llm_fallbacks": []}
        | {"inversion_words": []}
        | {"unmatched_reasons": [], "filtered_reasons": [], "busy_s": [], "reused": []}
        | values
    )
    row["drawn_at"] = values.get("drawn_at", row["written_at"])
    return pa.Table.from_pylist([row], schema=COUNTS)


def test_the_four_ends_add_up_to_the_rows_read():
    ledger = Ledger(rows_read=6)
    ledger.add(counts(written=3, pictures=6))
    ledger.add(counts(failed=1, unmatched=1, reasons=["llm: no"], unknown_words=["zyx"]))
    assert (ledger.rows, ledger.adds_up) == (5, False)
    ledger.add(counts(written=1, pictures=2, llm_tokens_out=7, llm_fallbacks=["empty"]))
    assert ledger.adds_up
    assert (ledger.llm_tokens_out, ledger.llm_fallbacks) == (7, {"empty": 1})
    assert ledger.counts() == {
        "rows_read": 6,
        "written": 4,
        "failed": 1,
        "unmatched": 1,
        "filtered": 0,
        "already_done": 0,
    }
    assert ledger.reasons == {"llm: no": 1}
    assert ledger.unknown_words == {"zyx": 1}


def test_the_steady_rate_leaves_out_what_was_drawn_before_the_clock_started():
    ledger = Ledger(rows_read=3)
    ledger.add(counts(written=1, pictures=5, written_at=12.0))
    ledger.add(counts(written=1, pictures=100, written_at=10.0))
    assert ledger.steady() is None
    ledger.add(counts(written=1, pictures=5, written_at=14.0))
    assert ledger.first_written == 10.0
    assert ledger.steady() == 2.5


@pytest.mark.parametrize("behind", [0.0, 0.5, 1.0])
def test_the_steady_rate_is_the_same_whether_processes_begin_together_or_not(behind):
    """Two processes, each of which draws 16 pictures in 2 s: 16 pictures/s."""
    ledger = Ledger(rows_read=96, at_once=2)
    for batch in (1, 2, 3):
        for late in (behind, 0.0):
            ledger.add(counts(written=16, pictures=16, written_at=2.0 * batch + late))
    assert ledger.steady() == 16.0
    assert ledger.first_written == 2.0


@pytest.mark.parametrize(("drawn", "written"), [(2.0, 0.5), (0.5, 2.0)])
def test_the_steady_rate_is_that_of_what_is_slower_drawing_or_writing(drawn, written):
    """A scorer that holds batches lets them go in a burst; writers may be behind."""
    ledger = Ledger(rows_read=48)
    for batch in range(4):
        at = {"drawn_at": 10 + drawn * batch, "written_at": 20 + written * batch}
        ledger.add(counts(written=16, pictures=16, **at))
    assert ledger.steady() == 8.0


def test_a_stage_is_busy_for_as_long_as_its_rows_took():
    ledger = Ledger(rows_read=32)
    for rows in ({"written": 16, "pictures": 16}, {"failed": 16}):
        ledger.add(counts(busy_s=[("model", 1.5), ("llm", 0.5)], **rows))
    assert ledger.busy_s == {"model": 3.0, "llm": 1.0}


def test_three_batches_have_a_steady_rate_however_many_processes_draw():
    ledger = Ledger(rows_read=3, at_once=8)
    for at in (10.0, 12.0, 14.0):
        ledger.add(counts(written=1, pictures=5, written_at=at))
    assert ledger.steady() == 2.5


def test_the_steady_rate_is_of_what_was_written_since_it_was_restarted():
    ledger = Ledger(rows_read=9)
    ledger.add(counts(written=1, pictures=50, written_at=5.0))
    ledger.restart()
    assert ledger.steady() is None
    for at, pictures in ((10.0, 100), (12.0, 5), (14.0, 5)):
        ledger.add(counts(written=1, pictures=pictures, written_at=at))
    assert ledger.steady() == 2.5
    assert (ledger.first_written, ledger.pictures) == (5.0, 160)
    ledger.restart()  # and of all batches where no other follows
    assert ledger.steady() == 110 / 9


@pytest.mark.parametrize(
    ("most", "failed", "beyond"),
    [
        (None, 200, False),
        (0, 0, False),
        (0, 1, True),
        (10, 10, False),
        (10, 11, True),
        (0.05, 10, False),
        (0.05, 11, True),
    ],
)
def test_failures_are_too_many_by_count_or_by_share_of_all_rows(most, failed: int, beyond: bool):
    ledger = Ledger(rows_read=200)
    ledger.add(counts(failed=failed))
    assert ledger.beyond(most) is beyond


def test_a_tally_does_not_grow_with_the_rows():
    tally = Tally()
    for number in range(3 * MOST_KINDS):
        tally.add([f"{number} {'x' * 1000}", "often"])
    assert len(tally) == MOST_KINDS + 1
    assert tally.total() == 6 * MOST_KINDS
    assert tally["often"] == 3 * MOST_KINDS
    assert tally[OTHERS] == 2 * MOST_KINDS + 1
    assert max(map(len, tally)) == KIND_CHARS


def test_a_burst_is_no_steady_rate():
    ledger = Ledger(rows_read=3)
    for at in (10.0, 10.1, 10.2):
        ledger.add(counts(written=1, pictures=1, written_at=at))
    assert ledger.steady() is None
