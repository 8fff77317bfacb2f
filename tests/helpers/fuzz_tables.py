"""Tables of odd cells and types, whole ones and damaged ones, through all of a run but its models.

What was written is known, so that each cell can be looked for in what the run leaves.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from helpers import fuzz_prompts, poison
from helpers.configs import composed
from helpers.fuzz import is_plain
from hypothesis import strategies as st

from imagepipe import sources
from imagepipe.config import Config
from imagepipe.errors import UserError, shown
from imagepipe.execution import chain
from imagepipe.execution.run import why_failed
from imagepipe.sink.lock import acquire
from imagepipe.sink.parts import collect_rejected
from imagepipe.sink.writer import Writer
from imagepipe.sources.blocks import scanned
from imagepipe.sources.read import judged
from imagepipe.sources.unreadable import Unreadable
from imagepipe.stages.stage import apply, worker
from imagepipe.store import Store

SMALL = ["model=noop", "model.width=8", "model.height=8", "llm=none", "scorer=none"]
TABLE = ["dataset=csv", "dataset.path=x", "dataset.id=id", "dataset.prompt=x"]
PLAIN = st.text(st.characters(codec="utf-8"), max_size=12)
TEXTS = st.one_of(
    PLAIN, st.sampled_from([text for text in poison.TRICKS if len(text) < 90]), st.just("x" * 90)
)
NAMES = st.one_of(
    st.sampled_from(["what", "Prompt", "seed", "stage", "reason", "llm_x", "a b", "dc:title"]),
    st.sampled_from(["image", "score", "è", "e\u0300", "ID", "failed_reason", "input_seed", "0"]),
    PLAIN.filter(str.strip),
)
MOST_ROWS = 4


@dataclass
class Given:
    """A table as bytes, its format, its rows as they were written, whether it was damaged, and how
    the name of its file ends behind its format's.
    """

    format: str
    content: bytes
    columns: dict[str, list[Any]]
    damaged: bool
    end: str = ""

    def __repr__(self) -> str:
        name, content = f"{self.format}{self.end}", self.content[:3000]
        return f"Given({name}, {content!r}, {self.columns}, {self.damaged})"


def tables() -> st.SearchStrategy[Given]:
    """Half of them whole."""
    whole = st.one_of(_csv(), _jsonl(), _parquet(), _packed())
    return st.one_of(whole, st.builds(_damaged, whole, st.lists(DAMAGES, min_size=1, max_size=2)))


@st.composite
def _columns(
    draw: st.DrawFn,
    cells: st.SearchStrategy[Any],
    prompts: Sequence[st.SearchStrategy[Any]] = (TEXTS,),
) -> dict[str, list[Any]]:
    """Ids that differ, cells of one of `prompts` to draw, and some columns of `cells` that nobody
    uses.
    """
    rows = draw(st.integers(1, MOST_ROWS))
    ids = [f"{draw(TEXTS)}-{row}" for row in range(rows)]
    said = draw(st.lists(draw(st.sampled_from(prompts)), min_size=rows, max_size=rows))
    more = draw(st.lists(NAMES, max_size=3, unique=True))
    others = {n: draw(st.lists(cells, min_size=rows, max_size=rows)) for n in more}
    return others | {"id": ids, "prompt": said}


@st.composite
def _csv(draw: st.DrawFn) -> Given:
    """As Python's csv writes it, without NUL, for which a table is refused."""
    columns = draw(_columns(TEXTS.map(lambda text: text.replace("\0", ""))))
    columns = {
        name.replace("\0", ""): [cell.replace("\0", "") for cell in cells]
        for name, cells in columns.items()
        if name.replace("\0", "").strip()
    }
    file = io.StringIO(newline="")
    form, between = draw(st.sampled_from([("csv", ","), ("tsv", "\t")]))
    end, quoting = draw(st.sampled_from(["\r\n", "\n"])), draw(st.sampled_from([0, csv.QUOTE_ALL]))
    for row in (columns, *zip(*columns.values(), strict=True)):
        strange = any("\r" in cell for cell in row)  # which the writer quotes only beside \r\n
        how = csv.QUOTE_ALL if strange else quoting
        csv.writer(file, lineterminator=end, quoting=how, delimiter=between).writerow(row)
    mark = draw(st.sampled_from(["", "", "\ufeff"]))
    return Given(form, (mark + file.getvalue()).encode(), columns, False)


JSON = st.recursive(
    st.one_of(
        *(st.none(), st.booleans(), st.integers(), st.floats(), PLAIN, poison.SURROGATES),
        st.sampled_from([2**53 + 1, 2**63, -(2**64), 1e300, 3.0, "", {}, []]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(PLAIN, inner, max_size=3)),
    max_leaves=6,
)


# Of one kind, and of several: what a JSON column may say of what is drawn.
SAID = (
    TEXTS,
    *(st.one_of(st.none(), kind) for kind in (st.integers(), st.floats(), st.booleans())),
    st.one_of(st.integers(-9, 9), st.floats(-9, 9)),
    st.one_of(st.none(), st.integers(), st.floats(), st.booleans(), TEXTS),
)


@st.composite
def _jsonl(draw: st.DrawFn) -> Given:
    # Two halves of a pair are one sign then.
    columns = json.loads(json.dumps(draw(_columns(JSON, SAID))))
    ascii_only = draw(st.booleans())
    lines = []
    for row in zip(*columns.values(), strict=True):
        cells = dict(zip(columns, row, strict=True))
        line = json.dumps(cells, ensure_ascii=ascii_only)
        lines.append(line.encode("utf-8", "surrogatepass"))
    if draw(st.booleans()):
        return Given("jsonl", b"\n".join(lines), columns, False)
    return Given("json", b"[" + b", ".join(lines) + b"]", columns, False)


PACKED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": partial(gzip.compress, mtime=0),
    ".bz2": bz2.compress,
    **{f".{name}": pa.Codec(codec).compress for name, codec in (("zst", "zstd"), ("lz4", "lz4"))},
}


@st.composite
def _packed(draw: st.DrawFn) -> Given:
    given, end = draw(st.one_of(_csv(), _jsonl())), draw(st.sampled_from(sorted(PACKED)))
    content = bytes(PACKED[end](given.content))
    return Given(given.format, content, given.columns, False, end)


NAIVE = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))
BYTES = st.binary(max_size=6)
# Arrow's types and the cells of each; `None` is added to all.
KINDS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    *((kind, st.integers(-128, 127)) for kind in (pa.int8(), pa.int32(), pa.int64())),
    *((kind, st.integers(0, 255)) for kind in (pa.uint8(), pa.uint32())),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    *((kind, st.floats(width=32)) for kind in (pa.float32(), pa.float64())),
    (pa.float16(), st.floats(width=16)),
    (pa.decimal128(20, 4), st.decimals(-99999, 99999, places=4)),
    (pa.decimal256(60, 2), st.decimals(-99999, 99999, places=2)),
    (pa.bool_(), st.booleans()),
    (pa.date32(), st.dates()),
    (pa.time64("us"), st.times()),
    *((pa.timestamp(unit), NAIVE) for unit in ("s", "ms", "us")),
    (pa.timestamp("us", "Europe/Berlin"), NAIVE.map(lambda moment: moment.replace(tzinfo=UTC))),
    (pa.timestamp("ns"), st.integers(-(2**63) + 1, 2**63 - 1)),
    (pa.duration("us"), st.timedeltas(timedelta(-999), timedelta(999))),
    (pa.null(), st.none()),
    *((kind, PLAIN) for kind in (pa.string(), pa.large_string(), pa.string_view())),
    (pa.dictionary(pa.int32(), pa.string()), PLAIN),
    *((kind, BYTES) for kind in (pa.binary(), pa.large_binary(), pa.binary_view())),
    (pa.binary(4), st.binary(min_size=4, max_size=4)),
    (pa.uuid(), st.uuids().map(lambda one: one.bytes)),
    (pa.json_(), PLAIN),
    (pa.bool8(), st.integers(-128, 127)),
    (pa.list_(pa.int64()), st.lists(st.integers(-9, 9), max_size=3)),
    (pa.large_list(pa.string()), st.lists(PLAIN, max_size=2)),
    (pa.list_(pa.float32(), 2), st.lists(st.floats(width=32), min_size=2, max_size=2)),
    (pa.map_(pa.string(), pa.int64()), st.lists(st.tuples(PLAIN, st.integers(0, 9)), max_size=2)),
    (pa.struct([]), st.just({})),
    (
        pa.struct([("x", pa.string()), ("y", pa.list_(pa.int8()))]),
        st.fixed_dictionaries({"x": PLAIN, "y": st.lists(st.integers(0, 9), max_size=2)}),
    ),
]
UNUSABLE = (pa.null(), pa.binary(4))  # what no prompt can name
USED = [kind for kind in KINDS if not pa.types.is_nested(kind[0]) and kind[0] not in UNUSABLE]


@st.composite
def _parquet(draw: st.DrawFn) -> Given:
    """Columns of all types, also the one that is drawn."""
    rows = draw(st.integers(1, MOST_ROWS))
    names = draw(st.lists(NAMES, max_size=3, unique=True))
    kinds = {name: draw(st.sampled_from(KINDS)) for name in names}
    if draw(st.booleans()):
        kinds["prompt"] = draw(st.sampled_from(USED))
    arrays: dict[str, pa.Array] = {
        "id": pa.array([f"{draw(TEXTS)}-{row}" for row in range(rows)]),
        "prompt": pa.array(draw(st.lists(TEXTS, min_size=rows, max_size=rows))),
    }
    for name, (kind, cells) in kinds.items():
        some = draw(st.lists(st.one_of(st.none(), cells), min_size=rows, max_size=rows))
        try:
            arrays[name] = pa.array(some, kind)
            pq.write_table(pa.table({name: arrays[name]}), io.BytesIO())
        except (pa.ArrowException, ValueError, OverflowError, TypeError):
            arrays.pop(name, None)  # no such cells, or not in Parquet
    file = io.BytesIO()
    arrays.setdefault("prompt", pa.array(["a cat"] * rows))
    pq.write_table(pa.table(arrays), file, row_group_size=draw(st.integers(1, MOST_ROWS)))
    return Given("parquet", file.getvalue(), dict(arrays), False)


DAMAGES = st.one_of(
    st.tuples(st.just("cut"), st.floats(0, 1), st.just(b"")),
    st.tuples(st.just("put"), st.floats(0, 1), st.binary(min_size=1, max_size=3)),
    st.tuples(st.just("over"), st.floats(0, 1), st.binary(min_size=1, max_size=3)),
    st.tuples(st.just("put"), st.floats(0, 1), st.sampled_from([b'"', b",", b"\n", b"{", b"\0"])),
)


def _damaged(given: Given, damages: list[tuple[str, float, bytes]]) -> Given:
    """`given` cut short, with bytes put in, and with others in the place of its own."""
    content = given.content
    for how, part, more in damages:
        at = int(part * len(content))
        end = {"cut": len(content), "put": at, "over": at + len(more)}[how]
        content = content[:at] + more + content[end:]
    return Given(given.format, content, given.columns, True, given.end)


@cache
def _config() -> Config:
    return composed(*SMALL, *TABLE, "tracking=none")


def check(given: Given) -> None:
    """A whole table is drawn, cell by cell; a damaged one too, or it is refused plainly."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"table.{given.format}{given.end}")
        path.write_bytes(given.content)
        left = _drawn_or_refused(given, path, Path(folder, "out"))
        if left is None:
            return
        assert given.damaged or left.rows == len(given.columns["id"])
        _ends(left, Path(folder, "out"))
        if not given.damaged:
            _kept(given, left, Path(folder, "out"))
        failed = Path(folder, "out", "failed.parquet")
        if failed.exists():
            _fed_in_again(failed, Path(folder, "again"))


def _drawn_or_refused(given: Given, path: Path, out: Path) -> sources.Tables | None:
    """Null where a damaged table is refused, or breaks its run, which then names the file."""
    allowed = (UserError, Unreadable, pa.ArrowException, OSError) if given.damaged else ()
    try:
        return _drawn(path, given.format, out)
    except allowed as error:
        told = str(error) if isinstance(error, UserError) else _broken(path, given.format)
    is_plain(told)
    return None


def _broken(path: Path, form: str) -> str:
    """What a run says that breaks at a file which the scan did not read to its end."""
    return shown(sources.broken_file(_scanned(path, form)) or "")


def _scanned(path: Path, form: str) -> sources.Tables:
    data = _config().dataset
    data.path, data.format, data.id, data.prompt = str(path), form, "id", "{prompt}"
    return sources.scan(data, None)


def _drawn(path: Path, form: str, out: Path) -> sources.Tables:
    """A run over the table into `out`, without Ray."""
    found = _scanned(path, form)
    for note in found.notes:
        is_plain(shown(note))
    config, store = _config(), Store(str(out))
    every = chain.stages(config, found)
    with acquire(out, store, "r") as lock:
        renamed = {found.renamed.get(name, name): name for name in found.input_columns}
        writer = Writer(
            *(store, config.sink, 0, found.id, renamed, {}, lock),
            why=why_failed(found),
        )
        for block in _blocks(found):
            for stage in every:
                block = apply(stage, worker(stage.recipe), block)
            writer(block)
        collect_rejected(store)
    return found


def _blocks(found: sources.Tables) -> Iterator[pa.Table]:
    for file in found.left.files:
        for rows in scanned(found.left, file, found.left.schema.names):
            yield judged(rows, found.left, found.renamed, found.id)


def _table(out: Path) -> pa.Table | None:
    return pq.read_table(out / "table") if (out / "table").exists() else None


def _rejected(out: Path) -> pa.Table | None:
    path = out / "failed.parquet"
    return pq.read_table(path) if path.exists() else None


def _ends(found: sources.Tables, out: Path) -> None:
    """Each row is a picture, or failed with a reason."""
    written, failed = _table(out), _rejected(out)
    rows = [table.num_rows for table in (written, failed) if table is not None]
    assert sum(rows) == found.rows, (rows, found.rows)
    if failed is not None:
        assert all(failed[why_failed(found)[1]].to_pylist())


def _kept(given: Given, found: sources.Tables, out: Path) -> None:
    """Each cell of the table came back, of written and rejected rows, or its column was named."""
    text = " ".join(found.notes)
    written, failed = _table(out), _rejected(out)
    if written is not None:
        places = _places(given, written, found)
        _columns_kept(given, places, written, found.renamed, text)
        _as_drawn(given, places, written["prompt"].to_pylist())
    if failed is not None:
        places = _places(given, failed, found)
        _columns_kept(given, places, failed, {}, text)
        reasons = failed[why_failed(found)[1]].to_pylist()
        told = [place for place, why in zip(places, reasons, strict=True) if "'prompt'" in why]
        _as_drawn(given, told, [None] * len(told))


def _places(given: Given, table: pa.Table, found: sources.Tables) -> list[int]:
    """Where the rows of a table that a run left stood in the one that was given."""
    ids = [one.decode() if isinstance(one, bytes) else one for one in _ids(table, found)]
    return [_cells(given, "id").index(one) for one in ids]


def _columns_kept(
    given: Given, places: list[int], table: pa.Table, renamed: Mapping[str, str], notes: str
) -> None:
    for name in given.columns:
        here = renamed.get(name, name)
        if f"column {name!r} is left out" in notes:
            continue
        assert here in table.column_names or "more columns are left out" in notes, (name, notes)
        if here != name or name != "prompt":
            _same(given, name, places, table[here])


def _as_drawn(given: Given, places: list[int], prompts: list[str | None]) -> None:
    """The template is the bare column: the model is given the text of the cell alone."""
    cells = given.columns["prompt"]
    for place, prompt in zip(places, prompts, strict=True):
        assert fuzz_prompts.is_drawn(cells[place], prompt), (cells[place], prompt)


def _ids(table: pa.Table, found: sources.Tables) -> list[Any]:
    return table[found.id if found.id in table.column_names else "id"].to_pylist()


def _cells(given: Given, name: str) -> list[Any]:
    cells = given.columns[name]
    return cells.to_pylist() if isinstance(cells, pa.Array) else cells


def _same(given: Given, name: str, places: list[int], column: pa.ChunkedArray) -> None:
    cells = given.columns[name]
    if isinstance(cells, pa.Array):
        if pa.types.is_dictionary(cells.type):
            cells = cells.cast(cells.type.value_type)
        if cells.type in (pa.string_view(), pa.binary_view()):  # which cannot be taken from
            cells = cells.cast(pa.string() if cells.type == pa.string_view() else pa.binary())
        wanted = cells.take(pa.array(places, pa.int64()))
        got = column.combine_chunks()
        if wanted.type == pa.uuid() and pa.types.is_string(got.type):  # where it is used
            wanted = pa.array([one and str(one) for one in wanted.to_pylist()])
        elif wanted.type in (pa.json_(), pa.bool8()) and got.type != wanted.type:
            wanted = pa.array(wanted.to_pylist(), got.type)
        if pa.types.is_null(wanted.type):
            wanted = pa.nulls(len(wanted), got.type)
        got = got.cast(wanted.type) if got.type != wanted.type else got
        assert _text(got) == _text(wanted), (name, got, wanted)
        return
    for place, got in zip(places, column.to_pylist(), strict=True):
        wanted = cells[place]
        if given.format.startswith("json"):
            assert _alike(wanted, got), (name, wanted, got)
        else:
            assert got == wanted, (name, wanted, got)


def _text(array: pa.Array) -> str:
    """The cells, by Arrow where Python has no such, as the year 10000."""
    with suppress(ValueError, OverflowError):
        return repr(array.to_pylist())
    most = 2**31 - 1
    return array.to_string(window=most, container_window=most, element_size_limit=most)


def _alike(wanted: Any, got: Any) -> bool:
    """Whether a cell of JSON came back: as it is, as JSON text, or as a used column says inf."""
    if _plain(wanted) == _plain(got) or (str(wanted) == got and got in ("inf", "-inf")):
        return True
    try:
        return isinstance(got, str | bytes) and _plain(wanted) == _plain(json.loads(got))
    except ValueError:
        return False


def _plain(value: Any) -> Any:
    """Without what a table does not tell apart: a missing key and null, 3 and 3.0, halves of a
    pair and the sign that stands for what is no text.
    """
    if isinstance(value, dict):
        cells = {_plain(name): _plain(cell) for name, cell in value.items()}
        return {name: cell for name, cell in cells.items() if cell is not None}
    if isinstance(value, list):
        return [_plain(cell) for cell in value]
    if isinstance(value, bytes):  # of a rejected row, with others that are no text
        value = value.decode("utf-8", "surrogatepass")
    if isinstance(value, str):
        text = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text.replace("\ufffd", "")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _fed_in_again(failed: Path, out: Path) -> None:
    """Rejected rows are no other ones when they are read again: none of them is drawn."""
    found = _drawn(failed, "parquet", out)
    assert found.rows == pq.read_metadata(failed).num_rows
    again = _rejected(out)
    assert _table(out) is None and again is not None
    before = pq.read_table(failed)
    for name in before.column_names:
        if name not in ("stage", "reason", "failed_stage", "failed_reason"):
            assert _sorted(again[name]) == _sorted(before[name]), name


def _sorted(column: pa.ChunkedArray) -> list[str]:
    return sorted(map(repr, column.to_pylist()))
