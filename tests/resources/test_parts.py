"""What jobs side by side keep to: whole GPUs of a machine, whole nodes of a cluster."""

from __future__ import annotations

import pytest

from imagepipe.config import RayOptions
from imagepipe.errors import UserError
from imagepipe.execution.beside import VISIBLE, kept_to, visible
from imagepipe.resources import parts
from imagepipe.resources.machine import Machine, Node, from_ray
from imagepipe.resources.parts import Part

GIB = 1 << 30


def machine(cpus: float, gpus: int = 0) -> Machine:
    return Machine((Node(cpus, gpus, 64 * GIB),))


def nodes(*sizes: tuple[float, int]) -> list[dict]:
    """As `ray.nodes()` has them."""
    return [
        {"NodeID": f"n{i}", "Alive": True, "Resources": {"CPU": cpus, "GPU": gpus, "memory": GIB}}
        for i, (cpus, gpus) in enumerate(sizes)
    ]


def of_one(wanted: int | str, whole: Machine, room: int = 0, alike: bool = True) -> list[Part]:
    """As a sweep asks for them; a job needs `room` GPUs."""
    return parts.divided(
        *(wanted, whole, lambda count: parts.of_machine(whole, count)),
        lambda part: part.gpus >= room,
        alike=alike,
    )


def of_several(wanted: int | str, cluster: list[dict], *, alike: bool = True) -> list[Part]:
    divide = lambda count: parts.of_cluster(cluster, count)  # noqa: E731
    return parts.divided(wanted, from_ray(cluster), divide, lambda part: True, alike=alike)


@pytest.mark.parametrize(
    ("wanted", "whole", "gpus", "cpus"),
    [
        (2, machine(16, 4), [(0, 1), (2, 3)], 8),
        (3, machine(16, 4), [(0,), (1,), (2,)], 5),
        ("auto", machine(16, 4), [(0,), (1,), (2,), (3,)], 4),
        ("auto", machine(16, 1), [(0,)], 16),
        ("auto", machine(16), [()], 16),
        (2, machine(5), [(), ()], 2),
    ],
    ids=["two-of-four", "three-of-four", "auto", "one-gpu", "cpus", "two-of-five-cpus"],
)
def test_a_machine_is_divided_by_whole_gpus(wanted, whole: Machine, gpus: list, cpus: int):
    found = of_one(wanted, whole)
    assert [part.gpus for part in found] == gpus
    assert {part.machine.cpus for part in found} == {cpus}
    assert sum(part.machine.nodes[0].memory for part in found) <= 64 * GIB


def test_auto_leaves_each_job_the_gpus_that_it_needs():
    assert [part.gpus for part in of_one("auto", machine(16, 8), room=3)] == [
        (0, 1, 2, 3),
        (4, 5, 6, 7),
    ]
    assert len(of_one("auto", machine(16, 8), room=9)) == 1  # which is refused when it is run


@pytest.mark.parametrize(
    ("wanted", "whole", "said"),
    [
        (5, machine(16, 4), "each job gets whole GPUs, and there are 16 CPUs, 4 GPUs. At most 4."),
        (3, machine(2), "each job gets whole CPUs, and there are 2 CPUs, 0 GPUs. At most 2."),
    ],
    ids=["gpus", "cpus"],
)
def test_more_than_there_is_room_for_is_refused(wanted: int, whole: Machine, said: str):
    with pytest.raises(UserError, match="jobs_at_once") as caught:
        of_one(wanted, whole)
    assert str(caught.value).endswith(said)


def test_a_cluster_is_divided_by_whole_nodes():
    cluster = nodes((0, 0), (8, 2), (8, 2), (4, 1))
    found = of_several(2, cluster, alike=False)
    assert [part.nodes for part in found] == [("n1", "n3"), ("n2",)]
    assert [part.machine.gpus for part in found] == [3, 2]
    assert [part.nodes for part in of_several("auto", nodes((2, 0), (2, 0)))] == [("n0",), ("n1",)]


def test_what_is_compared_by_speed_needs_the_same_in_each_part():
    uneven = nodes((8, 2), (8, 1))
    with pytest.raises(UserError, match="the nodes are not alike, and jobs are compared by speed"):
        of_several(2, uneven)
    assert len(of_several("auto", uneven)) == 1
    assert len(of_several("auto", uneven, alike=False)) == 2


def test_a_run_in_a_part_asks_ray_for_that_alone(monkeypatch: pytest.MonkeyPatch):
    options = RayOptions(name="local")
    first, second = parts.of_machine(machine(8, 4), 2)
    kept = kept_to(options, second)
    assert (kept.num_cpus, kept.num_gpus, kept.nodes) == (4, 2, [])
    assert kept.object_store_gb == pytest.approx(0.3 * 32 * GIB / 1e9)
    monkeypatch.delenv(VISIBLE, raising=False)
    assert visible(second) == {VISIBLE: "2,3"}
    monkeypatch.setenv(VISIBLE, "7,GPU-abc,5,4")
    assert [visible(part)[VISIBLE] for part in (first, second)] == ["7,GPU-abc", "5,4"]
    [node, _] = of_several(2, nodes((2, 0), (2, 0)))
    joined = kept_to(RayOptions(name="cluster", address="a:1"), node)
    assert (joined.nodes, joined.num_cpus) == (["n0"], None)
    assert visible(node) == {}
