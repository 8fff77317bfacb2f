"""Parses the texts of `filter.keep` into Ray Data expressions."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from imagepipe.errors import UserError, one_line, shown

if TYPE_CHECKING:
    from ray.data.expressions import Expr

EXAMPLE = "Write one such as \"score > 20 and animal != 'cat'\"."
ALLOWED = (
    "It may hold columns, numbers and texts, compared, with and, or, not, in, + - * /, "
    "col('a name') and float(column)."
)
OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.And: operator.and_,
    ast.Or: operator.or_,
    ast.In: lambda left, right: left.is_in(right),
    ast.NotIn: lambda left, right: left.not_in(right),
    ast.Is: lambda left, _: left.is_null(),
    ast.IsNot: lambda left, _: left.is_not_null(),
}


@dataclass(frozen=True)
class Rule:
    """`expression` reads `columns`; those in `numbers` are read as numbers, as `float(NAME)`."""

    expression: Expr
    columns: tuple[str, ...]
    numbers: tuple[str, ...]


@lru_cache(maxsize=8)
def parsed(text: str) -> Rule:
    """Parse `text`, in Python's grammar: comparisons of columns and constants, and, or, not, in,
    + - * /.

    A column whose name is no identifier is `col("its name")`; `float(column)` is the number in a
    text. Raises UserError for anything else: no part of `text` is run.
    """
    reader = _Reader(text.strip())
    try:
        expression = reader.visit(ast.parse(text.strip(), mode="eval").body)
        expression.to_pyarrow()
    except (SyntaxError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        raise refused("keep", text, f"is not an expression ({one_line(error)})", EXAMPLE) from error
    except (RecursionError, MemoryError) as error:
        raise refused("keep", text, "is too long or too deeply nested", EXAMPLE) from error
    return Rule(expression, tuple(reader.columns), tuple(reader.numbers))


class _Reader(ast.NodeVisitor):
    """Turns a syntax tree into an expression; collects `columns` and `numbers`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.columns: dict[str, None] = {}
        self.numbers: dict[str, None] = {}

    def generic_visit(self, tree: ast.AST) -> Any:
        part = ast.get_source_segment(self.text, tree) or type(tree).__name__
        raise refused("keep", self.text, f"may not hold {shown(part, 60)}", ALLOWED)

    def visit_Name(self, tree: ast.Name) -> Any:
        return self._column(tree.id)

    def visit_Constant(self, tree: ast.Constant) -> Any:
        from ray.data.expressions import lit

        if not isinstance(tree.value, str | int | float):
            return self.generic_visit(tree)
        return lit(tree.value)

    def visit_List(self, tree: ast.List) -> Any:
        return self._list(tree)

    def visit_Tuple(self, tree: ast.Tuple) -> Any:
        return self._list(tree)

    def _list(self, tree: ast.List | ast.Tuple) -> Any:
        """After `in`."""
        try:
            values = list(ast.literal_eval(tree))
        except (ValueError, TypeError):
            values = [None]
        if not all(isinstance(value, str | int | float) for value in values):
            return self.generic_visit(tree)
        return values

    def visit_UnaryOp(self, tree: ast.UnaryOp) -> Any:
        from ray.data.expressions import lit

        if isinstance(tree.op, ast.Not):
            return ~self.visit(tree.operand)
        if isinstance(tree.op, ast.USub):
            return lit(0.0) - self._number(tree.operand)
        return self.generic_visit(tree)

    def visit_BoolOp(self, tree: ast.BoolOp) -> Any:
        found, *others = map(self.visit, tree.values)
        for other in others:
            found = OPERATORS[type(tree.op)](found, other)
        return found

    def visit_BinOp(self, tree: ast.BinOp) -> Any:
        if type(tree.op) not in OPERATORS:
            return self.generic_visit(tree)
        return OPERATORS[type(tree.op)](self._number(tree.left), self._number(tree.right))

    def visit_Compare(self, tree: ast.Compare) -> Any:
        """Also `0 < score < 5`, and `score is None`."""
        pairs, left = [], tree.left
        for kind, right in zip(tree.ops, tree.comparators, strict=True):
            is_none = isinstance(right, ast.Constant) and right.value is None
            if isinstance(kind, ast.Is | ast.IsNot) != is_none:
                return self.generic_visit(tree)
            other = None if is_none else self.visit(right)
            pairs.append(OPERATORS[type(kind)](self.visit(left), other))
            left = right
        found, *others = pairs
        for other in others:
            found = found & other
        return found

    def visit_Call(self, tree: ast.Call) -> Any:
        from ray.data.expressions import ColumnExpr

        name = tree.func.id if isinstance(tree.func, ast.Name) else None
        if len(tree.args) == 1 and not tree.keywords:
            inner = tree.args[0]
            if name == "col" and isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                return self._column(inner.value)
            found = self.visit(inner) if name == "float" else None
            if isinstance(found, ColumnExpr) and found.name in self.columns:
                return self._float(str(found.name))
        return self.generic_visit(tree)

    def _number(self, tree: ast.AST) -> Any:
        """In float64, because Arrow's integers divide to integers and overflow."""
        from ray.data.expressions import ColumnExpr, lit

        if isinstance(tree, ast.Constant) and type(tree.value) is int:
            return lit(float(tree.value))
        found = self.visit(tree)
        if isinstance(found, ColumnExpr) and found.name in self.columns:
            return self._float(str(found.name))
        return found

    def _float(self, name: str) -> Any:
        from ray.data.expressions import col

        self.numbers[name] = None
        return col(f"float({name})")

    def _column(self, name: str) -> Any:
        from ray.data.expressions import col

        self.columns[name] = None
        return col(name)


def refused(key: str, value: object, problem: str, remedy: str) -> UserError:
    """The error for `filter.<key>`."""
    return UserError(field=f"filter.{key}", value=value, problem=problem, remedy=remedy)
