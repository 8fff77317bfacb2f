"""Shares are chosen to fit the machine, and refused where they do not."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations, islice, product

import pytest
from filelock import FileLock, Timeout
from helpers.configs import composed
from hydra.core.global_hydra import GlobalHydra

from imagepipe.cli.run import main
from imagepipe.config import Config, Share
from imagepipe.errors import UserError
from imagepipe.execution.prepare import prepared
from imagepipe.resources.machine import GIB, Machine, Node, cpu_count, this_machine
from imagepipe.resources.packing import pack
from imagepipe.resources.process import alone_on_gpus, out_of_memory_error
from imagepipe.resources.shares import resolve
from imagepipe.resources.workload import pools

LAPTOP = Machine((Node(2, 0, 12 * GIB),))
WAITING = ("openai", "llm")  # waits for a server, and needs no share
OPENAI = ["llm=openai", "llm.base_url=http://127.0.0.1:1/v1", "llm.path=m"]


def refusal(*overrides: str, machine: Machine = LAPTOP) -> str:
    with pytest.raises(UserError) as caught:
        resolve(composed(*overrides), machine, 100)
    return str(caught.value)


@pytest.mark.parametrize("cpus", [1, 2, 3, 4, 16, 64])
@pytest.mark.parametrize("gpus", [0, 1, 4])
@pytest.mark.parametrize("llm", ["none", "template", "tiny", "tiny_vllm", "openai"])
@pytest.mark.parametrize("rows", [1, 100, 1_000_000])
def test_auto_fits_every_machine(cpus: int, gpus: int, llm: str, rows: int):
    config = composed(f"llm={llm}")
    shares, said = resolve(config, Machine((Node(cpus, gpus),)), rows)
    actors = dict(pools(config, shares))
    assert sum(share.num_cpus * share.pool for share in actors.values()) < cpus
    assert sum(share.num_gpus * share.pool for share in actors.values()) <= gpus
    assert all(share.pool >= 1 for share in actors.values())
    assert all(share.num_cpus > 0 for name, share in actors.items() if (llm, name) != WAITING)
    assert shares.rows_per_block % shares.model.batch_size == 0
    assert f"chosen for {cpus} CPUs, {gpus} GPUs" in said


def test_auto_starts_no_process_without_a_batch_of_rows():
    shares, _ = resolve(composed("llm=none"), Machine((Node(64, 0),)), rows=17)
    assert shares.model.pool == 3  # batches of 8


def test_auto_keeps_to_what_is_given_by_hand():
    typed = ["resources.model.pool=1", "resources.model.num_gpus=0.25", "resources.llm.num_cpus=2"]
    shares, _ = resolve(composed("llm=qwen", *typed), Machine((Node(16, 2),)), 1000)
    assert (shares.model.pool, shares.model.num_gpus, shares.llm.num_cpus) == (1, 0.25, 2)
    assert (shares.llm.pool, shares.llm.num_gpus) == (1, 0.30)


@pytest.mark.parametrize("gpus", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("llm", ["none", "tiny"])
@pytest.mark.parametrize("scorer", ["none", "auto"])
def test_auto_draws_on_every_gpu(gpus: int, llm: str, scorer: str):
    machine, config = Machine((Node(16, gpus),)), composed(f"llm={llm}", f"scorer={scorer}")
    shares, _ = resolve(config, machine, 1000)
    placed = pack(dict(pools(config, shares)), machine)
    drawing = [place.gpus for place in placed if place.stage == "model"]
    assert sorted(drawing) == [(gpu,) for gpu in range(gpus)]
    assert shares.model.num_gpus > 0.5  # or Ray, which fills a GPU up first, puts two on one


@pytest.mark.parametrize(
    ("machine", "typed"),
    [
        (LAPTOP, ["resources.model.pool=1", "resources.model.num_cpus=0.5"]),
        (LAPTOP, ["resources.scorer.num_cpus=0.4", "resources.llm.num_cpus=0.4"]),
        (LAPTOP, [*OPENAI, "resources.llm.num_cpus=0.5"]),
        (Machine((Node(16, 1),)), ["resources.model.num_gpus=0.9"]),
        (Machine((Node(16, 2),)), ["resources.model.num_gpus=0.9"]),
        (Machine((Node(16, 2),)), ["resources.llm.num_gpus=0.5"]),
        (Machine((Node(16, 4),)), ["resources.model.num_gpus=1", "resources.model.pool=2"]),
        (Machine((Node(8, 1),)), ["resources.model.pool=3"]),
        (Machine((Node(16, 2),)), ["resources.model.pool=3"]),
        (Machine((Node(8, 1),)), [*OPENAI, "resources.scorer.pool=2"]),
        (Machine((Node(16, 8),)), ["resources.llm.num_gpus=1"]),
        (Machine((Node(4, 0),)), ["llm=none", "resources.model.num_cpus=1"]),
        (LAPTOP, ["llm=none", "scorer=none", "resources.model.num_cpus=1"]),
        (Machine((Node(16, 0, 64 * GIB),)), ["resources.model.memory_gb=10"]),
    ],
)
def test_auto_fits_the_rest_around_what_is_given_by_hand(machine: Machine, typed: list[str]):
    config = composed(*typed)
    shares, _ = resolve(config, machine, 1000)
    for stage, share in pools(config, shares):
        given = getattr(config.resources, stage)
        for key in ("pool", "num_cpus", "num_gpus"):
            assert getattr(share, key) == getattr(given, key) or not getattr(given, key)
        waits = (config.llm.engine, stage) == WAITING
        assert waits or (share.num_cpus >= 0.05 and (share.num_gpus > 0.02) == (machine.gpus > 0))


def test_auto_starts_as_many_processes_of_a_given_share_as_there_is_room_for():
    shares, _ = resolve(composed("resources.model.num_cpus=1"), Machine((Node(16, 0),)), 1000)
    assert shares.model.pool == 14  # 15 are free, and the LLM and the scorer need some of that


def test_auto_starts_no_more_processes_than_a_stage_may_have():
    typed = ["resources.model.pool_max=1", "resources.llm.pool_max=1"]
    assert resolve(composed(*typed), LAPTOP, 100)[0].model.pool == 1
    many = resolve(composed(*typed[1:]), Machine((Node(64, 0),)), 1000)[0]
    assert (many.llm.pool, many.scorer.pool) == (1, 16)


def test_auto_keeps_to_what_is_given_for_the_sink():
    chosen = resolve(composed(), LAPTOP, 100)[0].sink
    assert (chosen.pool, chosen.num_cpus, chosen.batch_size) == (4, 0.12, 16)
    for key, value in {"pool": 1, "num_cpus": 0.5, "batch_size": 2}.items():
        shares, _ = resolve(composed(f"resources.sink.{key}={value}"), LAPTOP, 100)
        assert shares.sink == replace(chosen, **{key: value})


def test_batches_of_the_sink_are_a_block_only_where_nothing_else_is_given():
    config = composed("resources.sink.batch_size=5000")
    assert resolve(config, LAPTOP, 10**6)[0].sink.batch_size == 5000


def test_a_preset_of_ones_own_has_as_many_writers_as_auto_without_a_line_for_the_sink(tmp_path):
    folder = tmp_path / "resources"
    folder.mkdir()
    stages = "".join(f"{stage}: {{pool: 0}}\n" for stage in ("llm", "model", "scorer"))
    (folder / "mine.yaml").write_text(f"name: mine\nauto: true\n{stages}")
    (folder / "by_hand.yaml").write_text("name: by_hand\n")
    place, machine = f"hydra.searchpath=[file://{tmp_path}]", Machine((Node(16, 0),))
    configs = [composed(f"resources={name}", place) for name in ("mine", "by_hand", "auto")]
    mine, by_hand, auto = (resolve(config, machine, 10**4)[0].sink for config in configs)
    assert mine == by_hand == auto


def test_auto_finds_room_on_the_node_that_has_the_gpu():
    scattered = Machine((Node(4, 0), Node(2, 1), Node(8, 0)))
    shares, _ = resolve(composed(), scattered, 100)
    assert shares.model.num_cpus == pytest.approx(2 / 3, abs=0.01)


def test_auto_leaves_room_for_what_starts_again_when_a_node_is_lost():
    shares, _ = resolve(composed(), Machine((Node(2, 0), Node(4, 0), Node(4, 0))), 1000)
    pooled = dict(pools(composed(), shares)).values()
    assert 4 < sum(share.num_cpus * share.pool for share in pooled) <= 5  # of 6, one for tasks
    assert shares.model.pool == 10
    alone, _ = resolve(composed(), Machine((Node(0, 0), Node(4, 0))), 1000)  # the head has none
    assert alone.model.num_cpus > 0.4


def test_large_runs_travel_in_larger_blocks_but_never_one_block_an_actor():
    sizes = [resolve(composed(), LAPTOP, rows)[0].rows_per_block for rows in (10, 2000, 10**6)]
    assert sizes == sorted(sizes)
    assert sizes[0] == 16
    assert sizes[-1] == (8 << 20) // (128 * 128 * 3) // 16 * 16  # raw pictures of 8 MiB


MANY = "resources.model.pool=99"
ON_CPU = ["resources=cpu", "llm=none", "scorer=none"]
ON_GPU = ["resources=gpu_shared", "scorer=none"]
TWO_GPUS = Machine((Node(16, 2, 64 * GIB),))
CLUSTER = Machine((Node(4, 1, 16 * GIB, {"fast": 1}), Node(4, 1, 16 * GIB)))


@pytest.mark.parametrize(
    ("machine", "overrides", "said"),
    [
        (LAPTOP, ON_GPU, "resources.llm.num_gpus=0.6: no machine here has 0.6 GPUs; at most 0"),
        (LAPTOP, [*ON_CPU, "resources.model.num_cpus=3"], "no machine here has 3 CPUs; at most 2"),
        (LAPTOP, [*ON_CPU, "resources.model.pool=9"], "only 5 of its 9 processes fit"),
        (LAPTOP, [*ON_CPU, "resources.model.num_cpus=0.6"], "hold 1.2 CPUs, and beside the tasks"),
        (
            LAPTOP,
            ["resources=cpu", "resources.llm.num_cpus=1.5", "resources.model.num_cpus=1.5"],
            "processes fit",
        ),
        (LAPTOP, [*ON_CPU, "resources.model.memory_gb=500"], "has 500 GiB of memory; at most"),
        (LAPTOP, [*ON_CPU, "resources.model.memory_gb=8"], "only 1 of its 2 processes fit"),
        (LAPTOP, [*ON_CPU, "+resources.model.custom={fast: 1}"], "1 of the resource 'fast'; at"),
        (LAPTOP, [*ON_CPU, "resources.sink.num_cpus=4"], "leave at most 1 CPU to a task"),
        (LAPTOP, ["resources=cpu", "resources.model.pool=500"], "only 5 of its 500 processes fit"),
        (
            Machine((Node(1, 0),)),
            [*ON_CPU, "resources.sink.num_cpus=2"],
            "hold 0.7 CPUs, and beside the tasks",
        ),
        (TWO_GPUS, [*ON_GPU, "resources.model.num_gpus=inf"], "no machine here has inf GPUs; at"),
        (
            TWO_GPUS,
            [*ON_GPU, "llm=none", "resources.model.num_gpus=0.4", "resources.model.pool=5"],
            "only 4 of its 5 processes fit on 16 CPUs, 2 GPUs beside the other stages; a "
            "share cannot straddle two GPUs",
        ),
        (
            TWO_GPUS,
            [*ON_GPU, "resources.model.num_gpus=0.7", "resources.llm.pool=2"],
            "a share cannot straddle two GPUs",
        ),
        (TWO_GPUS, [*ON_GPU, "resources.model.num_gpus=1.5"], "a part of one GPU, or whole ones"),
        (TWO_GPUS, [*ON_GPU, "resources.model.num_gpus=3"], "no machine here has 3 GPUs"),
        (CLUSTER, [*ON_GPU, "resources.model.num_gpus=2"], "no machine here has 2 GPUs; at most 1"),
        (CLUSTER, [*ON_GPU, "resources.model.num_cpus=6"], "no machine here has 6 CPUs; at most 4"),
        (
            CLUSTER,
            [*ON_GPU, "+resources.model.custom={fast: 1}", "resources.model.pool=2"],
            "only 1 of its 2 processes fit",
        ),
    ],
)
def test_what_cannot_start_is_refused_and_the_setting_named_works(
    machine: Machine, overrides: list[str], said: str
):
    refused = refusal(*overrides, machine=machine)
    assert said in refused
    named = refused.split("Try ")[1].split(", or resources=auto")[0]
    assert named
    config = composed(*overrides, *shlex.split(named))
    resolve(config, machine, 100)
    assert all(share.num_cpus >= 0.1 for _, share in pools(config, config.resources))


@pytest.mark.parametrize(
    "typed", ["resources.model.num_cpus=inf", "resources.sink.num_cpus=4", MANY]
)
def test_auto_is_no_way_out_of_itself(typed: str):
    refused = refusal("resources=auto", typed)
    assert "Try resources." in refused
    assert "resources=auto" not in refused


@pytest.mark.parametrize(
    ("machine", "others", "typed", "said"),
    [
        (LAPTOP, ["llm=none"], "resources.model.num_cpus=1", "leaves too little for the scorer: "),
        (LAPTOP, ["llm=none"], "resources.sink.num_cpus=2", "leave at most 1 CPU"),
        (LAPTOP, [], MANY, "all processes together hold"),
        (Machine((Node(4, 1),)), [], "resources.model.num_gpus=1", "leaves too little for the llm"),
        (Machine((Node(8, 1),)), OPENAI, "resources.llm.num_gpus=1", "only 0 of its 1 processes"),
    ],
)
def test_auto_refuses_nothing_but_what_was_given_by_hand(
    machine: Machine, others: list[str], typed: str, said: str
):
    refused = refusal(*others, typed, machine=machine)
    assert refused.startswith(typed) and said in refused


def test_every_setting_that_a_refusal_under_auto_names_is_accepted():
    values = {"pool": (3, 40), "num_cpus": (1, 3), "num_gpus": (0.6, 2), "memory_gb": (10,)}
    stages = composed().resources.shares()
    given = [(s, key, value) for s in stages for key, among in values.items() for value in among]
    machines = [LAPTOP, CLUSTER, TWO_GPUS, Machine((Node(8, 1, 64 * GIB),))]
    refused = 0
    for config in (composed(), composed(*OPENAI, "scorer=none")):
        for machine, two in islice(product(machines, combinations(given, 2)), None, None, 3):
            typed = with_shares(config, two)
            try:
                resolve(typed, machine, 100)
            except UserError as error:
                named = re.findall(r"resources\.(\w+)\.(\w+)=([\d.]*\d)", error.remedy)
                resolve(with_shares(typed, named), machine, 100)
                refused += 1
    assert refused > 300


def with_shares(config: Config, given: Iterable[tuple[str, str, float | str]]) -> Config:
    resources = config.resources
    for stage, key, value in given:
        share = getattr(resources, stage)
        as_typed = type(getattr(share, key))(float(value))
        resources = replace(resources, **{stage: replace(share, **{key: as_typed})})
    return replace(config, resources=resources)


TWO_CPUS = ["ray.num_cpus=2", "ray.num_gpus=0"]
SERVER = ["ray.num_cpus=16", "ray.num_gpus=2"]


@pytest.mark.parametrize(
    "typed",
    [
        [*TWO_CPUS, *ON_GPU],
        [*TWO_CPUS, *ON_CPU, "resources.model.num_cpus=1", "resources.model.pool=3"],
        [*TWO_CPUS, "resources=cpu", *(f"resources.{s}.num_cpus=1.5" for s in ("llm", "model"))],
        [*TWO_CPUS, *ON_CPU, "resources.model.num_cpus=3"],
        [*TWO_CPUS, *ON_CPU, "resources.sink.num_cpus=4"],
        [*TWO_CPUS, *ON_CPU, "resources.model.memory_gb=100000"],
        [*TWO_CPUS, *ON_CPU, "+resources.model.custom={fast: 1}"],
        [*SERVER, *ON_GPU, "llm=none", "resources.model.pool=5"],
        [*SERVER, *ON_GPU, "resources.model.num_gpus=0.7", "resources.llm.pool=2"],
        [*SERVER, *ON_GPU, "resources.model.num_gpus=1.5"],
        [*SERVER, *ON_GPU, "resources.model.num_gpus=3"],
    ],
)
def test_the_command_refuses_and_what_it_names_passes_all_checks(
    typed: list[str], tmp_path, monkeypatch, capsys
):
    """The command's own `main`, which ends before Ray is asked for anything."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["imagepipe"])
    with pytest.raises(SystemExit) as ended:
        main(["hydra.run.dir=out", "tracking=none", *typed])
    GlobalHydra.instance().clear()
    refused = capsys.readouterr().err
    assert ended.value.code == 2
    named = shlex.split(refused.split("Try ")[1].split(", or resources=auto")[0])
    assert named and all(change.startswith("resources.") for change in named)
    with prepared(composed("tracking=none", *typed, *named), tmp_path / "again", []):
        pass


def test_a_refusal_shows_what_was_asked_and_what_is_there():
    said = refusal(*ON_GPU, "resources.model.pool=4", machine=TWO_GPUS)
    assert "    llm: 1 x 1 CPUs, 0.6 GPUs\n    model: 4 x 1 CPUs, 0.4 GPUs\n" in said
    assert "    node 0: 16 CPUs, 2 GPUs, 64 GiB" in said


def test_processes_spread_over_nodes_and_gpus():
    shares = {"llm": Share(1, 0.6, 2), "model": Share(1, 0.4, 2)}
    placed = pack(shares, CLUSTER)
    assert [(p.stage, p.node, p.gpus) for p in placed] == [
        ("llm", 0, (0,)),
        ("llm", 1, (0,)),
        ("model", 0, (0,)),
        ("model", 1, (0,)),
    ]
    assert [p.gpus for p in pack({"model": Share(1, 2.0)}, TWO_GPUS)] == [(0, 1)]


def test_a_refusal_comes_before_ray_starts(tmp_path):
    done = subprocess.run(
        [*shlex.split(f"{sys.executable} -X importtime -m imagepipe resources=cpu"), MANY],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "Try resources." in done.stderr and "Traceback" not in done.stderr
    assert "ray._private.worker" not in done.stderr


def test_this_machine_counts_what_the_process_may_use(monkeypatch):
    options = composed().ray
    for none in ("-1", "", "NoDevFiles"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", none)
        assert this_machine(options).gpus == 0
    assert this_machine(composed("ray.num_cpus=7").ray).cpus == 7


def test_cpus_are_counted_where_no_process_is_tied_to_some(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # as on macOS
    assert this_machine(composed().ray).cpus >= 1


@pytest.mark.parametrize(
    ("said", "cpus"),
    [("max 100000\n", 8), ("200000 100000\n", 2), ("50000 100000\n", 1), ("9900000 100000\n", 8)],
)
def test_a_container_has_the_cpus_that_its_limit_leaves(
    said: str, cpus: int, tmp_path, monkeypatch
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert cpu_count(tmp_path) == 8
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "self" / "cgroup").write_text("0::/\n")
    (tmp_path / "sys" / "fs" / "cgroup").mkdir(parents=True)
    (tmp_path / "sys" / "fs" / "cgroup" / "cpu.max").write_text(said)
    assert cpu_count(tmp_path) == cpus


def test_a_process_is_held_to_its_threads_and_to_its_part_of_a_gpu():
    """Of that CUDA's multi-process service is told."""
    code = (
        "import contextlib, os; from imagepipe.resources.process import bind\n"
        "from imagepipe.config import Share\n"
        "bind(Share(num_cpus=0.3)); import torch; print(torch.get_num_threads())\n"
        "bind(Share(num_cpus=2)); print(torch.get_num_threads())\n"
        "with contextlib.suppress(AssertionError, RuntimeError):  # torch without CUDA\n"
        "    bind(Share(num_cpus=1, num_gpus=0.35))\n"
        "print(os.environ['CUDA_MPS_ACTIVE_THREAD_PERCENTAGE'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "2", "35"]


def test_a_process_without_a_gpu_sees_none():
    code = (
        "import os; from imagepipe.resources.process import bind, bind_threads\n"
        "from imagepipe.config import Share\n"
        "bind_threads(2); bind(Share(num_cpus=1, num_gpus=2))\n"
        "before = os.environ['CUDA_VISIBLE_DEVICES']; bind(Share(num_cpus=1))\n"
        "print(before, repr(os.environ['CUDA_VISIBLE_DEVICES']))"
    )
    there = os.environ | {"CUDA_VISIBLE_DEVICES": "0,1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=there
    )
    assert done.stdout.split() == ["0,1", "''"]


def test_processes_that_share_a_gpu_start_one_after_another(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    with alone_on_gpus():
        names = sorted(path.name for path in tmp_path.iterdir())
        assert [name.rpartition("gpu")[2] for name in names] == ["0.lock", "1.lock"]
        for name in names:
            with pytest.raises(Timeout):
                FileLock(tmp_path / name, timeout=0).acquire()
    with FileLock(tmp_path / names[0], timeout=0) as again:
        assert again.is_locked


def test_what_a_process_loads_is_not_collected():
    code = (
        "import gc\n"
        "from imagepipe.resources.process import freeze_gc\n"
        "with freeze_gc():\n"
        "    assert not gc.isenabled()\n"
        "    import email.mime.text\n"
        "    one = email.mime.text.MIMEText('kept')\n"
        "assert gc.isenabled() and gc.get_freeze_count() > 1000\n"
        "assert not any(one is other for other in gc.get_objects())\n"
        "try:\n"
        "    with freeze_gc(): raise RuntimeError\n"
        "except RuntimeError:\n"
        "    assert gc.isenabled()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


TORCH_SAYS = (
    "CUDA out of memory. Tried to allocate {}. GPU 0 has a total capacity of 80.00 GiB of which "
    "30.00 GiB is free. Process 1 has 9.00 GiB memory in use. 8.00 GiB allowed; Of the allocated "
    "memory 7.50 GiB is allocated by PyTorch, and 20.00 MiB is reserved by PyTorch but unallocated."
    "  See documentation for Memory Management"
)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("512.00 MiB", "resources.model.num_gpus=0.1 or more, or the others a smaller one."),
        ("512.10 MiB", "resources.model.num_gpus=0.11 or more"),
        ("80.00 GiB", "That is 1.1 times the memory of a GPU here: take a smaller model."),
        ("2 pages", "Give it a larger share, or the others a smaller one."),
    ],
)
def test_a_stage_that_outgrows_its_gpu_share_is_named_with_what_it_needed(wanted: str, said: str):
    import torch

    error = torch.OutOfMemoryError(TORCH_SAYS.format(wanted))
    told = str(out_of_memory_error("model", "resources.model", Share(num_gpus=0.1), error))
    assert (
        "stage model needed more than its share, resources.model.num_gpus=0.1, while it loaded"
        in told
    )
    assert f"Tried to allocate {wanted}." in told and "documentation" not in told
    assert said in told


def test_only_memory_is_what_a_stage_outgrows():
    other = ValueError("x")
    assert out_of_memory_error("model", "resources.model", Share(), other) is other
    told = str(
        out_of_memory_error("scorer", "resources.scorer", Share(num_cpus=1), MemoryError("8 GiB"))
    )
    assert "stage scorer ran out of the machine's memory while it loaded: 8 GiB" in told
    assert "num_gpus" not in told


def test_a_block_is_whole_batches_of_the_stages_that_the_run_has():
    def block(llm: str) -> int | None:
        return resolve(composed(f"llm={llm}"), LAPTOP, 100)[0].rows_per_block

    assert (block("tiny"), block("none")) == (16, 8)
