"""Every message that a person can meet, with its remedy, read from the code that says it.

A message is a call of `UserError`, `RunFailed` or `Interrupted`, or of what makes one of them out
of the `problem` that it is given. What is only known in a run stands as a name in angle brackets.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from helpers import ROOT

PACKAGE = ROOT / "src" / "imagepipe"
Maker = ast.FunctionDef | ast.ClassDef
ENDS = ("RunFailed", "Interrupted")
PLACEHOLDER = re.compile(r"⟨([^⟩]*)⟩")
MOST = 8  # texts of one argument
# What is told a message's problem alone, and the field that it ends up with.
FIELDS = {"Unreadable": "dataset.path", "Misfit": "resources.⟨stage⟩.⟨key⟩"}
PLAIN = ("one_line", "with_class", "reason", "did_you_mean", "listed", "shown")  # say what they get


@dataclass(frozen=True)
class Message:
    """`field` is empty where the message is about a whole run. `place` is that in the code."""

    place: str
    field: str
    problem: str
    remedy: str

    @property
    def words(self) -> list[str]:
        """What is always said of the problem, longest first; of one without such the remedy's."""
        said = PLACEHOLDER.split(self.problem)[::2]
        found = [part.strip(" .,:;()\n") for part in said]
        return sorted((part for part in found if len(part) > 3), key=len, reverse=True)


@cache
def messages() -> tuple[Message, ...]:
    """All, in the order of the code, but for those that say no more than something else said."""
    found = itertools.chain.from_iterable(
        module(path).messages()
        for path in sorted(PACKAGE.rglob("*.py"))
        if re.search("raise|problem", path.read_text("utf-8"))
    )
    return tuple(one for one in dict.fromkeys(found) if one.words)


@cache
def _trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text("utf-8")) for path in PACKAGE.rglob("*.py")}


@cache
def _makers(path: Path | None) -> dict[str, Maker]:
    """By their names, those of one file."""
    return {
        node.name: node
        for node in (ast.walk(_trees()[path]) if path else ())
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and "problem" in _parameters(node)
    }


def _imported(tree: ast.Module) -> dict[str, Path]:
    """The file of the package of each name that is imported from it, or that is a module."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("imagepipe"):
            folder = PACKAGE.joinpath(*(node.module or "").split(".")[1:])
            for one in node.names:
                places = (folder / f"{one.name}.py", folder.with_suffix(".py"))
                for path in filter(_trees().get, (*places, folder / "__init__.py")):
                    found.setdefault(one.asname or one.name, path)
    return found


def _parameters(node: Maker) -> list[str]:
    """The names of what a function takes, or of what a class is made with."""
    if made := next(iter(_functions(node)), None):
        taken = made.args.posonlyargs + made.args.args + made.args.kwonlyargs
        return [one.arg for one in taken if one.arg not in ("self", "cls")]
    parts = [one.target for one in node.body if isinstance(one, ast.AnnAssign)]
    return [one.id for one in parts if isinstance(one, ast.Name)]


@cache
def module(path: Path) -> Module:
    return Module(path)


class Module:
    """One file of the package: who says messages in it, and the messages."""

    def __init__(self, path: Path) -> None:
        self.path, self.tree = path, _trees()[path]
        self.globals, self.imported = _assigned(self.tree.body), _imported(self.tree)
        self.functions: dict[str, list[ast.FunctionDef]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef):
                self.functions.setdefault(node.name, []).append(node)

    def messages(self) -> Iterator[Message]:
        for function, call in _calls(self.tree):
            name = call.func.id if isinstance(call.func, ast.Name) else ""
            if name in ENDS:
                for text in self.texts(call.args[0], function):
                    yield Message(self.place(call), "", text, "")
            elif maker := self.maker(call.func):
                yield from self.of(call, function, maker)

    def maker(self, called: ast.expr) -> Maker | None:
        """What makes a message of its `problem`, where that is what is called."""
        if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
            return _makers(self.imported.get(called.value.id)).get(called.attr)
        name = called.id if isinstance(called, ast.Name) else ""
        return _makers(self.imported.get(name, self.path)).get(name)

    def of(
        self, call: ast.Call, function: ast.FunctionDef | None, maker: Maker
    ) -> Iterator[Message]:
        problem = _given(call, maker).get("problem")
        if problem is None or _handed_on(problem, function):
            return
        fields = self.part("field", call, function, maker)
        remedies = self.part("remedy", call, function, maker)
        problems = self.texts(problem, function)
        if len(problems) != len(remedies):
            remedies = [" Or: ".join(remedies)] * len(problems)
        for one, remedy in zip(problems, remedies, strict=True):
            yield Message(self.place(call), fields[0], one, remedy)

    def part(
        self, name: str, call: ast.Call, function: ast.FunctionDef | None, maker: Maker
    ) -> list[str]:
        """The field or the remedy of a message: that which is given, or that of its maker."""
        given = _given(call, maker)
        if name in given and (name == "remedy" or maker.name == "UserError"):
            return self.texts(given[name], function)
        there = module(self.imported.get(_called(call), self.path))
        for inside, inner in _calls(maker):
            if below := there.maker(inner.func):
                said = there.part(name, inner, inside, below)
                return [self.filled(text, given, function) for text in said]
        return (
            [self.filled(FIELDS.get(maker.name, ""), given, function)] if name == "field" else [""]
        )

    def filled(
        self, text: str, given: dict[str, ast.expr], function: ast.FunctionDef | None
    ) -> str:
        """`text` with what is `given` for the placeholders that are called so."""

        def told(found: re.Match[str]) -> str:
            return self.texts(given[found[1]], function)[0] if found[1] in given else found[0]

        return PLACEHOLDER.sub(told, text)

    def place(self, node: ast.Call) -> str:
        return f"{self.path.relative_to(PACKAGE).as_posix()}:{node.lineno}"

    def texts(self, node: ast.expr, function: ast.FunctionDef | None) -> list[str]:
        """What `node` may say, with placeholders for what the code alone does not tell."""
        if isinstance(node, ast.Constant):
            return [] if node.value is None else [str(node.value)]
        if isinstance(node, ast.JoinedStr):
            return self.joined(node.values, function)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return self.joined([node.left, node.right], function)
        if isinstance(node, ast.IfExp | ast.BoolOp):
            either = node.values if isinstance(node, ast.BoolOp) else [node.body, node.orelse]
            return [text for one in either for text in self.texts(one, function)]
        return self.looked_up(node, function)

    def looked_up(self, node: ast.expr, function: ast.FunctionDef | None) -> list[str]:
        """As `texts`, of what says nothing by itself."""
        if isinstance(node, ast.Name):
            local = _locals(function).get(node.id, []) if function else []
            return self.named(node, local, function)
        if isinstance(node, ast.Subscript):
            return self.texts(node.value, function)
        if isinstance(node, ast.Call):
            return self.returned(node, function)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            path = self.imported.get(node.value.id)
            if path and node.attr in module(path).globals:
                return module(path).texts(ast.Name(node.attr), None)
        return [f"⟨{_named(node)}⟩"]

    def named(
        self, node: ast.Name, local: list[ast.expr], function: ast.FunctionDef | None
    ) -> list[str]:
        """What a name holds: of the function, of the file, or of the one that it is from."""
        path = self.imported.get(node.id, self.path)
        values = local or module(path).globals.get(node.id, [])
        if not values or any(f"id='{node.id}'" in ast.dump(value) for value in values):
            return [f"⟨{_named(node)}⟩"]
        there = self if local else module(path)
        found = [text for value in values for text in there.texts(value, function)]
        return found[:MOST] or [f"⟨{_named(node)}⟩"]

    def returned(self, call: ast.Call, function: ast.FunctionDef | None) -> list[str]:
        """The texts that a function of the package returns, or a method of a text."""
        called = call.func
        if isinstance(called, ast.Attribute) and called.attr in ("strip", "rstrip", "partition"):
            return self.texts(called.value, function)
        there = module(self.imported.get(_called(call), self.path))
        name = called.attr if isinstance(called, ast.Attribute) else _called(call)
        found = [] if name in PLAIN else there.functions.get(name, [])
        ends = [(one, inside) for inside in found for one in ast.walk(inside)]
        values = [
            text
            for end, inside in ends
            if isinstance(end, ast.Return) and end.value
            for text in there.texts(end.value, inside)
        ]
        worded = [text for text in values if PLACEHOLDER.sub("", text).strip() not in ("", "None")]
        return list(dict.fromkeys(worded))[:MOST] or [f"⟨{_named(call)}⟩"]

    def joined(self, parts: list[ast.expr], function: ast.FunctionDef | None) -> list[str]:
        every = [
            [f"⟨{_named(part.value)}⟩"]
            if isinstance(part, ast.FormattedValue)
            and not isinstance(part.value, ast.IfExp | ast.JoinedStr)
            else self.texts(part.value if isinstance(part, ast.FormattedValue) else part, function)
            for part in parts
        ]
        return ["".join(texts) for texts in itertools.islice(itertools.product(*every), MOST)]


def _calls(
    node: ast.AST, function: ast.FunctionDef | None = None
) -> Iterator[tuple[ast.FunctionDef | None, ast.Call]]:
    """All calls below `node`, each with the function that it stands in."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield function, child
        inside = child if isinstance(child, ast.FunctionDef) else function
        yield from _calls(child, inside)


def _assigned(nodes: Iterator[ast.AST] | list[ast.stmt]) -> dict[str, list[ast.expr]]:
    found: dict[str, list[ast.expr]] = {}
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, []).append(node.value)
    return found


@cache
def _locals(function: ast.FunctionDef) -> dict[str, list[ast.expr]]:
    return _assigned(ast.walk(function))


def _handed_on(problem: ast.expr, function: ast.FunctionDef | None) -> bool:
    """Whether it is what another call has said already."""
    if isinstance(problem, ast.Attribute):
        return problem.attr == "problem"
    taken = _parameters(function) if function else []
    return isinstance(problem, ast.Name) and problem.id == "problem" and "problem" in taken


def _given(call: ast.Call, maker: Maker) -> dict[str, ast.expr]:
    """What a call gives to its maker, by the names of parameters, and what is so by default."""
    taken, made = _parameters(maker), next(iter(_functions(maker)), None)
    defaults = made.args.defaults if made else []
    given: dict[str, ast.expr] = dict(zip(taken[::-1], defaults[::-1], strict=False))
    given |= dict(zip(taken, call.args, strict=False))
    return given | {one.arg: one.value for one in call.keywords if one.arg}


def _functions(maker: Maker) -> list[ast.FunctionDef]:
    nodes = [maker] if isinstance(maker, ast.FunctionDef) else maker.body
    found = [one for one in nodes if isinstance(one, ast.FunctionDef)]
    return [one for one in found if one is maker or one.name == "__init__"]


def _called(call: ast.Call) -> str:
    """The name that leads to what is called."""
    called = call.func.value if isinstance(call.func, ast.Attribute) else call.func
    return called.id if isinstance(called, ast.Name) else ""


def _named(node: ast.expr) -> str:
    """A short name for what is only known in a run."""
    if isinstance(node, ast.Call) and _called(node) == "did_you_mean":
        return "guess"
    if isinstance(node, ast.Call) and (node.args or isinstance(node.func, ast.Attribute)):
        return _named(node.args[0] if node.args else node.func.value)  # type: ignore[attr-defined]
    if isinstance(node, ast.Subscript):
        return _named(node.value)
    name = getattr(node, "id", "").lower() or getattr(node, "attr", "...")
    return {"__name__": "class", "strerror": "reason"}.get(name, name.strip("_"))
