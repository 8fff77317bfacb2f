"""Addresses that no store has, each with what is wrong with it."""

from __future__ import annotations

import pytest
from helpers.refusals import refusal
from helpers.tracked import config

from imagepipe.tracking import database, replaying
from imagepipe.tracking.address import REMEDY, check_uri


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("ftp://host/runs", "ftp://host/runs: 'ftp:' is not a store that MLflow can open"),
        ("s3://bucket/runs", "s3://bucket/runs: 's3:' is not a store that MLflow can open"),
        (
            "sqlite:///a.db?mode=ro",
            "sqlite:///a.db?...: takes no options (write %3F for a ? in a file's name)",
        ),
        ("sqlite:///~/a.db", "sqlite:///~/a.db: begins with a ~, which only a shell replaces"),
        (
            "sqlite:///:memory:",
            "sqlite:///:memory:: is a database in memory, which ends with the run",
        ),
        ("http:///runs", "http:///runs: names no host"),
        ("postgresql:///runs", "postgresql:///runs: names no host"),
        ("http://my host:5000", "http://my host:5000: has blanks in it"),
        (" http://host:5000", "http://host:5000: has blanks in it"),
    ],
    ids="ftp s3 options home memory host database inside before".split(),
)
def test_an_address_that_is_none(uri: str, said: str):
    assert refusal(check_uri, config(uri=uri)) == f"tracking.uri={said}. {REMEDY}"


def test_a_link_to_a_file_in_no_folder(tmp_path):
    """MLflow would wait two minutes for its lock. One to a file that can be made is fine."""
    file = tmp_path / "mlflow.db"
    file.symlink_to(tmp_path / "none" / "mlflow.db")
    assert database.trouble(file) == f"it is a link into {tmp_path / 'none'}, which is not there"
    (tmp_path / "none").mkdir()
    assert database.trouble(file) is None


def test_the_address_of_a_page():
    assert refusal(check_uri, config(uri="http://host:5000/#/experiments/1")) == (
        "tracking.uri=http://host:5000/#...: is the address of a web page. "
        "Give the server's own: http://host:5000/"
    )


def test_a_folder_without_a_run_that_was_recorded(tmp_path):
    assert refusal(replaying.replay, tmp_path) == (
        f"folder={tmp_path}: holds no tracking.jsonl with a run in it. "
        "Name a run folder, such as outputs/2026-01-31/12-00-00"
    )
