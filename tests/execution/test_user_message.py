"""What a person is told of an exception in a worker."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.asked import dataset, with_broken_page, written
from ray.data.exceptions import SystemException
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayTaskError, UserCodeException

from imagepipe.execution.messages import user_message
from imagepipe.sources import scan

ADVICE = "\nFailed to read after 1/1 attempts.\nTo change retry attempts, backoff, or which errors"
WRITE = "ray::MapBatches(write)() (pid=1)\n  File 'x.py', line 1\nOSError: disk full" + ADVICE
READ = (
    "ray::ReadParquet->MapBatches(checked)() (pid=1)\n  File '/ray/data/_internal/datasource/"
    "parquet_datasource.py', line 1\nOSError: bad page" + ADVICE
)


WRAPPED = (
    "ray::MapBatches(llm)() (pid=1)\n  File 'x.py', line 1\nKeyError: 'a'\n\n"
    "During handling of the above exception, another exception occurred:\n\n"
    "ray::MapBatches(llm)() (pid=1)\n  File 'x.py', line 2\nAttributeError: no place\n\n"
    "The above exception was the direct cause of the following exception:\n\n"
    "ray::MapBatches(llm)() (pid=1)\nray.exceptions.UserCodeException: UDF failed" + ADVICE
)


@pytest.mark.parametrize(
    ("text", "cause", "said"),
    [
        pytest.param(
            WRAPPED,
            UserCodeException("UDF failed"),
            "AttributeError: no place (in stage llm)",
            id="wrapped",
        ),
        pytest.param(
            WRITE, OSError("disk full"), "OSError: disk full (in stage write)", id="write"
        ),
        pytest.param(
            READ, OSError("bad page"), "OSError: bad page (in reading the table)", id="read"
        ),
    ],
)
def test_the_innermost_exception_and_its_stage_are_told(
    tmp_path: Path, text: str, cause: Exception, said: str
) -> None:
    cause.args = (f"{cause.args[0]}{ADVICE}",)
    path = written(tmp_path / "t.parquet", {"id": ["1"], "what": ["a"]})
    job = SimpleNamespace(tables=scan(dataset(path), None))
    assert user_message(job, RayTaskError("f", text, cause)) == said


def test_a_broken_file_of_a_table_is_told_once(tmp_path: Path) -> None:
    path = with_broken_page(tmp_path / "t.parquet")
    job = SimpleNamespace(tables=scan(dataset(path), None))
    said = user_message(job, RayTaskError("f", READ, OSError("bad page")))
    assert said.startswith(f"{path}: cannot be read, in row group 0: ")
    assert "bad page" not in said


def test_what_a_process_died_of_is_told_and_not_rays_mark() -> None:
    made = "ray::_Actor.__init__()\n  File 'x.py', line 1\nImportError: no module"
    error = ActorDiedError(RayTaskError("_Actor", made, ImportError("no module")))
    error.__cause__ = SystemException()
    job = SimpleNamespace(watch=SimpleNamespace(stages={}))
    assert user_message(job, error) == "ImportError: no module"


@pytest.mark.parametrize(
    ("told", "figures"),
    [
        (
            "2 worker(s) were killed due to the node running low on memory. Actors: a\nMemory on "
            "the node (IP: 10.0.0.1, ID: ab) was 15.3GB used / 16GB limit (0.956), over 0.95.",
            " (15.3 of 16 GB)",
        ),
        (
            "Task was killed due to the node running low on memory.\nMemory on the node where the "
            "task was running was 15.30GB / 16.00GB (0.956), which exceeds",
            " (15.30 of 16.00 GB)",
        ),
        ("Task was killed due to the node running low on memory.", ""),
    ],
    ids=["several", "one", "short"],
)
def test_memory_that_is_used_up_is_told_without_rays_advice(told: str, figures: str) -> None:
    error = SystemException()
    error.__cause__ = OutOfMemoryError(f"{told}\nRefer to the documentation: https://host")
    said = user_message(SimpleNamespace(), error)
    assert said.startswith(f"the machine's memory was used up{figures}, and Ray ended a process.")
    assert "documentation" not in said


@pytest.mark.parametrize(
    ("told", "stage"),
    [
        (
            "The actor died unexpectedly before finishing this task.\n\tclass_name: "
            "MapWorker(MapBatches(model))\nThe actor is dead because its worker process has died. "
            "Some common causes include: (1) the process was killed by the OOM killer due to high "
            "memory usage, (2) ray stop --force is called.",
            " of stage model",
        ),
        ("The worker died unexpectedly while executing this task. Check python-core-worker-*", ""),
    ],
    ids=["actor", "task"],
)
def test_a_process_that_the_system_ended_is_told_with_what_may_be_why(
    told: str, stage: str
) -> None:
    said = user_message(SimpleNamespace(), RuntimeError(told))
    assert said.startswith(f"a process{stage} died without a word: the system may have ended it")
    assert said.endswith("/ray/session_latest/logs")


def test_what_began_a_chain_is_told(tmp_path: Path) -> None:
    outer, inner = ValueError("Failed to read CSV file"), RuntimeError("row 7 is torn")
    outer.__cause__ = inner
    path = written(tmp_path / "t.csv", "id,what\n1,a\n")
    job = SimpleNamespace(tables=scan(dataset(path), None))
    error = RayTaskError("f", "ray::MapBatches(prompt)() (pid=1)\nValueError", outer)
    assert user_message(job, error) == "RuntimeError: row 7 is torn (in stage prompt)"
