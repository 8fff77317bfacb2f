"""What 1,000 pictures cost, by stage, and which job of a sweep is cheapest."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.configs import composed

from imagepipe.config import Price, Share, Sweep
from imagepipe.errors import UserError
from imagepipe.reports import cost
from imagepipe.reports.comparison.job import Job
from imagepipe.reports.comparison.jobs import objective
from imagepipe.reports.comparison.verdict import conclude
from imagepipe.reports.plan import table

SHARES = {
    "llm": Share(num_cpus=1, num_gpus=0.25, pool=1),
    "model": Share(num_cpus=1, num_gpus=0.5, pool=2),
}
RATE = 1000 / 3600  # a thousand pictures in an hour


def test_gpus_are_paid_whole_and_shared_out_by_what_stages_hold():
    found = cost.per_1000_pictures(RATE, SHARES, Price(gpu=2.0, machine=0.9), machines=1)
    assert found["gpu_hours"] == pytest.approx(2)  # 1.25 GPUs are two that are rented
    assert found["price"] == pytest.approx(2 * 2.0 + 0.9)
    stages = found["stages"]
    assert stages["llm"] == pytest.approx({"gpu_hours": 0.25, "price": 4 * 0.25 / 1.25 + 0.3})
    assert stages["model"] == pytest.approx({"gpu_hours": 1.0, "price": 4 * 1 / 1.25 + 0.6})
    assert sum(stage["price"] for stage in stages.values()) == pytest.approx(found["price"])


def test_without_a_gpu_the_machines_are_paid_and_without_a_price_the_hours_are_told():
    cpus = {"model": Share(num_cpus=0.5, pool=2)}
    assert cost.per_1000_pictures(RATE, cpus, Price(machine=0.5), 3)["price"] == pytest.approx(1.5)
    free = cost.per_1000_pictures(RATE, SHARES, Price(), 1)
    assert (free["price"], free["gpu_hours"]) == (None, pytest.approx(2))


@pytest.mark.parametrize(
    ("price", "rates", "joules", "said"),
    [
        (Price(gpu=1.5), {"steady": RATE}, 7.2e6, "3, 2 GPU-hours, 20 kWh of its GPUs for 1,000"),
        (Price(), {"steady": None, "end_to_end": RATE}, None, "2 GPU-hours for 1,000 pictures"),
        (Price(gpu=1), {"steady": None, "end_to_end": 0.0}, None, None),
    ],
    ids=["all", "hours", "nothing-drawn"],
)
def test_a_person_is_told_what_is_known(price, rates, joules, said):
    found = cost.of_run(rates, SHARES, price, 1, (joules, 100))
    told = cost.said(found)
    assert told is None if said is None else str(told).startswith(said)


def test_stages_are_told_where_several_cost_something():
    found = cost.of_run({"steady": RATE}, SHARES, Price(gpu=1.0), 1, (None, 0))
    assert cost.said(found) == "2, 2 GPU-hours for 1,000 pictures (llm 0.4, model 1.6)"
    assert found["pictures_per_dollar"] == pytest.approx(500)


def test_a_plan_tells_it_beside_the_rate():
    made = {
        "rows": 1,
        "columns": [],
        "joins": [],
        "notes": [],
        "cluster": None,
        "stages": [],
        "rows_per_block": 1,
        "waiting_gb": 0.1,
        "resources": "as given",
        "expected": {"images_per_s": RATE, "seconds": 1.0, "source": "the run in x"},
        "cost_per_1000_pictures": cost.per_1000_pictures(RATE, SHARES, Price(gpu=1.0), 1),
    }
    assert list(table(made))[-1].startswith("cost       2, 2 GPU-hours for 1,000 pictures")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["resources.price_per_hour.gpu=-1"], "price_per_hour.gpu=-1.0: is too small. At least 0"),
        (["resources.price_per_hour.machine=nan"], "price_per_hour.machine=nan: is not a number"),
        (["sweep.objective=pictures_per_dollar"], "=pictures_per_dollar: needs a price"),
    ],
    ids=["negative", "nan", "missing"],
)
def test_a_price_that_is_none_is_refused(overrides: list[str], said: str):
    with pytest.raises(UserError) as caught:
        composed(*overrides)
    assert said in str(caught.value)


def job(number: int, rate: float, hourly: float | None) -> Job:
    """Of 40 alike blocks of two seconds."""
    blocks = [[2 * rate * (1 + (0.01 if block % 2 else -0.01)), 2.0] for block in range(40)]
    entry = {"job": number, "swept": {"gpus": str(number)}, "label": f"gpus={number}"}
    return Job(
        Path(str(number)),
        {
            "status": "FINISHED",
            "trouble": None,
            "sweep": entry,
            "images_per_s": {"steady": rate, "end_to_end": rate, "blocks": blocks},
            "cost": {
                "price_per_hour": hourly,
                "pictures_per_dollar": hourly and rate * 3600 / hourly,
            },
        },
    )


def test_the_cheapest_job_is_named_though_another_is_faster():
    aim = Sweep(objective="pictures_per_dollar")
    jobs = [job(1, rate=3.0, hourly=1.0), job(2, rate=4.0, hourly=2.0)]
    found = conclude(jobs, aim)
    assert found.sentence.startswith("Cheapest is gpus=1: 10,800 (")
    assert "times" in found.sentence
    assert found.sentence.endswith("as cheap as gpus=2.")
    assert [objective(aim, one.summary) for one in jobs] == pytest.approx([10_800, 7_200])
    assert conclude(jobs, Sweep()).sentence.startswith("Fastest is gpus=2")
    unpriced = conclude([*jobs, job(3, rate=9.0, hourly=None)], aim)
    assert [entry.label for entry in unpriced.best] == ["gpus=1"]
