"""The rooms of the package: what the listing shows, and imports that run one way."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

from helpers import ROOT

PACKAGE = ROOT / "src" / "imagepipe"
MOST_LINES = 300
MOST_FLOORS = 12
MOST_FLAT = 6


def order() -> list[str]:
    """The rooms as CONTRIBUTING's table has them; those of one row stand beside each other."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(
        r"^\| (`[^|]*`) \|", text.split("| package in", 1)[1].split("\n\n", 1)[0], re.M
    )
    rooms = [re.findall(r"`(\w+)(?:\.py|/)`", row) for row in rows]
    return [room for row in rooms for room in row]


def room_of(module: str) -> str:
    """`imagepipe.sink.writer` stands in the room `sink`."""
    return [*module.split("."), "__init__"][1]


@cache
def imports() -> dict[str, set[str]]:
    """{room: the rooms that it imports}, also inside functions; not for types alone."""
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).with_suffix("").parts[0]
        tree = ast.parse(path.read_text())
        found.setdefault(room, set()).update(map(room_of, _modules(tree)))
    return {room: {other for other in others if other != room} for room, others in found.items()}


def _modules(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.ImportFrom) and (child.module or "").startswith("imagepipe"):
            names = [f"{child.module}.{alias.name}" for alias in child.names]
            yield from names if child.module == "imagepipe" else [str(child.module)]
        elif isinstance(child, ast.Import):
            yield from (a.name for a in child.names if a.name.startswith("imagepipe."))
        yield from _modules(child)


def is_room(name: str) -> bool:
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()


def test_the_table_of_contributing_has_every_room_and_no_other():
    there = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    there |= {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert set(order()) == there


def test_a_room_imports_only_rooms_that_stand_above_it():
    rank = {room: place for place, room in enumerate(order())}
    wrong = [
        f"{room} imports {other}"
        for room, others in imports().items()
        for other in sorted(filter(is_room, others))
        if room != "__init__" and other != "__init__" and rank[other] >= rank[room]
    ]
    assert wrong == []


def test_the_rooms_stack_few_floors_high():
    @cache
    def floor(room: str) -> int:
        return 1 + max(
            (floor(other) for other in imports().get(room, ()) if is_room(other)), default=0
        )

    assert max(map(floor, imports())) <= MOST_FLOORS


def test_few_modules_lie_flat_in_the_package():
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_FLAT


def test_a_long_file_says_at_its_top_why_it_is_one():
    long = {}
    for path in sorted((ROOT / "src").rglob("*.py")):
        text = path.read_text()
        top = ast.get_docstring(ast.parse(text)) or ""
        if text.count("\n") > MOST_LINES and "One file, since" not in top:
            long[str(path.relative_to(ROOT / "src"))] = text.count("\n")
    assert not long, long
