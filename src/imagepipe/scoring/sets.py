"""How far a set of pictures is from a reference set, by the features of both.

All but KID depend on how many pictures there are: FID and CMMD are too large for few of them, by
about `bias`, and precision and recall shift too. So runs are compared only where they have equally
many pictures, against the same reference.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

GROUPS = 10  # that are left out in turn
LEAST = 2 * GROUPS  # pictures of either set
NO_NUMBER = "is not a number for these features"
NEIGHBOURS = 3  # Kynkäänniemi et al. 2019, section 3
SIGMA, SCALE = 10.0, 1000.0  # Jayasumana et al. 2024, section 5
ROWS = 1024  # of a matrix of distances at a time, so that memory does not grow with both sets


@dataclass(frozen=True)
class Figure:
    """A distance between two sets, with the interval for the choice of pictures, and the part of
    the value that comes from their small number; null if unknown.
    """

    value: float
    low: float
    high: float
    bias: float


def figures(
    pictures: np.ndarray, reference: np.ndarray, level: float = 0.95
) -> dict[str, Figure | str]:
    """{metric: its figure, or why it has none}, of features (n, d) and (m, d)."""
    few = min(len(pictures), len(reference))
    if few < LEAST:
        why = f"{few} pictures are too few, of at least {LEAST}"
        return dict.fromkeys(METRICS, why)
    if not (np.isfinite(pictures).all() and np.isfinite(reference).all()):
        return dict.fromkeys(METRICS, NO_NUMBER)
    pictures, reference = pictures.astype(np.float64), reference.astype(np.float64)
    width, left = pictures.shape[1], few - -(-few // GROUPS)
    few_for_fid = left <= width
    with np.errstate(invalid="ignore"):  # of features of length 0, by which CMMD divides
        found: dict[str, Figure | str] = {
            name: _figure(name, jackknife(metric, pictures, reference, level))
            for name, metric in METRICS.items()
            if not (name == "fid" and few_for_fid)
        }
    if few_for_fid:
        more = width + 1 + -(-width // (GROUPS - 1))
        found["fid"] = f"{few} pictures are too few for {width} features; about {more} would do"
    return found


def _figure(name: str, found: Figure) -> Figure | str:
    """With its interval cut to the range of the metric."""
    if not math.isfinite(found.value + found.low + found.high + found.bias):
        return NO_NUMBER
    value, low, high = np.clip((found.value, found.low, found.high), *RANGES[name]).tolist()
    return Figure(value, low, high, found.bias)


def jackknife(
    metric: Callable[[np.ndarray, np.ndarray], float],
    pictures: np.ndarray,
    reference: np.ndarray,
    level: float,
) -> Figure:
    """`metric` of both sets, and how it varies as groups of either are left out in turn.

    The two-sample delete-group jackknife (Efron and Tibshirani 1993, chapter 11; Kott 2001). A
    bootstrap would draw pictures twice, and a picture is too near its own copy for all of these.
    """
    from scipy.special import stdtrit

    value = metric(pictures, reference)
    without = np.array(
        [
            [metric(some, reference) for some in _parts(pictures)],
            [metric(pictures, some) for some in _parts(reference)],
        ]
    )
    each = without.mean(axis=1, keepdims=True)
    spread = np.sqrt((GROUPS - 1) / GROUPS * ((without - each) ** 2).sum())
    half = float(stdtrit(GROUPS - 1, (1 + level) / 2) * spread)
    bias = float((GROUPS - 1) * (each - value).sum())
    return Figure(value, value - half, value + half, bias)


def _parts(features: np.ndarray) -> Iterator[np.ndarray]:
    """The features without every tenth, each tenth in turn."""
    group = np.arange(len(features)) % GROUPS
    for number in range(GROUPS):
        yield features[group != number]


def fid(pictures: np.ndarray, reference: np.ndarray) -> float:
    """Heusel et al. 2017, arXiv:1706.08500, equation 6, of any features (not only Inception's)."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    return _computed(FrechetInceptionDistance(_given(pictures.shape[1])), pictures, reference)


def kid(pictures: np.ndarray, reference: np.ndarray) -> float:
    """Binkowski et al. 2018, arXiv:1801.01401, equation 4, of as many pictures as both sets have.

    Unbiased, so that alike sets are as often below 0 as above it, and a set with itself is below.
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    few = min(len(pictures), len(reference))
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # that it keeps features
        metric = KernelInceptionDistance(_given(pictures.shape[1]), subsets=1, subset_size=few)
    return _computed(metric, pictures[:few], reference[:few])


def cmmd(pictures: np.ndarray, reference: np.ndarray) -> float:
    """Jayasumana et al. 2024, arXiv:2401.09603: the squared MMD of unit features, times 1000.

    With its Gaussian kernel of width 10 and its biased estimate, so that a set with itself is 0.
    """
    one, other = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in
                  (pictures, reference))  # fmt: skip
    return SCALE * (_kernel(one, one) + _kernel(other, other) - 2 * _kernel(one, other))


def precision(pictures: np.ndarray, reference: np.ndarray) -> float:
    """Kynkäänniemi et al. 2019, arXiv:1904.06991: the share of pictures that lie nearer to one of
    the reference than its third-nearest neighbour does.
    """
    radii = _radii(reference)
    inside = [(part <= radii).any(axis=1) for part in _distances(pictures, reference)]
    return float(np.concatenate(inside).mean())


def recall(pictures: np.ndarray, reference: np.ndarray) -> float:
    """As `precision`, with the sets exchanged: how much of the reference is covered."""
    return precision(reference, pictures)


METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "fid": fid,
    "kid": kid,
    "cmmd": cmmd,
    "precision": precision,
    "recall": recall,
}
# What each can be. KID's estimate is below 0 as often as above where it is 0.
RANGES = {
    "fid": (0.0, math.inf),
    "kid": (-math.inf, math.inf),
    "cmmd": (0.0, math.inf),
    "precision": (0.0, 1.0),
    "recall": (0.0, 1.0),
}


def _kernel(one: np.ndarray, other: np.ndarray) -> float:
    """The mean of the Gaussian kernel over all pairs."""
    sums = [np.exp(-(part**2) / (2 * SIGMA**2)).sum() for part in _distances(one, other)]
    return float(sum(sums)) / (len(one) * len(other))


def _radii(features: np.ndarray) -> np.ndarray:
    """The distance of each to its third-nearest other."""
    nearest = [np.partition(part, NEIGHBOURS, axis=1) for part in _distances(features, features)]
    return np.concatenate([part[:, NEIGHBOURS] for part in nearest])


def _distances(one: np.ndarray, other: np.ndarray) -> Iterator[np.ndarray]:
    """Euclidean, (rows of `one`, m), some rows at a time."""
    from scipy.spatial.distance import cdist

    for start in range(0, len(one), ROWS):
        yield cdist(one[start : start + ROWS], other)


def _given(width: int) -> Any:
    """Instead of a network: features as they are."""
    from torch import nn

    class Given(nn.Identity):
        num_features = width

    return Given()


def _computed(metric: Any, pictures: np.ndarray, reference: np.ndarray) -> float:
    import torch

    metric.set_dtype(torch.float64)
    with torch.random.fork_rng(devices=[]):  # KID draws subsets, here of all that there are
        metric.update(torch.from_numpy(reference), real=True)
        metric.update(torch.from_numpy(pictures), real=False)
        found = metric.compute()
    return float(found[0] if isinstance(found, tuple) else found)
