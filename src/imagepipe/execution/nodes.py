"""Whether each node of a cluster can read what the run reads, and write to its store.

A file on the disk of one machine is the classic mistake: other nodes do not see it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagepipe import sources
from imagepipe.assets import PREFIX, folder
from imagepipe.config import Config, paths
from imagepipe.diffusion import inputs
from imagepipe.errors import UserError, one_line
from imagepipe.resources.machine import living
from imagepipe.stages import engines
from imagepipe.store import Store, reason

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

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


def check(config: Config, store: Store, tables: sources.Tables | None) -> None:
    """Try on every living node of the cluster what the run will do there.

    `tables` is null if none is read. Raises UserError if a node does not find a file, cannot write,
    or writes to a place that this machine does not see. Nodes that join later are not tried.
    """
    import ray

    nodes = {node["NodeID"]: node for node in living(ray.nodes(), config.ray.nodes)}
    asked = list(needs(config, tables))
    marks = {node: f".imagepipe-node-{node}" for node in nodes}
    answers = {node: _on(node).remote(store, mark, asked) for node, mark in marks.items()}
    try:
        for node, answer in answers.items():
            name = nodes[node]["NodeManagerAddress"]
            check_answer(config, store, marks[node], name, _answer(config, name, answer))
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
    """Run `tried` as a task on `node`, without taking resources from the run."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    where = NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=where, max_retries=0)(tried)


def tried(store: Store, mark: str, needs: list[Need]) -> Answer:
    """The first file that is missing here, and why nothing can be written from here."""
    missing = next((need for need in needs if not need.there), None)
    try:
        store.write(mark, b"")
    except (OSError, UserError) as error:
        return missing, reason(error)
    return missing, None


def check_answer(config: Config, store: Store, mark: str, node: str, answer: Answer) -> None:
    """Raise UserError if the `node` lacks something, or its `mark` is not in the `store`."""
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
            problem=f"is not a place for the node {node} to write to ({problem})",
            remedy=f"Set sink.path to {SHARED}; keys come from each node's environment.",
        )


def _of_tables(tables: sources.Tables) -> Iterator[Need]:
    for field, table in (
        ("dataset.path", tables.left),
        # What is broadcast is read on this machine.
        *(("dataset.join.path", j.table) for j in tables.joins if j.method == "shuffle"),
    ):
        for file in table.files[:FILES_OF_A_TABLE] if table.filesystem is not None else ():
            yield Need(field, table.filesystem, file.path)


def needs(config: Config, tables: sources.Tables | None) -> Iterator[Need]:
    """The files of this machine that nodes read; embedded and hub models are available
    everywhere.
    """
    if tables is not None:
        yield from _of_tables(tables)
        yield from _pictures(config, tables)
    from pyarrow.fs import LocalFileSystem

    local = LocalFileSystem()
    if engines.of("llm", config.llm).processor and (config.llm.path or "").startswith(PREFIX):
        # Ray Data's processor takes the folder as it is called on this machine.
        yield Need("llm.path", local, str(folder(config.llm.path or "")))
    scorers = {f"scorer.{name}": one for name, one in config.scorer.items()}
    for field, section in {"llm": config.llm, "model": config.model, **scorers}.items():
        for one in paths.named(section):
            where = Path(one.path).expanduser()
            if not one.path.startswith(PREFIX) and where.exists():
                yield Need(f"{field}.{one.key}", local, str(where))


def _pictures(config: Config, tables: sources.Tables) -> Iterator[Need]:
    """The input pictures of the first rows, if they are files."""
    names = config.model.pictures
    for key, home in tables.homes(names).items():
        for cell in sources.first_cells(tables, names[key], FILES_OF_A_TABLE):
            with suppress(OSError):  # its row will fail, on any node
                place = inputs.file_of(cell, home)
                if place and (need := Need(f"model.columns.{key}", *place)).there:
                    yield need


def kept_to_nodes(options: Any, nodes: Sequence[str]) -> Any:
    """Ray Data's `options` for a run that uses only these nodes."""
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
