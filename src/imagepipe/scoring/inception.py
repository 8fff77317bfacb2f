"""Inception's features, as papers use for FID, with torch-fidelity's weights.

The file is only read from this machine: `distance.path` names it, and `distance.sha256` holds the
first digits of its digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imagepipe.config import Distance
from imagepipe.errors import UserError
from imagepipe.stages import loading, weights

SIDE = 299  # pixels of the picture that the network sees
CHUNK = 32  # pictures at a time, so that memory does not grow with the number of pictures
FIELD = "distance.path"


def check(distance: Distance) -> None:
    """Raise UserError if the file does not exist, is another one, or does not fit the network."""
    file = _file(distance)
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if distance.sha256 and not digest.startswith(distance.sha256.lower()):
        raise UserError(
            field=FIELD,
            value=distance.path,
            problem=f"its SHA-256 begins with {digest[:8]}, not with {distance.sha256}",
            remedy="Fetch it again; or, if it is the file that is meant, say so: "
            f"distance.sha256={digest[:8]}",
        )
    empty = network("meta")
    held, needed = loading.shapes(FIELD, distance.path, file), empty.state_dict()
    report = {
        "missing_keys": needed.keys() - held.keys(),
        "unexpected_keys": held.keys() - needed.keys(),
        "mismatched_keys": [
            (name, held[name], tuple(weight.shape))
            for name, weight in needed.items()
            if name in held and held[name] != tuple(weight.shape)
        ],
    }
    loading.refuse_unfit(FIELD, distance.path, str(file), empty, report)


def _file(distance: Distance) -> Path:
    file = weights.locate(weights.check_path(FIELD, distance.path))
    if isinstance(file, Path) and file.is_file():
        return file
    raise UserError(
        field=FIELD,
        value=distance.path,
        problem="is not a file here, and nothing fetches it",
        remedy="Fetch weights-inception-2015-12-05-6726825d.pth, which torch-fidelity's releases "
        "have (github.com/toshas/torch-fidelity, v0.2.0), and give its path.",
    )


class InceptionFeatures:
    """On the GPU if there is one, otherwise on the CPU; always in float32, as papers have it."""

    def __init__(self, distance: Distance) -> None:
        self.distance = distance

    def load(self) -> None:
        """Of a file that `check` has passed; a pickle in it is not run."""
        import torch

        held = torch.load(_file(self.distance), map_location="cpu", weights_only=True)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.network = network("meta")
        self.network.load_state_dict(held, strict=False, assign=True)
        self.network.to(device, torch.float32).eval()
        self.device = device

    def features(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """float32 (n, 2048) of uint8 (height, width, 3) each, of any sizes."""
        import torch

        parts = []
        for start in range(0, len(images), CHUNK):
            sized = [resized(image, self.device) for image in images[start : start + CHUNK]]
            with torch.inference_mode():
                parts.append(self.network(torch.stack(sized)).cpu().numpy())
        return np.concatenate(parts)


def resized(image: np.ndarray, device: str = "cpu") -> Any:
    """(3, SIDE, SIDE), -1 to 1, as TensorFlow 1 resized: bilinear between the two pixels at
    `place * size / SIDE` and behind it, without half a pixel's shift and without smoothing.
    """
    import torch

    pixels = torch.from_numpy(np.ascontiguousarray(image)).to(device).permute(2, 0, 1).float()
    for axis in (2, 1):
        size = pixels.shape[axis]
        where = torch.arange(SIDE, device=device) * torch.tensor(size / SIDE, device=device)
        first = where.long()
        behind = (first + 1).clamp_max(size - 1)
        share = (where - first).view([-1 if one == axis else 1 for one in range(3)])
        low, high = (pixels.index_select(axis, at) for at in (first, behind))
        pixels = low + (high - low) * share
    return (pixels - 128) / 128


def network(device: str) -> Any:
    """On the device "meta" it has only names and shapes."""
    import torch

    from imagepipe.scoring.inception_network import Inception

    with torch.device(device):
        return Inception().eval()
