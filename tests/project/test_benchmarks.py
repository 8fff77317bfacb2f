"""The benchmarks themselves: that they run, count right, and that the document agrees with them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
from helpers.benchmarks import BENCHMARKS, PARTS, benchmark, leaves_figures

PAGE = BENCHMARKS.parent / "docs" / "performance.md"
NAMES = """bare start seed daft overlap reuse side_by_side rows own_rows encode cores scorers alike
    gallery gpu""".split()


@pytest.fixture
def common(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import common

    return common


@pytest.mark.faults
def test_a_benchmark_runs_at_a_tiny_size_and_leaves_figures(tmp_path):
    leaves_figures("encode", tmp_path)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"gpu"} - set(PARTS)))
def test_a_benchmark_says_what_it_asks(name, tmp_path):
    done = benchmark(name, "--tiny", "--repeats", 0, "--out", tmp_path / "result.json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{name}: ") and done.stdout.strip().endswith("?")


def test_cores_are_shared_out_by_kinds_of_processes(common):
    import cores

    names = map(
        cores.kind,
        [
            "ray::MapWorker(MapBatches(model)).submit",
            "ray::_StatsActor",
            "ray::MapBatches(write)",
            "/a/python -m imagepipe model=noop",
            "/a/site-packages/ray/core/src/ray/gcs/gcs_server",
            "/a/python -P /a/forkserver.py",
        ],
    )
    kinds = ["models", "ray_datas_actors", "tasks", "driver", "ray", "others"]
    assert list(names) == kinds
    samples = [
        (0.0, {1: ("models", 5.0)}),
        (1.0, {1: ("models", 6.0), 2: ("driver", 3.0)}),
        (5.0, {1: ("models", 12.0), 2: ("driver", 4.0)}),  # the model's process ends
        (9.0, {2: ("driver", 4.0), 3: ("tasks", 2.0)}),
        (11.0, {2: ("driver", 4.0), 3: ("tasks", 3.0)}),
    ]
    found = cores.shares(samples, 1.5, 9.5, 2)
    assert found == {"models": 6 / 16, "driver": 1 / 16, "tasks": 2 / 16}


@pytest.mark.parametrize("name", ["gpu", pytest.param("gpu_shares", marks=pytest.mark.faults)])
def test_without_a_gpu_its_benchmark_says_so(name):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    done = benchmark(name)
    assert done.returncode == 1
    assert done.stderr.strip().endswith(f"benchmarks/{name}.py needs an NVIDIA GPU")


def test_repeats_alternate_add_up_and_are_held_to_their_limits(common, tmp_path, capsys):
    import tables

    order, times = [], {"slow": iter([2.0, 9.0, 4.0]), "fast": iter([1.0, 3.0, 1.0])}

    def variant(name):
        def work(folder):
            assert not list(folder.iterdir())
            order.append(name)
            return {"seconds": next(times[name])}

        return work

    def ratio(repeat):
        return repeat["slow"]["seconds"] / repeat["fast"]["seconds"]

    bench = common.Benchmark(
        "mine",
        "Which is faster?",
        {name: variant(name) for name in times},
        (common.Limit("ratio", ratio, at_most=2.5), common.Limit("again", ratio, at_least=3.5)),
        {"rows": 3},
    )
    parser = common.arguments(None, repeats=2)
    out = str(tmp_path / "mine.json")
    common.run(bench, parser.parse_args(["--out", out]))
    assert order == ["slow", "fast", "fast", "slow"]
    result = common.run(bench, parser.parse_args(["--out", out, "--more", "--repeats", "1"]))
    assert result == json.loads(Path(out).read_text())
    assert result["variants"]["slow"]["seconds"] == {"median": 4.0, "min": 2.0, "max": 9.0, "n": 3}
    kept, again = result["limits"]  # the ratios are 2, 3 and 4, a repeat each
    assert kept["median"] == again["median"] == 3.0
    assert not kept["kept"] and not again["kept"]
    assert "ratio: 3, <= 2.5: NOT KEPT" in capsys.readouterr().out
    part = ["--out", out, "--repeats", "1", "--variants", "slow"]
    times["slow"] = iter([1.0])
    (missing, _) = common.run(bench, parser.parse_args(part))["limits"]
    assert missing == {"name": "ratio", "wanted": "<= 2.5", "kept": None}
    assert "ratio: no repeat has all" in capsys.readouterr().out
    assert "| ratio | <= 2.5 |  | not measured |" in tables.section(
        json.loads(Path(out).read_text())
    )
    bench = common.Benchmark("mine", "", bench.variants, settings={"rows": 4})
    with pytest.raises(SystemExit, match="other settings"):
        common.run(bench, parser.parse_args(["--out", out, "--more"]))


def test_tuned_is_held_to_the_point_with_the_best_median(common, tmp_path):
    import tables
    import tuned

    args = argparse.Namespace(rows=96, pools="1,2", batches="8", repeats=3)
    rates = {"tuned": 9.7, "pool 1, batches of 8": 6.0, "pool 2, batches of 8": 10.0}
    runs = [
        {"repeat": repeat, "name": name, "steady_per_s": rates[name] + (repeat == 1)}
        for repeat, name, _ in tuned.planned(args)
    ]
    runs[2]["steady_per_s"] = 30.0  # a lucky one, of the first repeat
    (held,) = tuned.result(runs, args)["limits"]
    assert held["name"] == "tuned, times the best (pool 2, batches of 8)"
    assert held["median"] == 0.97 and held["kept"]
    assert "| >= 0.95 | 0.97 (0.323 to 0.973) | kept |" in tables.section(tuned.result(runs, args))
    assert tuned.result(runs[:-1], args)["limits"] == []


def test_the_document_agrees_with_the_results(common):
    import tables

    said = PAGE.read_text("utf-8")
    assert said == tables.filled(said), "python benchmarks/tables.py"
    for result in sorted(common.RESULTS.glob("*.json")):
        assert result.stem == "model_split" or f"<!-- bench: {result.stem} -->" in said
