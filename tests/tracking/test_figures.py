"""The names under which figures go to MLflow."""

from __future__ import annotations

import pytest

from imagepipe.tracking.figures import KEY_LIMIT, metric_name


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("category/a cat/clip/mean", "category/a cat/clip/mean"),
        ("category/猫/clip/mean", "category/猫/clip/mean"),
        ("category/what?!/mean", "category/what__/mean"),
        ("category/inside/outside//mean", "category/inside/outside/_/mean"),
        ("category/../mean", "category/_/mean"),
        ("category/./mean", "category/_/mean"),
        ("category//mean", "category/_/mean"),
        ("/mean", "_/mean"),
        ("score/v1.", "score/v1"),
        ("a" * (KEY_LIMIT - 1) + "/mean", "a" * (KEY_LIMIT - 1)),
    ],
)
def test_mlflow_takes_a_metrics_name_whatever_a_category_is_called(name: str, told: str):
    from mlflow.utils.validation import path_not_unique, validate_param_and_metric_name

    assert metric_name(name) == told
    assert validate_param_and_metric_name(told) and not path_not_unique(told)
