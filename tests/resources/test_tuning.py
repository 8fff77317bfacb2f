"""What was measured becomes shares that balance the pipeline, and fit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.configs import composed

from imagepipe.config import Share
from imagepipe.errors import UserError
from imagepipe.resources.machine import GIB, Machine, Node
from imagepipe.resources.packing import pack
from imagepipe.resources.shares import resolve
from imagepipe.resources.tuning import Calibration, Point, choose, predicted
from imagepipe.resources.workload import pools

LAPTOP = Machine((Node(2, 0, 12 * GIB),))
SERVER = Machine((Node(16, 0, 64 * GIB),))
GPUS = Machine((Node(16, 2, 64 * GIB),))
ROWS = 10_000


def measured(stage: str, pool: int, threads: int, by_batch: dict, fewer: dict, memory=None):
    """The points of a stage: at `pool` processes a rate each batch size, `fewer` at the best."""
    best = max(by_batch, key=by_batch.__getitem__)
    share = dict.fromkeys(by_batch, 0.0) | (memory or {})
    many = [Point(stage, pool, threads, b, rate, share[b]) for b, rate in by_batch.items()]
    few = [Point(stage, p, 15 // p, best, rate, share[best]) for p, rate in fewer.items()]
    return many + (few if pool > 2 else [replace(point, threads=1) for point in few])


def base(*overrides: str, machine: Machine = LAPTOP) -> dict[str, Share]:
    config = composed("resources=tuned", *overrides)
    return dict(pools(config, resolve(config, machine, ROWS)[0]))


MODEL = measured("model", 2, 1, {4: 9.0, 8: 10.0, 16: 10.1}, {1: 6.0})
LLM = measured("llm", 2, 1, {4: 40.0, 8: 60.0, 16: 61.0}, {1: 31.0})
SCORER = measured("scorer", 2, 1, {4: 200.0}, {1: 110.0})


def test_the_slow_stage_gets_the_processes_and_the_others_no_more_than_they_need():
    choice = choose(base(), LAPTOP, ROWS, Calibration((*LLM, *MODEL, *SCORER)))
    assert {name: share.pool for name, share in choice.pools.items()} == {
        "llm": 1,
        "model": 2,
        "scorer": 1,
    }
    assert choice.pools["model"].batch_size == 8  # 16 is not worth its memory
    assert choice.pools["llm"].batch_size == 8
    assert choice.rows_per_s < 10
    assert choice.reasons[1] == (
        "model: 2 with batches of 8, 10 rows/s; rows/s by processes 1: 6, 2: 10.1, "
        "by batch 4: 9, 8: 10, 16: 10.1"
    )
    assert choice.reasons[-1].endswith("rows/s at most, by the CPUs that all stages share")


def test_a_slow_llm_gets_more_processes():
    slow = measured("llm", 2, 1, {4: 5.0}, {1: 2.6})
    fast = measured("model", 2, 1, {4: 100.0}, {1: 55.0})
    choice = choose(base("scorer=none"), LAPTOP, ROWS, Calibration((*slow, *fast)))
    assert choice.pools["llm"].pool == 2
    assert choice.pools["model"].pool == 1


def test_few_large_processes_where_many_small_ones_wait_for_the_memory():
    bound = measured("model", 16, 1, {4: 20.0}, {8: 24.0, 4: 30.0, 2: 22.0, 1: 15.0})
    choice = choose(base(machine=SERVER), SERVER, ROWS, Calibration(tuple(bound)))
    model = choice.pools["model"]
    assert model.pool == 4
    assert 2 < model.num_cpus <= 4
    assert isinstance(pack(choice.pools, SERVER), list)


def test_a_short_run_gets_batches_for_all_processes():
    calibration = Calibration((*MODEL,))
    sizes = {rows: choose(base(), LAPTOP, rows, calibration).pools["model"] for rows in (4, 20, 64)}
    assert [share.batch_size for share in sizes.values()] == [4, 4, 8]
    assert sizes[4].pool == 1


def test_a_stage_gets_no_more_processes_than_it_may_have():
    bound = measured("model", 16, 1, {4: 20.0}, {8: 24.0, 4: 30.0, 2: 22.0, 1: 15.0})
    for most, servers, pool in ((3, 1, 2), (3, 2, 2), (1, 2, 1)):
        machine = Machine(SERVER.nodes * servers)
        asked = base(f"resources.model.pool_max={most}", machine=machine)
        choice = choose(asked, machine, ROWS, Calibration(tuple(bound)))
        assert choice.pools["model"].pool == pool


def test_every_node_of_a_cluster_gets_the_same():
    twice = Machine((*LAPTOP.nodes, *LAPTOP.nodes))
    one = choose(base(), LAPTOP, ROWS, Calibration((*MODEL,)))
    two = choose(base(machine=twice), twice, ROWS, Calibration((*MODEL,)))
    assert two.pools["model"].pool == 2 * one.pools["model"].pool
    assert two.rows_per_s == pytest.approx(2 * one.rows_per_s)


def test_what_was_not_measured_keeps_its_share_and_is_named():
    calibration = Calibration((*MODEL,), {"llm": "a server answers it"})
    before = base("llm=openai", "llm.base_url=http://127.0.0.1:1/v1", "llm.path=m")
    choice = choose(before, LAPTOP, ROWS, calibration)
    assert choice.pools["llm"] == before["llm"]
    assert choice.reasons[0] == "llm: not measured (a server answers it)"
    nothing = choose(before, LAPTOP, ROWS, Calibration((), {"model": "60 s were over"}))
    assert nothing.pools == before
    assert nothing.rows_per_s is None
    assert nothing.reasons[-1].endswith("shares as of resources=auto")


def on_gpus(memory: dict[str, dict[int, float]]) -> Calibration:
    """An LLM, a slower model and a scorer, each alone on both GPUs."""
    rates = {"llm": {4: 50.0, 8: 90.0}, "model": {4: 16.0, 8: 20.0}, "scorer": {4: 400.0}}
    points = [measured(s, 2, 8, rates[s], {}, memory[s]) for s in rates]
    return Calibration(tuple(point for one in points for point in one))


def test_a_gpu_is_divided_by_memory_first_and_then_by_time():
    small = on_gpus({"llm": {4: 0.1, 8: 0.12}, "model": {4: 0.2, 8: 0.3}, "scorer": {4: 0.05}})
    choice = choose(base(machine=GPUS), GPUS, ROWS, small)
    share = {name: one.num_gpus for name, one in choice.pools.items()}
    assert share["llm"] >= 1.1 * 0.12 and share["model"] >= 1.1 * 0.3 and share["scorer"] >= 0.05
    assert share["model"] == max(share.values())
    assert sum(share.values()) == pytest.approx(1, abs=0.03)
    assert {name: one.batch_size for name, one in choice.pools.items()} == {
        "llm": 8,
        "model": 8,
        "scorer": 4,
    }
    assert isinstance(pack(choice.pools, GPUS), list)
    assert choice.rows_per_s == pytest.approx(predicted_alone(small), rel=0.05)


def predicted_alone(calibration: Calibration) -> float:
    """Two GPUs take turns: what all stages need of them for a row."""
    best = [max(calibration.of(s), key=lambda p: p.rows_per_s) for s in calibration.stages]
    return 1 / sum(1 / point.rows_per_s for point in best)


def test_batches_shrink_until_all_stages_fit_a_gpu():
    large = on_gpus({"llm": {4: 0.2, 8: 0.3}, "model": {4: 0.45, 8: 0.7}, "scorer": {4: 0.05}})
    choice = choose(base(machine=GPUS), GPUS, ROWS, large)
    assert choice.pools["model"].batch_size == 4
    assert choice.pools["llm"].batch_size == 8
    assert sum(share.num_gpus for share in choice.pools.values()) <= 1


def test_stages_that_no_gpu_holds_together_get_one_each():
    huge = on_gpus({"llm": {4: 0.5, 8: 0.6}, "model": {4: 0.8, 8: 0.85}, "scorer": {4: 0.05}})
    choice = choose(base(machine=GPUS), GPUS, ROWS, huge)
    assert [choice.pools[stage].pool for stage in ("llm", "model", "scorer")] == [1, 1, 1]
    assert isinstance(pack(choice.pools, GPUS), list)


def test_a_pipeline_is_no_faster_than_its_slowest_stage_and_its_machine():
    slow, fast = Point("llm", 1, 1, 8, 5.0), Point("model", 1, 1, 8, 50.0)
    assert predicted([slow, fast], LAPTOP) == (5.0, "llm")
    rate, limit = predicted([Point("llm", 1, 1, 8, 50.0), fast], LAPTOP)
    assert (rate, limit) == (pytest.approx(50.0), "llm")
    rate, limit = predicted([Point("llm", 2, 1, 8, 50.0), Point("model", 2, 1, 8, 50.0)], LAPTOP)
    assert rate == pytest.approx(25.0)
    assert limit.startswith("the CPUs")


def test_time_to_calibrate_needs_shares_that_are_free_to_choose():
    with pytest.raises(UserError, match="resources.calibrate_s=5.0: resources=cpu sets every"):
        composed("resources=cpu", "resources.calibrate_s=5")
    with pytest.raises(UserError, match="resources.calibrate_s=0.0: is too small"):
        composed("resources=auto", "resources.calibrate_s=0")
