"""Inception's features: of a file in the layout of torch-fidelity's, with random weights."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imagepipe.config import Distance
from imagepipe.errors import UserError
from imagepipe.scoring import features, inception

EXPECTED = [0.0081823356, 0.4999004304, 0.0440284237, 0.2839088440]
NAMES = ("Conv2d_1a_3x3.conv.weight", "Mixed_7c.branch3x3dbl_3b.bn.running_var", "fc.bias")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    network = inception.network("cpu")
    random = np.random.default_rng(0)
    for weight in network.state_dict().values():
        if weight.dim():
            spread = (2 / weight[0].numel()) ** 0.5 if weight.dim() > 1 else 0.1
            drawn = random.normal(weight.dim() == 1, spread, weight.shape)
            weight.copy_(torch.from_numpy(drawn))
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(network.state_dict(), path)
    return path


def of(file: object, **more: Any) -> Distance:
    return Distance("inception", "inception", path=str(file), **more)


def test_the_layout_is_that_of_the_file():
    """Of torch-fidelity 0.4.0's own network: as many tensors and numbers, by these names."""
    held = inception.network("meta").state_dict()
    assert len(held) == 566
    assert sum(weight.numel() for weight in held.values()) == 23_885_486
    assert set(NAMES) < set(held)


def test_features_are_those_of_torch_fidelity(file: Path):
    """The first of them, as its network gives them by these weights."""
    picture = np.add.outer(np.arange(40), 3 * np.arange(60))[..., None] + np.arange(3)
    distance = of(file, sha256=hashlib.sha256(file.read_bytes()).hexdigest()[:8])
    features.check(distance)
    made = features.make(distance)
    made.load()
    found = made.features([picture.astype(np.uint8), np.zeros((299, 299, 3), np.uint8)])
    assert found.shape == (2, 2048) and found.dtype == np.float32
    assert found[0, :4] == pytest.approx(EXPECTED, rel=1e-4)


def test_a_picture_is_resized_as_tensorflow_1_did():
    random = np.random.default_rng(1)
    picture = random.integers(0, 256, (5, 400, 3), np.uint8)
    found = ((inception.resized(picture).numpy() * 128) + 128).transpose(1, 2, 0)
    for row, column in ((0, 0), (100, 7), (298, 298)):
        y, x = row * 5 / 299, column * 400 / 299
        top, left = int(y), int(x)
        below, right = min(top + 1, 4), min(left + 1, 399)
        pixels = picture.astype(float)
        above = pixels[top, left] + (pixels[top, right] - pixels[top, left]) * (x - left)
        under = pixels[below, left] + (pixels[below, right] - pixels[below, left]) * (x - left)
        assert found[row, column] == pytest.approx(above + (under - above) * (y - top), abs=1e-2)


def lacking(held: dict[str, Any]) -> None:
    del held[NAMES[0]]


def narrow(held: dict[str, Any]) -> None:
    held[NAMES[0]] = held[NAMES[0]][:16]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lacking, f"lacks 1 of the 566 weights of Inception, such as {NAMES[0]}"),
        (narrow, f"holds {NAMES[0]} as 16x3x3x3, where"),
    ],
    ids=["lacking", "narrow"],
)
def test_another_file_is_refused(
    change: Callable[[dict[str, Any]], None], said: str, file: Path, tmp_path: Path
):
    import torch

    held = torch.load(file, weights_only=True)
    change(held)
    torch.save(held, tmp_path / "other.pth")
    with pytest.raises(UserError) as refused:
        features.check(of(tmp_path / "other.pth"))
    assert said in str(refused.value)


def test_a_file_that_is_not_there_or_is_another_is_refused(file: Path):
    with pytest.raises(UserError, match="is not a file here, and nothing fetches it"):
        features.check(of("nowhere.pth"))
    with pytest.raises(UserError, match="its SHA-256 begins with [0-9a-f]{8}, not with 6726825d"):
        features.check(of(file, sha256="6726825d"))


@pytest.mark.parametrize(
    "content",
    [b"no weights", b"", b"\x80\x04", pickle.dumps([1, 2])],
    ids=["text", "empty", "cut", "list"],
)
def test_a_file_of_something_else_is_refused(content: bytes, tmp_path: Path):
    (tmp_path / "no.pth").write_bytes(content)
    with pytest.raises(UserError, match=r"no\.pth is broken"):
        features.check(of(tmp_path / "no.pth"))
