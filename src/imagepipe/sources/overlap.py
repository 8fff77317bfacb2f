"""How many rows a join will match, counted before the run, and why if none would."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation

import pyarrow as pa
import pyarrow.compute as pc

from imagepipe.errors import UserError
from imagepipe.prompts.cells import cell_texts, is_blank
from imagepipe.sources.keys import keys_of
from imagepipe.sources.scan_table import Scanned
from imagepipe.sources.tables import Join

NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d*)?([eE][+-]?\d{1,2})?")
MOST = 10_000  # keys of each side that are compared for what differs
Key = tuple[str, ...]


def _number(text: str) -> str:
    """1,000 and 1e3 as 1000; what is no number as it is."""
    plain = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    try:
        return f"{Decimal(plain).normalize():f}" if NUMBER.fullmatch(plain) else text
    except InvalidOperation:
        return text


# What often makes equal keys differ, and the text without it.
DIFFERENCES: dict[str, Callable[[str], str]] = {
    "spaces": lambda text: re.sub(r"\s+", "", text),
    "Unicode form (NFC or NFD)": lambda text: unicodedata.normalize("NFC", text),
    "signs that cannot be seen": lambda text: "".join(
        sign for sign in text if unicodedata.category(sign) not in ("Cf", "Cc")
    ),
    "wide and narrow signs": lambda text: unicodedata.normalize("NFKC", text),
    "upper and lower case": str.casefold,
    "leading zeros": lambda text: re.sub(r"^(-?)0+(?=\d)", r"\1", text),
    "how the number is written": _number,
    "the time zone": lambda text: re.sub(r"([T ]00:00:00)?Z$", "", text),
    "the ending of a file's name": lambda text: re.sub(r"\.[A-Za-z]\w{0,4}$", "", text),
    "the folder before a name": lambda text: re.sub(r"^.*[/\\](?=.)", "", text),
    "accents": lambda text: "".join(
        sign for sign in unicodedata.normalize("NFD", text) if unicodedata.category(sign) != "Mn"
    ),
    "signs such as hyphens, commas and quotes": lambda text: re.sub(r"[\W_]+", "", text),
}


def overlap(join: Join, left: Scanned, right: Scanned) -> str:
    """How many rows have a match, as text; "" where the scan could not tell.

    Raises UserError if an inner join would match no row.
    """
    cells = _cells(join, left)
    if cells is None or right.keys is None or right.cells is None:
        return ""
    keys = keys_of(cells, join.on, join.types)
    known = pa.chunked_array(right.keys, pa.string())
    found = pc.is_in(keys, value_set=known, skip_nulls=True)
    matches = pc.sum(found).as_py() or 0
    told = f", {matches:,} of {cells.num_rows:,} rows match"
    if matches == cells.num_rows or join.table.rows == 0:
        return told
    if matches:
        return told + _of_others(join, left, cells.filter(pc.invert(found)), right, keys)
    why = _why(join, left, cells, right)
    if join.how == "inner":
        raise UserError(
            field=right.request.key_field,
            value=", ".join(join.on),
            problem=f"matches no row: {why}",
            remedy="Make the keys alike, or join by another column.",
        )
    return f"{told}: {why}"


def _cells(join: Join, left: Scanned) -> pa.Table | None:
    """The key cells of the rows that are read; null if not all are at hand."""
    if not left.cells or not all(set(join.on) <= set(one.column_names) for one in left.cells):
        return None
    whole = pa.concat_tables(
        [one.select(join.on) for one in left.cells], promote_options="permissive"
    )
    return whole.slice(0, left.table.rows)


def _why(join: Join, left: Scanned, cells: pa.Table, right: Scanned) -> str:
    """An example of either side, and what differs."""
    assert right.cells is not None
    ours = _texts(cells, join.on)
    theirs = _texts(
        pa.concat_tables(
            [one.select(join.on) for one in right.cells], promote_options="permissive"
        ),
        join.on,
    )
    here, there = left.table.name, join.table.name
    if not ours or not theirs:
        return f"all keys of {there if ours else here} are empty"
    pair, what = _closest(ours, theirs)
    return f"{here} has {_said(pair[0])}, {there} has {_said(pair[1])}{what}"


def _of_others(join: Join, left: Scanned, cells: pa.Table, right: Scanned, ours: pa.Array) -> str:
    """Of the rows that do not match, `cells`, and those of the other table that no row matches, two
    keys that differ in little; "" where there are none.
    """
    assert right.cells is not None and right.keys is not None
    known = pa.chunked_array(right.keys, pa.string())
    whole = pa.concat_tables(
        [one.select(join.on) for one in right.cells], promote_options="permissive"
    )
    rest = whole.filter(pc.invert(pc.is_in(known, value_set=ours, skip_nulls=True)))
    pair, what = _closest(_texts(cells, join.on), _texts(rest, join.on))
    if not what.startswith(": "):
        return ""
    here, there = left.table.name, join.table.name
    return f"; {here} has {_said(pair[0])}, {there} has {_said(pair[1])}{what}"


def _texts(cells: pa.Table, on: Sequence[str]) -> list[Key]:
    columns = [cell_texts(cells[name].slice(0, MOST)).to_pylist() for name in on]
    return [key for key in zip(*columns, strict=True) if not any(map(is_blank, key))]


def _closest(ours: Sequence[Key], theirs: Sequence[Key]) -> tuple[tuple[Key, Key], str]:
    """Two keys that differ least, and in what."""
    every = list(DIFFERENCES.items())
    for name, alike in every:
        if pair := _pair(ours, theirs, [alike]):
            return pair, f": they differ in {name}"
    if pair := _pair(ours, theirs, [alike for _, alike in every]):
        differing = [name for name, alike in every if _differ(pair, alike)]
        return pair, f": they differ in {' and '.join(differing)}"
    return (next(iter(ours), ()), next(iter(theirs), ())), ", for example"


def _pair(
    ours: Sequence[Key], theirs: Sequence[Key], alike: Sequence[Callable[[str], str]]
) -> tuple[Key, Key] | None:
    known = {_alike(key, alike): key for key in theirs}
    return next(((key, known[same]) for key in ours if (same := _alike(key, alike)) in known), None)


def _alike(key: Key, alike: Sequence[Callable[[str], str]]) -> Key:
    for one in alike:
        key = tuple(map(one, key))
    return key


def _differ(pair: tuple[Key, Key], alike: Callable[[str], str]) -> bool:
    return any(_alike(key, [alike]) != key for key in pair)


def _said(key: Key) -> str:
    return ", ".join(map(ascii if any(map(_unclear, key)) else repr, key))


def _unclear(text: str) -> bool:
    """Whether two texts that look like `text` may differ."""
    return not text.isascii() and unicodedata.normalize("NFKC", text) != text
