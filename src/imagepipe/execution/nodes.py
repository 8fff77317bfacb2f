"""Whether each node of a running cluster can do its part: read what the run reads, write to its
store. A file on one machine's disk is the classic mistake: the others do not see it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagepipe.assets import PREFIX, folder
from imagepipe.config import Config
from imagepipe.errors import UserError, one_line
from imagepipe.resources.machine import living
from imagepipe.stages import engines
from imagepipe.store import Store, reason

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

    from imagepipe.sources import Tables

FILES_OF_A_TABLE = 4  # enough to see whether a node reaches their place
PATIENCE_S = 120.0  # for a node to unpack the package and start a process
SHARED = "a folder that all nodes share under one name, or s3://bucket/prefix"


@dataclass(frozen=True)
class Need:
    """A file or folder that a stage reads; `field` is the configuration key that names it."""

    field: str
    filesystem: FileSystem
    path: str

    @property
    def there(self) -> bool:
        return self.filesystem.get_file_info(self.path).type.name != "NotFound"


NODE_ID = "ray.io/node-id"  # the label that Ray gives each node
Answer = tuple[Need | None, str | None]  # what is missing, and why nothing can be written


def check(config: Config, store: Store, tables: Tables | None) -> None:
    """Try on every living node of the connected cluster what the run will do there.

    `tables` is null where none is read. Raises UserError where a node does not find a file, cannot
    write, or writes to a place that this machine does not see. Nodes that join later are not tried.
    """
    import ray

    nodes = {node["NodeID"]: node for node in living(ray.nodes(), config.ray.nodes)}
    needs = list(_needs(config, tables))
    marks = {node: f".imagepipe-node-{node}" for node in nodes}
    answers = {node: _on(node).remote(store, mark, needs) for node, mark in marks.items()}
    try:
        for node, answer in answers.items():
            name = nodes[node]["NodeManagerAddress"]
            _raise(config, store, marks[node], name, _answer(config, name, answer))
    finally:
        for mark in marks.values():
            if store.exists(mark):
                store.remove(mark)


def _answer(config: Config, node: str, answer: Any) -> Answer:
    import ray

    try:
        return ray.get(answer, timeout=PATIENCE_S)
    except ray.exceptions.RayError as error:  # a package that is not there, no room to unpack
        raise UserError(
            field="ray.address",
            value=config.ray.address,
            problem=f"the node {node} cannot run imagepipe ({one_line(error)})",
            remedy="Install the packages that imagepipe needs on every node.",
        ) from error


def _on(node: str) -> Any:
    """`_try` as a task of the node `node`, which takes nothing from what the run may use."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    where = NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=where, max_retries=0)(_try)


def _try(store: Store, mark: str, needs: list[Need]) -> Answer:
    """The first file that is not here, and why nothing can be written from here."""
    missing = next((need for need in needs if not need.there), None)
    try:
        store.write(mark, b"")
    except (OSError, UserError) as error:
        return missing, reason(error)
    return missing, None


def _raise(config: Config, store: Store, mark: str, node: str, answer: Answer) -> None:
    missing, unwritable = answer
    if missing is not None:
        raise UserError(
            field=missing.field,
            value=missing.path,
            problem=f"is here, but not on the node {node}",
            remedy=f"Put it into {SHARED}.",
        )
    field = "hydra.run.dir" if config.sink.path is None else "sink.path"
    if unwritable is not None or not store.exists(mark):
        problem = unwritable or "what it writes there is not to be seen from here"
        raise UserError(
            field=field,
            value=store.url,
            problem=f"is no place for the node {node} to write to ({problem})",
            remedy=f"Set sink.path to {SHARED}; keys come from each node's environment.",
        )


def _of_tables(tables: Tables) -> Iterator[Need]:
    for field, table in (
        ("dataset.path", tables.left),
        # What is broadcast is read on this machine.
        *(("dataset.join.path", j.table) for j in tables.joins if j.method == "shuffle"),
    ):
        for file in table.files[:FILES_OF_A_TABLE] if table.filesystem is not None else ():
            yield Need(field, table.filesystem, file.path)


def _needs(config: Config, tables: Tables | None) -> Iterator[Need]:
    from pyarrow.fs import LocalFileSystem

    if tables is not None:
        yield from _of_tables(tables)
    if engines.of("llm", config.llm).processor and (config.llm.path or "").startswith(PREFIX):
        # Ray Data's processor takes the folder as it is called on this machine.
        yield Need("llm.path", LocalFileSystem(), str(folder(config.llm.path or "")))
    for field, path in _models(config):
        if path and not path.startswith(PREFIX) and Path(path).expanduser().exists():
            yield Need(field, LocalFileSystem(), str(Path(path).expanduser()))


def _models(config: Config) -> Iterator[tuple[str, str | None]]:
    """What may be a folder on this machine; else it is fetched from the hub where it is needed."""
    model = config.model
    yield "llm.path", config.llm.path
    yield "model.path", model.path
    yield "model.config", model.config
    yield "model.vae", model.vae
    yield from ((f"model.parts.{name}.path", part.path) for name, part in model.parts.items())
    yield "model.controlnet", model.controlnet
    yield "model.ip_adapter.path", model.ip_adapter.path
    yield from (("model.loras", lora.path) for lora in model.loras)
    yield from (("model.textual_inversions", word.path) for word in model.textual_inversions)
    for name, scorer in config.scorer.items():
        yield f"scorer.{name}.path", scorer.path
        yield f"scorer.{name}.processor", scorer.processor


def kept_to_nodes(options: Any, nodes: Sequence[str]) -> Any:
    """Ray Data's `options` of a run whose tasks and processes are on these nodes alone."""
    if not hasattr(options, "label_selector"):
        raise UserError(
            field="ray.nodes",
            value=",".join(nodes),
            problem="this release of Ray cannot hold a run to some of a cluster's nodes",
            remedy="Install Ray 2.60, here and on the cluster, or leave it out; "
            "sweep.jobs_at_once needs it there.",
        )
    kept = copy.copy(options)
    kept.label_selector = {NODE_ID: f"in({','.join(nodes)})"}
    return kept
