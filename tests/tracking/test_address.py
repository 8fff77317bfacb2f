"""Which addresses pass, which are refused, and who is told to have given them."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock, Timeout
from helpers.configs import composed
from helpers.tracked import begin, config, finish

from imagepipe import tracking
from imagepipe.errors import UserError
from imagepipe.tracking.address import resolve
from imagepipe.tracking.sender import connect

PLATFORMS = [
    "databricks",
    "databricks://profile",
    "databricks://scope:prefix",
    "azureml://eastus.api.azureml.ms/mlflow/v1.0/x",
    "arn:aws:sagemaker:us-east-1:1:mlflow-tracking-server/t",
]


@pytest.mark.parametrize("uri", PLATFORMS)
def test_a_platforms_address_passes(tmp_path, uri):
    tracking.check(config(uri=uri), Path())
    address = resolve(config(uri=uri), tmp_path)
    assert (address.uri, address.artifacts) == (uri, None)
    assert address.link("1", "r") == f"run r at {uri}"
    assert address.sweep_links("1", "s", "m") == []


def test_a_platform_without_its_package_is_said_and_the_run_goes_on(tmp_path, logged):
    run = begin(tmp_path, "run", config(uri=PLATFORMS[-1]))
    finish(run, tmp_path / "run")
    assert run.run_id is None
    assert "by the package sagemaker-mlflow, which is not installed" in logged.text
    assert "send the rest later" in logged.text


@pytest.mark.parametrize("uri", ["file:./mlruns", "ftp://host/x", "ml5000", "http://"])
def test_an_address_that_the_environment_gave_is_told_by_its_variable(monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UserError, match=r"given by MLFLOW_TRACKING_URI.*tracking=none"):
        tracking.check(config(uri=uri), Path())
    with pytest.raises(UserError) as caught:
        tracking.check(config(uri=f"{uri} typed"), Path())
    assert "MLFLOW_TRACKING_URI" not in str(caught.value)


def test_the_experiment_is_the_environments(monkeypatch):
    for name in ("NAME", "ID"):
        monkeypatch.delenv(f"MLFLOW_EXPERIMENT_{name}", raising=False)
    assert composed().tracking.experiment == "imagepipe"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "7")
    assert composed().tracking.experiment == "7"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "team-a")
    assert composed().tracking.experiment == "team-a"
    assert composed("tracking.experiment=mine").tracking.experiment == "mine"


def test_who_comes_while_another_makes_the_database_waits(tmp_path, monkeypatch):
    """Two that make its schema at one time crash in MLflow's migration."""
    monkeypatch.setattr("imagepipe.tracking.sender.LOCK_TIMEOUT_S", 0)
    address = resolve(config(), tmp_path)
    with FileLock(f"{address.sqlite_file}.lock"), pytest.raises(Timeout):
        connect(address)
