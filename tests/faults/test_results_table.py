"""The page on reliability says what the last results say."""

from __future__ import annotations

from helpers import results_table


def test_the_page_has_the_last_results():
    assert (
        results_table.page(results_table.PAGE.read_text(), results_table.read())
        == results_table.PAGE.read_text()
    )


def test_a_fault_that_lost_a_row_is_told():
    kill = {"fault": "kill -9", "victim": "driver", "rows": 500, "seconds": 3.0}
    other = kill | {"victim": "raylet", "held": True}
    said = results_table.lines(
        [kill | {"held": True}, other, kill | {"held": False, "seconds": 5.0}]
    )
    assert said[2:] == [
        "| kill -9 | driver | 2 | 500 | in 1 of 2 | 5 |",
        "| kill -9 | raylet | 1 | 500 | none | 3 |",
    ]
