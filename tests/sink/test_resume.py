"""What is done of a run, what began it, and who may write it: without Ray."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.configs import composed
from helpers.s3_server import S3
from helpers.written import FACTS, batch

from imagepipe import sources
from imagepipe.config import Config, Join, Sink
from imagepipe.errors import RunFailed, UserError
from imagepipe.execution import manifest
from imagepipe.execution.prepare import Ready, prepared
from imagepipe.execution.run import why_failed
from imagepipe.sink import resume
from imagepipe.sink.filter import Filter
from imagepipe.sink.lock import RUN, acquire
from imagepipe.sink.parts import collect_rejected
from imagepipe.sink.rejected import why_columns
from imagepipe.sink.writer import Writer
from imagepipe.store import Store

ROWS = [f"r{n}" for n in range(10)]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def tables(tmp_path: Path) -> sources.Tables:
    return sources.scan(config(tmp_path).dataset, None)


def config(tmp_path: Path, *more: str) -> Config:
    path = tmp_path / "rows.csv"
    if not path.exists():
        path.write_text("id,what\n" + "".join(f"{id_},thing\n" for id_ in ROWS))
    dataset = ["dataset=csv", f"dataset.path={path}", "dataset.id=id", 'dataset.prompt="{what}"']
    return composed(*dataset, "model=noop", "llm=none", "tracking=none", *more)


def write(out: Path, *batches: pa.Table, **sink: bool) -> None:
    """What a command that is killed has written so far."""
    options = Sink(name="test", **{"png": True, "parquet": True, **sink})
    with acquire(out, Store(str(out)), "r") as mine:
        writer = Writer(
            Store(str(out)), options, 7, "id", {"id": "id", "what": "what"}, FACTS, mine
        )
        for rows in batches:
            writer(rows)


def taken(out: Path, tables: sources.Tables, *, retry_failed: bool = False) -> resume.Done:
    return resume.take_in(Store(str(out)), tables, "id", retry_failed=retry_failed)


def rejected(out: Path, name: str) -> list[str]:
    return sorted(pq.read_table(out / f".{name}" / "part-earlier.parquet")["id"].to_pylist())


def test_what_is_written_failed_or_unmatched_is_done_and_counts_as_that(out, tables):
    write(out, batch(ROWS[:4], stages=[None, "model", "join", None]), batch(["r4"], each=3))
    for _ in range(2):  # it may be killed itself, and done again
        done = taken(out, tables)
        assert sorted(done.ids.to_pylist()) == ROWS[:5]
        assert (done.written, done.pictures, done.failed, done.unmatched) == (3, 5, 1, 1)
        assert done.reasons == {"model: why model": 1}
    ledger = done.ledger(10, 1)
    assert (ledger.already_done, ledger.failed, ledger.unmatched, ledger.rows) == (3, 1, 1, 5)


def test_filtered_rows_stay_so(out, tables):
    made = Store(str(out))
    with acquire(out, made, "r") as mine:
        columns, rule = {"id": "id", "what": "what"}, Filter("what != 'thing 1'")
        options = Sink(name="test")
        Writer(made, options, 7, "id", columns, FACTS, mine, filter=rule)(batch(ROWS[:3]))
    for again in (True, False):
        done = taken(out, tables, retry_failed=again)
        assert sorted(done.ids.to_pylist()) == ROWS[:3]
        assert (done.written, done.filtered, done.failed) == (2, 1, 0)
        assert rejected(out, "filtered") == ["r1"]
    assert done.ledger(10, 1).rows == 3


def test_failed_rows_are_tried_again_where_that_is_asked_for(out, tables):
    write(out, batch(ROWS[:4], stages=[None, "model", "join", "llm"]))
    done = taken(out, tables, retry_failed=True)
    assert sorted(done.ids.to_pylist()) == ["r0", "r2"]
    assert not list((out / ".failed").iterdir())
    assert rejected(out, "unmatched") == ["r2"]


def test_rows_that_failed_while_read_are_read_again(out, tables):
    write(out, batch(ROWS[:3], stages=["read", None, "llm"]))
    assert sorted(taken(out, tables).ids.to_pylist()) == ["r1", "r2"]
    assert rejected(out, "failed") == ["r2"]


def test_rejected_rows_of_a_table_with_a_column_called_stage(tmp_path, out):
    path = tmp_path / "plants.csv"
    path.write_text("stage,what\nx1,oak\nx2,elm\nx3,ash\n")
    dataset = ["dataset=csv", f"dataset.path={path}", "dataset.id=stage", 'dataset.prompt="{what}"']
    plants = sources.scan(composed(*dataset, "model=noop", "llm=none").dataset, None)
    assert plants.id == "input_stage"
    rows = batch(["x1", "x2", "x3"], stages=[None, "model", "llm"])
    store, columns = Store(str(out)), {plants.id: "stage", "what": "what"}
    with acquire(out, store, "r") as mine:
        why = why_columns({"stage", "what"})
        writer = Writer(store, Sink(name="test"), 7, plants.id, columns, FACTS, mine, why)
        writer(rows.rename_columns({"id": plants.id}))
    done = resume.take_in(store, plants, "stage", why, retry_failed=False)
    assert sorted(done.ids.to_pylist()) == ["x1", "x2", "x3"]
    assert done.reasons == {"model: why model": 1, "llm: why llm": 1}


def test_failed_rows_can_be_fed_in_again_where_a_joined_table_has_a_column_called_stage(
    tmp_path, out
):
    (tmp_path / "more.csv").write_text("id,stage\n" + "".join(f"{one},1\n" for one in ROWS))
    join = [f"dataset.join.path={tmp_path / 'more.csv'}", "dataset.join.on=id"]
    made, store = config(tmp_path, *join, 'dataset.prompt="{what}"'), Store(str(out))
    columns, why = {"id": "id", "what": "what"}, why_failed(sources.scan(made.dataset, None))
    with acquire(out, store, "r") as mine:
        writer = Writer(store, Sink(name="test"), 7, "id", columns, FACTS, mine, why)
        writer(batch(ROWS[:2], stages=["model", "llm"]))
    collect_rejected(store)
    made.dataset.path, made.dataset.format = str(out / "failed.parquet"), "parquet"
    made.dataset.join.format = "csv"
    again = sources.scan(made.dataset, None)
    assert again.rows == 2 and "stage" in again.columns


def test_what_a_kill_left_twice_is_there_once(out, tables):
    """A file of failed rows was made, and its parts not yet removed; one was drawn since."""
    write(out, batch(ROWS[:3], stages=["llm", "llm", None]))
    parts = {path: path.read_bytes() for path in (out / ".failed").iterdir()}
    collect_rejected(Store(str(out)))
    (out / ".failed").mkdir()
    for path, content in parts.items():
        path.write_bytes(content)
    write(out, batch(["r1"]))
    done = taken(out, tables)
    assert (done.failed, done.written) == (1, 2)
    assert rejected(out, "failed") == ["r0"]
    assert not (out / "failed.parquet").exists()


def test_torn_parts_are_set_aside_and_traces_of_killed_writers_go(out, tables):
    write(out, batch(["r0"]), webdataset=True)
    whole = next((out / "table").glob("part-*.parquet")).read_bytes()
    (out / "table" / "torn.parquet").write_bytes(whole[:-20])
    pq.write_table(pa.table({"other": [1]}), out / "table" / "strange.parquet")
    for folder in ("table", "images", "shards"):
        (out / folder / ".0123abcd-x.png").write_bytes(b"half")
    (out / "shards" / "part-orphan.tar").write_bytes(b"its part is not there")
    done = taken(out, tables)
    assert done.ids.to_pylist() == ["r0"]
    assert sorted(Path(place).name for place in done.torn) == [
        ".torn-strange.parquet",
        ".torn-torn.parquet",
    ]
    assert pq.read_table(out / "table").num_rows == 1
    assert not list(out.rglob(".0123abcd-*"))
    assert len(list((out / "shards").iterdir())) == 1


def test_a_lock_that_this_account_cannot_write_is_told(tmp_path):
    (tmp_path / ".lock").mkdir()  # what root cannot write either
    refused = pytest.raises(
        UserError, match=r"holds \.lock, which this account cannot write \(Is a"
    )
    with refused, acquire(tmp_path, Store.of(None, tmp_path), "run"):
        pass


def test_two_commands_cannot_write_one_run(out):
    taken_already = pytest.raises(UserError, match="is being written by another command")
    with acquire(out, Store(str(out)), "r"), taken_already, acquire(out, Store(str(out)), "r"):
        pass
    write(out, batch(["r0"]))


def test_a_new_run_leaves_the_one_alone_that_writes_to_the_same_store(tmp_path):
    store = Store(str(tmp_path / "shared"))
    first, second = tmp_path / "first", tmp_path / "second"
    with acquire(first, store, "one", new=True) as mine:
        for new in (True, False):
            with pytest.raises(UserError) as refusal, acquire(second, store, "two", new=new):
                pass
            said = f"sink.path={store.url}: is written by the run in {first} on "
            assert said in str(refusal.value)
            mine.check()
        ended = pytest.raises(RunFailed, match="has ended")
        with acquire(second, store, "one"), ended:  # the same run, in a copy of its folder
            mine.check()
    with acquire(second, store, "two", new=True):
        pass
    left = Store(str(tmp_path / "own"))
    left.write(".claims/killed", b"")  # in a run's own folder its lock tells that nobody writes
    with acquire(tmp_path / "own", left, "own", new=True):
        assert len(left.parts(".claims")) == 1


def test_a_process_that_outlived_its_command_writes_nothing(out):
    store, options = Store(str(out)), Sink(name="test")
    with acquire(out, store, "r") as old:
        writer = Writer(store, options, 7, "id", {"id": "id"}, FACTS, old)
    with pytest.raises(RunFailed, match="belongs to a command that has ended"):
        writer(batch(["r0"]))
    assert not (out / "table").exists()


def test_a_claim_ends_only_after_the_batch_that_is_being_written(out):
    seen = []
    with acquire(out, Store(str(out)), "r") as mine:
        with mine.writing():
            ending = threading.Thread(target=lambda: (mine.end(), seen.append("ended")))
            ending.start()
            ending.join(0.3)
            assert ending.is_alive()
            seen.append("written")
        ending.join()
    assert seen == ["written", "ended"]


@pytest.fixture(params=["folder", "s3"])
def shared(request: pytest.FixtureRequest, tmp_path: Path, s3: S3) -> Store:
    """A place that several runs name as their `sink.path`."""
    return Store(str(tmp_path / "shared") if request.param == "folder" else f"{s3.bucket()}/run")


@pytest.fixture
def command(tmp_path: Path, shared: Store) -> Callable[..., AbstractContextManager[Ready]]:
    """All that a command does before its first row, with a run's folder in `tmp_path`."""

    @contextmanager
    def begin(name: str, *more: str, to: Store = shared) -> Iterator[Ready]:
        made = config(tmp_path, "scorer=none", f"sink.path={to.url}", *more)
        with prepared(made, tmp_path / name, []) as ready:
            ready.begin()
            yield ready

    return begin


def test_a_run_does_not_go_on_where_another_has_begun_since(tmp_path, shared, command):
    with command("one"):
        pass  # it was ended before it wrote a row
    with command("two", "seed=2") as two:
        with (
            pytest.raises(UserError, match="sink.path=.*: is the place of the run in .*two"),
            command("one", f"resume={tmp_path / 'one'}"),
        ):
            pass
        two.run_lock.check()
        shared.write("table/part-x.parquet", b"rows of two")
    with (
        pytest.raises(UserError, match="Begin this run again, with another place"),
        command("one", f"resume={tmp_path / 'one'}"),
    ):
        pass
    with pytest.raises(UserError, match="already holds a run"), command("three"):
        pass
    assert len(shared.parts(".claims")) == 0
    with command("two", "seed=2", f"resume={tmp_path / 'two'}"):
        assert len(shared.parts(".claims")) == 1


def test_a_run_that_is_refused_ends_no_claim(tmp_path, command):
    with command("one"):
        pass
    elsewhere = Store(str(tmp_path / "elsewhere"))
    with command("two", to=elsewhere) as two:
        with (
            pytest.raises(UserError, match="began with sink.path="),
            command("one", f"resume={tmp_path / 'one'}", to=elsewhere),
        ):
            pass
        two.run_lock.check()


def test_a_run_whose_store_was_emptied_goes_on_in_it(tmp_path, shared, command):
    with command("one"):
        pass
    shared.remove(RUN)
    with command("one", f"resume={tmp_path / 'one'}"):
        pass
    made = manifest.read(tmp_path / "one")
    assert shared.read(RUN).decode().startswith(f"{made.id} {tmp_path / 'one'} on ")


def begun(tmp_path: Path, *more: str) -> manifest.Record:
    made = config(tmp_path, *more)
    tables = sources.scan(made.dataset, made.limit)
    return manifest.of(made, [], sources.fingerprint(tables))


def test_resources_may_change_and_pictures_may_not(tmp_path):
    was = begun(tmp_path)
    manifest.check(was, begun(tmp_path, "resources.model.pool=1", "ray.num_cpus=1"), tmp_path)
    manifest.check(was, begun(tmp_path, "model.private_urls=true"), tmp_path)  # a remedy
    for change in ("model.width=64", "seed=1", "limit=3", "llm=template", "sink=parquet"):
        with pytest.raises(UserError, match="began with"):
            manifest.check(was, begun(tmp_path, change), tmp_path)


def test_where_further_tables_lie_may_change_and_how_they_are_joined_not(tmp_path):
    def joined(**change: str) -> manifest.Record:
        join = {"path": "a.csv", "on": "id", "how": "left", "method": "auto"} | change
        made = config(tmp_path)
        made.dataset.more_joins = [Join(**join)]
        return manifest.of(made, [], [])

    was = joined()
    manifest.check(was, joined(path="b.csv", method="shuffle"), tmp_path)
    with pytest.raises(UserError, match="more_joins.how=left"):
        manifest.check(was, joined(how="inner"), tmp_path)
    other = joined()
    other.config["dataset"]["more_joins"] = []
    with pytest.raises(UserError, match="began with dataset.more_joins="):
        manifest.check(was, other, tmp_path)


def test_another_table_is_told_and_a_moved_one_is_the_same(tmp_path):
    was = begun(tmp_path)
    (tmp_path / "moved.csv").write_bytes((tmp_path / "rows.csv").read_bytes())
    manifest.check(was, begun(tmp_path, f"dataset.path={tmp_path / 'moved.csv'}"), tmp_path)
    text = (tmp_path / "rows.csv").read_text()
    for other in (text + "r10,thing\n", text.replace("r3,thing", "r3,other")):
        (tmp_path / "rows.csv").write_text(other)
        with pytest.raises(UserError, match="is not the one that the run began with"):
            manifest.check(was, begun(tmp_path), tmp_path)


def test_a_table_that_is_left_out_is_told(tmp_path):
    (tmp_path / "more.csv").write_text("id,wears\n" + "".join(f"{one},hat\n" for one in ROWS))
    join = [f"dataset.join.path={tmp_path / 'more.csv'}", "dataset.join.on=id"]
    was, now = begun(tmp_path, *join), begun(tmp_path, *join, "dataset.join.path=null")
    with pytest.raises(UserError, match="it began with 2 tables, and is given 1"):
        manifest.check(was, now, tmp_path)


def test_what_is_typed_now_takes_the_place_of_what_was_typed(tmp_path):
    made = replace(begun(tmp_path), typed=["--config-dir=/mine", "llm=none", "limit=4", "seed=3"])
    (tmp_path / manifest.RECORD).write_text(manifest.to_json(made))
    _, said = manifest.resumed(tmp_path, ["resources.model.pool=1", "limit=8"])
    assert said[:5] == [
        *("--config-dir=/mine", "llm=none", "seed=3"),
        *("resources.model.pool=1", "limit=8"),
    ]
    assert f"hydra.run.dir='{tmp_path}'" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "holds no run that can be resumed"),
        ("{", "cannot be read"),
        ('{"strange": 1}', "cannot be read"),
        (json.dumps({"version": "0.0.0"}), "was started with imagepipe 0.0.0"),
    ],
)
def test_a_folder_that_is_no_run_is_refused(tmp_path, content: str | None, said: str):
    if content is not None:
        parts = json.loads(content) if "version" in content else None
        made = {**asdict(begun(tmp_path)), **parts} if parts else None
        (tmp_path / manifest.RECORD).write_text(json.dumps(made) if made else content)
    with pytest.raises(UserError, match=said):
        manifest.read(tmp_path)


def test_retry_failed_without_a_run_is_refused():
    with pytest.raises(UserError, match="retry_failed"):
        composed("retry_failed=true")
