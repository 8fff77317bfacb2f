"""How far two sets of pictures are apart: against known values, and how it varies."""

from __future__ import annotations

import numpy as np
import pytest

from imagepipe.scoring.sets import (
    METRICS,
    NO_NUMBER,
    RANGES,
    Figure,
    cmmd,
    fid,
    figures,
    jackknife,
    kid,
    precision,
    recall,
)


def drawn(seed: int, rows: int = 300, width: int = 8, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1.0, (rows, width))


def value(found: Figure | str) -> Figure:
    assert isinstance(found, Figure), found
    return found


def test_fid_is_frechets_distance_of_two_normal_distributions():
    """Of means and covariances that are known: |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))."""
    one, other = drawn(1), 2.0 * drawn(1) + 3.0
    mean, covariance = one.mean(axis=0), np.cov(one.T)
    expected = ((mean + 3.0) ** 2).sum() + np.trace(covariance)  # S2 = 4 S1, so the root is 2 S1
    assert fid(one, other) == pytest.approx(expected, rel=1e-6)


def test_kid_is_the_unbiased_mmd_of_a_cubic_kernel():
    one, other = drawn(1, 40), drawn(2, 40, shift=0.3)

    def kernel(x, y):
        return (x @ y.T / 8 + 1) ** 3

    pairs = 40 * 39
    inner = [(k.sum() - np.trace(k)) / pairs for k in (kernel(one, one), kernel(other, other))]
    expected = sum(inner) - 2 * kernel(one, other).mean()
    assert kid(one, other) == pytest.approx(expected, rel=1e-6)


def test_cmmd_is_the_mmd_of_unit_features():
    one, other = drawn(1, 30), drawn(2, 20, shift=0.5)
    units = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in (one, other)]

    def mean(x, y):
        return np.mean([np.exp(-((a - b) ** 2).sum() / 200) for a in x for b in y])

    expected = 1000 * (mean(units[0], units[0]) + mean(units[1], units[1]) - 2 * mean(*units))
    assert cmmd(one, other) == pytest.approx(expected, rel=1e-6)


def test_precision_and_recall_tell_what_is_missing_from_what_is_wrong():
    reference = np.concatenate([drawn(1, 100), drawn(2, 100, shift=50)])
    half = drawn(3, 200)
    assert precision(half, reference) > 0.85
    assert 0.35 < recall(half, reference) < 0.5
    wrong = np.concatenate([drawn(4, 100), drawn(5, 100, shift=-50)])
    assert precision(wrong, reference) < 0.5


def test_a_set_with_itself_is_zero_within_its_interval():
    one = drawn(1)
    found = figures(one, one)
    for name in ("fid", "cmmd"):
        figure = value(found[name])
        assert figure.low <= 0 <= figure.high, name
        assert figure.value == pytest.approx(0, abs=1e-6)
    assert -0.1 < value(found["kid"]).value < 0  # it is unbiased for sets drawn apart
    assert value(found["precision"]).value == value(found["recall"]).value == 1


@pytest.mark.parametrize("name", ["fid", "kid", "cmmd"])
def test_a_distance_rises_with_added_noise(name: str):
    one = drawn(1)
    noise = np.random.default_rng(9).normal(0, 1, one.shape)
    told = [METRICS[name](one + share * noise, one) for share in (0.0, 0.5, 1.0, 2.0)]
    assert told == sorted(told) and told[-1] > 10 * max(abs(told[0]), 0.001)


@pytest.mark.parametrize("name", ["fid", "cmmd"])
def test_the_bias_is_what_more_pictures_would_take_away(name: str):
    """Of alike sets, of which the true distance is 0."""
    few = [value(figures(drawn(s, 100), drawn(s + 50, 100))[name]) for s in range(1, 9)]
    mean = np.mean([figure.value for figure in few])
    assert np.mean([figure.bias for figure in few]) == pytest.approx(mean, rel=0.35)


def test_the_interval_covers_what_a_large_sample_tells():
    """Of the value without its bias, which a large sample has not."""
    truth = cmmd(drawn(100, 3000), drawn(101, 3000, shift=0.4))
    found = [
        jackknife(cmmd, drawn(seed, 60), drawn(seed + 500, 60, shift=0.4), 0.95)
        for seed in range(100)
    ]
    inside = [one.low - one.bias <= truth <= one.high - one.bias for one in found]
    assert 0.9 <= np.mean(inside) <= 0.99


@pytest.mark.parametrize(("few", "shift"), [(20, 0.0), (20, 1.5), (40, 3.0), (60, 50.0)])
def test_no_interval_goes_beyond_what_the_metric_can_be(few: int, shift: float):
    found = figures(drawn(1, few), drawn(2, few, shift=shift))
    for name, one in found.items():
        least, most = RANGES[name]
        figure = value(one)
        assert least <= figure.low <= figure.value <= figure.high <= most, name


def test_features_that_are_no_numbers_are_told():
    found = figures(np.zeros((20, 8)), drawn(2, 30))  # of length 0, by which CMMD divides
    assert found["cmmd"] == NO_NUMBER
    assert isinstance(found["precision"], Figure)
    assert set(figures(np.full((20, 8), np.nan), drawn(2, 30)).values()) == {NO_NUMBER}


def test_too_few_pictures_are_told():
    assert set(figures(drawn(1, 19), drawn(2)).values()) == {
        "19 pictures are too few, of at least 20"
    }
    found = figures(drawn(1, 50, width=64), drawn(2, 300, width=64))
    assert found["fid"] == "50 pictures are too few for 64 features; about 73 would do"
    assert isinstance(found["cmmd"], Figure)
    assert isinstance(figures(drawn(1, 73, width=64), drawn(2, 300, width=64))["fid"], Figure)
