"""Near-duplicates: which are kept, whatever came first and wherever a command was killed."""

from __future__ import annotations

import random
import shutil
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.configs import composed
from helpers.written import batch, writer

from imagepipe import sources
from imagepipe.errors import UserError
from imagepipe.execution import chain
from imagepipe.sink import resume
from imagepipe.sink.duplicates import BITS, leave_out, nearest
from imagepipe.sink.filter import Filter
from imagepipe.sink.ledger import Ledger
from imagepipe.sink.parts import collect_rejected
from imagepipe.sink.rejected import WHY
from imagepipe.store import Store

NEAR = 6
# The first sign of an id says what its pictures show, but for a noise that is each one's own.
IDS = ["a0", *(f"{kind}{n}" for place, kind in enumerate("abcde") for n in range(1, 1 + place))]


def firsts() -> list[str]:
    """Of each kind the id with the smallest digest."""
    kinds = {kind: [id for id in IDS if id[0] == kind] for kind in "abcde"}
    return sorted(
        min(ids, key=lambda id: blake2b(id.encode(), digest_size=8).digest())
        for ids in kinds.values()
    )


def images(ids: Sequence[str], each: int) -> pa.Array:
    shown = []
    for id in ids:
        coarse = np.random.default_rng(ord(id[0])).integers(30, 220, (each, 8, 8, 1))
        noise = np.random.default_rng(list(id.encode())).integers(0, 6, (each, 32, 32, 3))
        shown.append(coarse.repeat(4, 1).repeat(4, 2) + noise)
    return pa.FixedShapeTensorArray.from_numpy_ndarray(np.stack(shown).astype(np.uint8))


def rows(ids: Sequence[str], each: int = 1) -> pa.Table:
    table = batch(list(ids), each=each)
    return table.set_column(table.schema.get_field_index("image"), "image", images(ids, each))


def draw(folder: Path, ids: Sequence[str], ledger: Ledger, *, each: int = 1, **sink: Any) -> Any:
    """What a run writes of rows, three in a batch."""
    made = writer(folder, filter=Filter(near_duplicates=NEAR), **sink)
    for first in range(0, len(ids), 3):
        ledger.add(made(rows(ids[first : first + 3], each)))
    return made


def end(made: Any, ledger: Ledger, store: Store | None = None, earlier: Any = ()) -> None:
    """What a run does once all is written."""
    store = store or made.store
    ledger.drop(
        leave_out(store, NEAR, "id", "id", WHY, made.run_lock), pa.array(earlier, pa.string())
    )
    collect_rejected(store)


def kept(folder: Path) -> list[str]:
    """The ids of the table, for each of which there is a picture, and none beside."""
    ids = sorted(pq.read_table(folder / "table")["id"].to_pylist())
    assert sorted(path.stem for path in (folder / "images").iterdir()) == ids
    return ids


def left_out(folder: Path) -> dict[str, str]:
    found = pq.read_table(folder / "filtered.parquet").to_pylist()
    assert {row["stage"] for row in found} == {"filter"}
    assert all(row["what"].startswith("thing ") for row in found)
    return {row["id"]: row["reason"] for row in found}


def test_one_of_each_kind_is_kept_whichever_came_first(tmp_path: Path):
    for number in range(3):
        order = random.Random(number).sample(IDS, len(IDS))
        folder, ledger = tmp_path / f"out{number}", Ledger(len(IDS))
        end(draw(folder, order, ledger), ledger)
        assert kept(folder) == firsts()
        gone = left_out(folder)
        assert sorted([*gone, *kept(folder)]) == sorted(IDS)
        assert all(f"near-duplicate of {id[0]}" in reason for id, reason in gone.items())
        assert (ledger.written, ledger.filtered, ledger.adds_up) == (5, len(IDS) - 5, True)
        assert (ledger.pictures, ledger.pictures_filtered) == (5, len(IDS) - 5)
        assert sum(ledger.filtered_reasons.values()) == ledger.filtered
        assert not (folder / ".near").exists()


def test_a_run_that_was_killed_half_way_keeps_the_same(tmp_path: Path):
    half = len(IDS) // 2
    order = random.Random(4).sample(IDS, len(IDS))
    draw(tmp_path, order[:half], Ledger(len(IDS)))
    done = taken(tmp_path)
    ledger = done.ledger(len(IDS), 1)
    end(draw(tmp_path, order[half:], ledger), ledger, earlier=done.ids)
    assert kept(tmp_path) == firsts()
    assert ledger.adds_up
    assert ledger.already_done == len(set(firsts()) & set(order[:half]))
    assert ledger.pictures_before + ledger.pictures == 5


@pytest.mark.faults
def test_an_end_that_was_killed_anywhere_is_done_again(tmp_path: Path):
    made = draw(tmp_path / "out", IDS, Ledger(len(IDS)), image_bytes=True, webdataset=True)
    for moment in count():
        folder = Path(shutil.copytree(tmp_path / "out", tmp_path / f"out{moment}"))
        try:
            end(made, Ledger(0), Breaking(str(folder), moment))
        except InterruptedError:
            done = taken(folder)
            ledger = done.ledger(len(IDS), 1)
            end(made, ledger, Store(str(folder)), done.ids)
        else:
            break
        assert kept(folder) == samples(folder) == firsts()
        assert sorted(left_out(folder)) == sorted(set(IDS) - set(firsts()))
        assert ledger.adds_up
    assert moment > 20


@dataclass(frozen=True)
class Breaking(Store):
    """A store whose user is killed before it changes something for the nth time."""

    moment: int = 0
    changes: list[str] = field(default_factory=list)

    def write(self, name: str, content: bytes) -> None:
        self._change(name)
        super().write(name, content)

    def remove(self, name: str) -> None:
        self._change(name)
        super().remove(name)

    def remove_folder(self, folder: str) -> None:
        self._change(folder)
        super().remove_folder(folder)

    def _change(self, name: str) -> None:
        if len(self.changes) == self.moment:
            raise InterruptedError
        self.changes.append(name)


def samples(folder: Path) -> list[str]:
    """The ids of the pictures in shards; each has its text."""
    names = []
    for shard in (folder / "shards").iterdir():
        with tarfile.open(shard) as tar:
            names += tar.getnames()
    pictures = sorted(name.removesuffix(".png") for name in names if name.endswith(".png"))
    assert (
        sorted(name.removesuffix(".json") for name in names if name.endswith(".json")) == pictures
    )
    return pictures


def taken(folder: Path) -> resume.Done:
    (folder / "rows.csv").write_text("id,what\na0,thing\n")
    data = ["dataset=csv", f"dataset.path={folder / 'rows.csv'}", "dataset.id=id"]
    tables = sources.scan(composed(*data, "dataset.prompt='{what}'").dataset, None)
    return resume.take_in(Store(str(folder)), tables, "id", retry_failed=False)


def test_of_a_rows_own_pictures_that_are_alike_the_first_stays(tmp_path: Path):
    ledger = Ledger(2)
    made = writer(tmp_path, filter=Filter(near_duplicates=NEAR))
    table = rows(["a0", "b1"], 2)
    twice = images(["a0", "b1"], 2).to_numpy_ndarray().copy()
    twice[0, 1] = twice[0, 0] + 1
    place = table.schema.get_field_index("image")
    same = pa.FixedShapeTensorArray.from_numpy_ndarray(twice)
    ledger.add(made(table.set_column(place, "image", same)))
    end(made, ledger)
    assert sorted(path.stem for path in (tmp_path / "images").iterdir()) == ["a0-0", "b1-0", "b1-1"]
    assert (ledger.written, ledger.filtered, ledger.pictures) == (2, 0, 3)
    assert not (tmp_path / "filtered.parquet").exists()


def test_what_an_ended_run_has_kept_stays(tmp_path: Path):
    """Rows that had failed are compared with it, also such as would have come first."""
    late, ledger = firsts(), Ledger(len(IDS))
    others = [id for id in IDS if id not in late]
    end(draw(tmp_path, others, ledger), ledger)
    before = kept(tmp_path)
    done = taken(tmp_path)
    ledger = done.ledger(len(IDS), 1)
    end(draw(tmp_path, late, ledger), ledger, earlier=done.ids)
    alone = [id for id in late if id[0] not in {one[0] for one in before}]
    assert kept(tmp_path) == sorted([*before, *alone])
    assert ledger.adds_up


@pytest.mark.parametrize("most", [0, 1, 6, 16])
def test_what_is_near_is_found_as_by_comparing_all(most: int):
    chance = random.Random(most)
    hashed = [chance.getrandbits(BITS) for _ in range(60)]
    for one in hashed[:40]:
        for bit in chance.sample(range(BITS), chance.randint(0, most + 2)):
            one ^= 1 << bit
        hashed.append(one)
    chance.shuffle(hashed)
    found, stay = nearest(hashed, most), []
    for one, near in zip(hashed, found, strict=True):
        close = [other for other in stay if (one ^ other).bit_count() <= most]
        assert (near is None) == (not close)
        assert near is None or hashed[near] in close
        stay += [one] if near is None else []
    assert 60 <= len(stay) < 100


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch):
    config = composed("filter.near_duplicates=4")
    tables = sources.scan(config.dataset, 4)
    chain.check_filter(config, tables, chain.stages(config, tables))
    monkeypatch.setitem(sys.modules, "imagehash", None)
    with pytest.raises(UserError, match=r"near_duplicates=4: .*imagehash.* pip install 'imagepipe"):
        chain.check_filter(config, tables, chain.stages(config, tables))
