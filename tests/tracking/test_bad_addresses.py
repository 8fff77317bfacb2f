"""Addresses that no store has, each with what is wrong with it."""

from __future__ import annotations

import pytest
from helpers.refusals import refusal
from helpers.tracked import config

from imagepipe.tracking import replaying
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
        ("http:///runs", "http:///runs: names no host"),
        ("postgresql:///runs", "postgresql:///runs: names no host"),
        ("http://my host:5000", "http://my host:5000: has blanks in it"),
        (" http://host:5000", "http://host:5000: has blanks in it"),
    ],
    ids="ftp s3 options host database inside before".split(),
)
def test_an_address_that_is_none(uri: str, said: str):
    assert refusal(check_uri, config(uri=uri)) == f"tracking.uri={said}. {REMEDY}"


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
