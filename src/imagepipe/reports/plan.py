"""The output of `imagepipe plan`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from imagepipe.errors import figure
from imagepipe.reports import cost


def table(made: dict[str, Any]) -> Iterator[str]:
    """The lines that `imagepipe plan` prints."""
    yield f"rows       {made['rows']} of columns {', '.join(made['columns'])}"
    for join in made["joins"]:
        yield f"join       {join}"
    for note in made["notes"]:
        yield f"note       {note}"
    if made["cluster"]:
        yield f"cluster    {made['cluster']}"
    yield (
        f"blocks     of {made['rows_per_block']} rows; {figure(made['waiting_gb'], 2)} GB at most "
        "wait in the object store"
    )
    for stage in made["stages"]:
        yield f"{stage['name']:<10} {', '.join(stage['reads'])} -> {', '.join(stage['adds'])}"
        yield f"           {_where(stage)}"
    yield "write      pictures, table and rejected rows; tasks"
    yield from f"resources  {made['resources']}".replace("\n", f"\n{'':<11}").splitlines()
    expected = made["expected"]
    if expected is None:
        yield "expected   unknown: no such run under outputs/ yet; --calibrate draws a few rows"
    else:
        yield (
            f"expected   {figure(expected['images_per_s'])} pictures/s, "
            f"{expected['seconds']:.0f} s in all, by {expected['source']}"
        )
        if spent := cost.said({"per_1000_pictures": made["cost_per_1000_pictures"]}):
            yield f"cost       {spent}"


def _where(stage: dict[str, Any]) -> str:
    if stage["share"] is None:
        return "tasks"
    share = stage["share"]
    nodes: dict[str, int] = {}
    for place in stage["places"]:
        gpus = "".join(f" GPU {gpu}" for gpu in place["gpus"])
        key = f"node {place['node']}{gpus}"
        nodes[key] = nodes.get(key, 0) + 1
    where = ", ".join(f"{count} on {place}" for place, count in nodes.items())
    memory = f", {share['memory_gb']:g} GiB of memory" if share["memory_gb"] else ""
    weights = f", {figure(stage['weights_gb'])} GB of weights" if stage["weights_gb"] else ""
    return (
        f"{share['pool']} actors of {share['num_cpus']:g} CPUs and {share['num_gpus']:g} GPUs"
        f"{memory}, batches of {share['batch_size']}{weights}: {where}"
    )
