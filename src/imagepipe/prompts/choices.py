"""What a prompt template is made of: text, columns, and choices that a row makes by itself.

    {animal}            the cell of a column
    {red|2::blue|}      one of these, "blue" twice as often, or nothing
    __season__          a line of season.txt in the folder `dataset.wildcards`, weighted alike

Choices may hold columns, choices and wildcards. `{{` and `}}` are braces themselves.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path

from imagepipe.errors import UserError, did_you_mean

WEIGHT = re.compile(r"\s*(\d+(?:\.\d+)?)::")
WILDCARD = re.compile(r"__([A-Za-z0-9][\w/-]*?)__")
FIELD, FOLDER = "dataset.prompt", "dataset.wildcards"


@dataclass(frozen=True)
class Column:
    """The cell of the column `name`."""

    name: str


@dataclass(frozen=True)
class Choice:
    """One of `options`; `ends` are their weights, added up from the first."""

    options: tuple[Parts, ...]
    ends: tuple[float, ...]

    def pick(self, share: float) -> Parts:
        """The option at `share` of all weights, from 0 to below 1."""
        place = bisect_right(self.ends, share * self.ends[-1])
        return self.options[min(place, len(self.options) - 1)]


Part = str | Column | Choice
Parts = tuple[Part, ...]


@dataclass
class Wildcards:
    """The files NAME.txt of a folder, as far as a template names them, each read once."""

    folder: str | None
    choices: dict[str, Choice] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)

    def choice(self, name: str, within: tuple[str, ...]) -> Choice:
        """The lines of NAME.txt; `within` are the files that lead to it. Raises UserError."""
        if name in within:
            chain = " -> ".join([*within[within.index(name) :], name])
            raise _no_file(name, f"refers to itself: {chain}", "Take the name out of one of them.")
        if name not in self.choices:
            lines = self._lines(name)
            options = [_weighted(line, self, (*within, name)) for line in lines]
            self.choices[name] = _choice(name, options)
        return self.choices[name]

    def _lines(self, name: str) -> list[str]:
        """Blank lines, and those that begin with #, are none."""
        assert self.folder is not None
        path = Path(self.folder).expanduser() / f"{name}.txt"
        try:
            self.contents[name] = path.read_bytes()
            lines = [line.strip() for line in self.contents[name].decode("utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            names = [one.stem for one in path.parent.glob("*.txt")]
            why = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else "is not there"
            near = did_you_mean(name, names)
            raise _no_file(name, why, f"{near}Looked at {path}.") from error
        kept = [line for line in lines if line and not line.startswith("#")]
        if not kept:
            raise _no_file(name, "has no line to choose", f"Write one into {path}.")
        return kept

    @property
    def digest(self) -> str:
        """What tells their contents from others'; empty where there are none."""
        every = sorted(self.contents.items())
        return blake2b(repr(every).encode(), digest_size=16).hexdigest() if every else ""


def parse(text: str, wildcards: Wildcards | None, within: tuple[str, ...] = ()) -> Parts:
    """The parts of `text`, without choices where `wildcards` is null.

    Raises UserError for a brace that is alone.
    """
    parts: list[Part] = []
    place = 0
    while place < len(text):
        sign = text[place]
        if text[place : place + 2] in ("{{", "}}"):
            parts.append(sign)
            end = place + 2
        elif sign in "{}":
            end = _closing(text, place)
            parts.append(_braced(text[place + 1 : end - 1], text, wildcards, within))
        else:
            end = next((n for n in range(place, len(text)) if text[n] in "{}"), len(text))
            parts += _plain(text[place:end], wildcards, within)
        place = end
    return tuple(parts)


def whole(text: str, wildcards: Wildcards | None) -> Parts:
    """As `parse`, of a whole template, which may not be empty."""
    if not text:
        raise refused(text, "is empty")
    return parse(text, wildcards)


def _closing(text: str, place: int) -> int:
    """The place behind the brace that closes the one that opens at `place`. Raises UserError."""
    depth = 0
    for end in range(place, len(text)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth <= 0:
            break
    if depth != 0:
        raise refused(text, f"has an unmatched brace, at {text[place : place + 20]!r}")
    return end + 1


def _braced(inside: str, text: str, wildcards: Wildcards | None, within: tuple[str, ...]) -> Part:
    options = list(_options(inside))
    if len(options) > 1 and wildcards is not None:
        return _choice(text, [_weighted(option, wildcards, within) for option in options])
    if "{" in inside:
        raise refused(text, f"has an unmatched brace, at {('{' + inside)[:20]!r}")
    if not inside.strip():
        raise refused(text, "has braces that hold no column name")
    return Column(inside)


def _options(inside: str) -> Iterator[str]:
    """What stands between the signs | that are in no further braces."""
    depth, start = 0, 0
    for place, sign in enumerate(inside):
        depth += {"{": 1, "}": -1}.get(sign, 0)
        if sign == "|" and depth == 0:
            yield inside[start:place]
            start = place + 1
    yield inside[start:]


def _weighted(option: str, wildcards: Wildcards, within: tuple[str, ...]) -> tuple[float, Parts]:
    found = WEIGHT.match(option)
    weight, text = (float(found[1]), option[found.end() :]) if found else (1.0, option)
    return weight, parse(text, wildcards, within)


def _choice(text: str, options: list[tuple[float, Parts]]) -> Choice:
    ends = tuple(accumulate(weight for weight, _ in options))
    if ends[-1] <= 0:
        raise refused(text, "has a choice with only weights of 0")
    return Choice(tuple(parts for _, parts in options), ends)


def _plain(text: str, wildcards: Wildcards | None, within: tuple[str, ...]) -> Iterator[Part]:
    """Text, and choices for the wildcards in it, where there are such."""
    place = 0
    known = wildcards if wildcards and wildcards.folder is not None else None
    for found in WILDCARD.finditer(text) if known else ():
        assert known is not None
        yield text[place : found.start()]
        yield known.choice(found[1], within)
        place = found.end()
    yield text[place:]


def columns(parts: Parts) -> Iterator[str]:
    """The columns that any of `parts` names, in order."""
    seen: set[int] = set()  # a choice of a wildcard stands in many places, and is looked at once

    def walk(parts: Parts) -> Iterator[str]:
        for part in parts:
            if isinstance(part, Column):
                yield part.name
            elif isinstance(part, Choice) and id(part) not in seen:
                seen.add(id(part))
                for option in part.options:
                    yield from walk(option)

    return walk(parts)


def chosen(parts: Parts, share: Callable[[], float]) -> Iterator[str | Column]:
    """`parts` with a pick for each choice, by shares from 0 to below 1 that `share` gives."""
    for part in parts:
        if isinstance(part, Choice):
            yield from chosen(part.pick(share()), share)
        else:
            yield part


def refused(text: str, problem: str) -> UserError:
    return UserError(
        field=FIELD,
        value=text,
        problem=problem,
        remedy='Write column names in braces, "{animal} wearing a {outfit}"; {{ for a brace.',
    )


def _no_file(name: str, problem: str, remedy: str) -> UserError:
    return UserError(field=FOLDER, value=f"{name}.txt", problem=problem, remedy=remedy)
