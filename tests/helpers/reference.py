"""Writes docs/reference.md: commands, groups, choices, keys and the API, from the code.

And docs/messages.md, by `helpers.messages`.

`PYTHONPATH=tests python -m helpers.reference`.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import partial
from typing import Any, get_args, get_origin, get_type_hints

import omegaconf
import yaml
from helpers import ROOT, api_reference, messages

from imagepipe.cli import commands
from imagepipe.config import Config, Join, Share
from imagepipe.config.fields import check_bounds, check_choice
from imagepipe.stages import engines

PAGE = ROOT / "docs" / "reference.md"
HEAD = """# Reference

All commands, config groups with their choices, and keys; then the [Python API](#python).
`make reference` writes this page.
"""


def page() -> str:
    """The whole page, from what is installed and the checkout's `conf/`."""
    said = [HEAD, "## Commands", ""]
    rows = [(f"`imagepipe {name}`", one.what) for name, one in commands.COMMANDS.items()]
    said += [*_table(("command", "what it does"), rows), ""]
    sections = {one.name: get_type_hints(Config)[one.name] for one in fields(Config)}
    for name in ("experiment", *sections):
        if (ROOT / "conf" / name).is_dir():
            said += [f"## {name}", "", *_choices(name), ""]
            if name in sections:
                said += [*_keys(name, _section(sections[name])), ""]
        elif _section(sections[name]) is not None:
            said += [f"## {name}", "", *_keys(name, _section(sections[name])), ""]
    said += ["## The run itself", "", *_table(KEYS, list(_rows("", Config, deep=False))), ""]
    said += [part for one in api_reference.lines() for part in (one, "")]
    return "\n".join(said)


KEYS = ("key", "default", "what")
ELSEWHERE = (Join, Share)  # sections that several keys hold; their own keys are listed once


def _choices(group: str) -> list[str]:
    """The files of a group, each with what its first comment or its engine says."""
    rows = []
    for path in sorted((ROOT / "conf" / group).glob("*.yaml")):
        text = path.read_text("utf-8")
        comment = " ".join(re.match(r"((?:#[^\n]*\n)*)", text)[0].replace("#", " ").split())
        comment = re.sub(r"^@package \S+ ?", "", comment)
        held = yaml.safe_load(text) or {}
        path_said = held.get("path") if group in ("llm", "model", "scorer") else None
        told = comment or (f"`{path_said}`" if path_said else "")
        rows.append((f"`{group}={path.stem}`", told))
    return _table(("choice", "what"), rows)


def _section(kind: Any) -> Any:
    """The dataclass of a section; of a dict of them that of one."""
    if is_dataclass(kind):
        return kind
    return next((one for one in get_args(kind) if is_dataclass(one)), None)


def _keys(name: str, section: Any) -> list[str]:
    where = "stages.0" if name == "stages" else name
    return [inspect.getdoc(section) or "", "", *_table(KEYS, list(_rows(f"{where}.", section)))]


def _rows(prefix: str, section: Any, *, deep: bool = True) -> Iterator[tuple[str, str, str]]:
    said, types = comments(section), get_type_hints(section)
    for one in fields(section):
        inner = _section(types[one.name])
        key = f"`{prefix}{one.name}`"
        if inner is None:
            limits = _limits(one)
            text = "; ".join(filter(None, [said.get(one.name, ""), limits]))
            yield key, _default(one), text
        elif deep:
            told = said.get(one.name) or (inspect.getdoc(inner) or "").split("\n")[0]
            yield key, _default(one), told
            one_of = {list: ".0", dict: ".NAME"}.get(get_origin(types[one.name]), "")
            if not (one_of and inner in ELSEWHERE):
                yield from _rows(f"{prefix}{one.name}{one_of}.", inner)


def _default(one: Field[Any]) -> str:
    if one.default_factory is not MISSING:
        value = one.default_factory()
        return f"`{value}`" if value in ([], {}) else ""
    if one.default is MISSING or one.default == omegaconf.MISSING:
        return "required"
    return f"`{json.dumps(one.default)}`"


def _limits(one: Field[Any]) -> str:
    check = one.metadata.get("check")
    if not isinstance(check, partial):
        return ""
    if check.func is check_choice:
        return "one of " + ", ".join(f"`{choice}`" for choice in check.args[0])
    if check.func is check_bounds:
        least, most = check.args
        return f"{least} to {most}" if most != float("inf") else f"at least {least}"
    return "one of " + ", ".join(f"`{choice}`" for choice in engines.choices(check.args[0]))


def comments(section: Any) -> dict[str, str]:
    """What the source of a dataclass says of each field: the comment before it, or in its line.

    Of a field that it has from another, what that says where it says nothing itself.
    """
    found = comments(section.__base__) if is_dataclass(section.__base__) else {}
    return found | {name: said for name, said in _own_comments(section).items() if said}


def _own_comments(section: Any) -> dict[str, str]:
    source = inspect.getsource(section)
    lines, found, end = source.splitlines(), {}, 0
    tree = ast.parse(inspect.cleandoc(source)).body[0]
    assert isinstance(tree, ast.ClassDef)
    for part in tree.body:
        if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
            before = [
                line.strip()[1:].strip() for line in lines[end : part.lineno - 1] if "#" in line
            ]
            own = "\n".join(lines[part.lineno - 1 : part.end_lineno])
            beside = [text.strip() for text in re.findall(r"  # (.*)", own)]
            found[part.target.id] = " ".join([*before, *beside])
        end = part.end_lineno or end
    return found


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    def line(cells: tuple[str, ...]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

    return [line(head), line(("---",) * len(head)), *map(line, rows)]


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    messages.PAGE.write_text(messages.page(), "utf-8")
