"""That other people's private names stand in `compat/` alone, found by reading the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import imagepipe

PACKAGE = Path(imagepipe.__file__).parent
LIBRARIES = """accelerate datasets diffusers hydra hydra_plugins huggingface_hub mlflow omegaconf
    optuna peft psutil pynvml ray torch torchao transformers vllm""".split()
# Names with an underscore that are documented: Python's own, and the key of Hydra's `instantiate`.
PUBLIC = {"_replace", "_asdict", "_fields", "_target_", "_exit"}
OURS = {"self", "cls"}


def private(code: str) -> list[str]:
    """The private names of others in `code`, as they stand there."""
    nodes = [*ast.walk(ast.parse(code))]
    imported = _imported(nodes)
    return [name for node in nodes for name in _of(node, imported)]


def _imported(nodes: Sequence[ast.AST]) -> set[str]:
    """What a file calls the modules and classes of the libraries."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or ""] * len(node.names)
            for module, alias in zip(modules, node.names, strict=True):
                if module.partition(".")[0] in LIBRARIES:
                    found.add(alias.asname or alias.name.partition(".")[0])
    return found


def _of(node: ast.AST, imported: set[str]) -> Iterator[str]:
    match node:
        case ast.ImportFrom(module=str(module)):
            names = [f"{module}.{alias.name}" for alias in node.names]
            yield from (name for name in names if _in_private_module(name))
        case ast.Import():
            yield from (alias.name for alias in node.names if _in_private_module(alias.name))
        case ast.Attribute(value=value, attr=attr):
            changed = isinstance(node.ctx, ast.Store) and _root(value) in imported
            if (_is_private(attr) and _root(value) not in OURS) or changed:
                yield ast.unparse(node)
        case ast.Call(func=ast.Name(id="getattr" | "hasattr" | "setattr")):
            name = node.args[1]
            if isinstance(name, ast.Constant) and _is_private(name.value):
                yield ast.unparse(node)
        case ast.Constant(value=str(text)) if text.isprintable() and " " not in text:
            module = text.replace(":", ".")
            if module.partition(".")[0] in LIBRARIES and _in_private_module(module):
                yield text


def _root(node: ast.AST) -> str | None:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__") and name not in PUBLIC


def _in_private_module(name: str) -> bool:
    return name.partition(".")[0] in LIBRARIES and any(map(_is_private, name.split(".")))


@pytest.mark.parametrize(
    ("code", "found"),
    [
        pytest.param("import ray._private.utils", ["ray._private.utils"], id="import"),
        pytest.param("from ray._private import utils", ["ray._private.utils"], id="from"),
        pytest.param("from ray.data import _internal", ["ray.data._internal"], id="module"),
        pytest.param("def f(data):\n data._plan.x", ["data._plan"], id="attribute"),
        pytest.param(
            "getattr(pipe, '_blocks', [])", ["getattr(pipe, '_blocks', [])"], id="getattr"
        ),
        pytest.param(
            "from hydra.core import Store\nStore.__deepcopy__ = f", ["Store.__deepcopy__"], id="set"
        ),
        pytest.param("find('ray._private.node:Node')", ["ray._private.node:Node"], id="text"),
        pytest.param("self._stack.close(); os._exit(1); row._replace(a=1)", [], id="own"),
        pytest.param("context = ray.data.DataContext(); context.verbose = 1", [], id="setting"),
    ],
)
def test_private_names_are_seen_in_every_shape(code, found):
    assert private(code) == found


def test_private_names_of_others_stand_in_compat_alone():
    files = [file for file in PACKAGE.rglob("*.py") if file.parent.name != "compat"]
    assert len(files) > 50
    found = {str(file.relative_to(PACKAGE)): private(file.read_text("utf-8")) for file in files}
    assert {file: names for file, names in found.items() if names} == {}
