"""Tests call the package as its own modules do: none reaches for a private name of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from helpers import TESTS


def private_names(code: str) -> Iterator[str]:
    """Those of imagepipe's modules that `code` imports, reads or replaces."""
    tree = ast.parse(code)
    ours: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "imagepipe":
            yield from (one.name for one in node.names if is_private(one.name))
            ours |= {one.asname or one.name for one in node.names}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr=attr) if name in ours:
                read = attr
            case ast.Call(args=[ast.Name(id=name), ast.Constant(value=str(attr)), *_]) if (
                name in ours
            ):
                read = attr  # of monkeypatch.setattr, or getattr
            case _:
                continue
        if is_private(read):
            yield f"{name}.{read}"


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("_")  # __file__ and _target_ are not


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("from imagepipe.cli.plan import main, _trial", ["_trial"]),
        ("from imagepipe.cli import plan\nplan._trial()", ["plan._trial"]),
        ("from imagepipe.cli import plan as p\nrefusal(p._trial, 1)", ["p._trial"]),
        ("from imagepipe import x\nm.setattr(x, '_known', {})", ["x._known"]),
        ("from imagepipe import x\nx.y(x.__file__, x._target_)\nimport json\njson._d", []),
    ],
    ids=["import", "call", "renamed", "replaced", "none"],
)
def test_a_private_name_is_found(code: str, found: list[str]):
    assert list(private_names(code)) == found


def test_no_test_reaches_for_a_private_name():
    found = {
        str(path.relative_to(TESTS)): names
        for path in sorted(TESTS.rglob("*.py"))
        if (names := [*private_names(path.read_text("utf-8"))])
    }
    assert found == {}
