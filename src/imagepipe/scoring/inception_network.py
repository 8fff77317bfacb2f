"""The network whose features FID is told by: Inception v3 as it was in 2015.

Names, sizes and where it differs from torchvision's are those of torch-fidelity (Obukhov et al.
2020, doi:10.5281/zenodo.4957738, Apache-2.0; after mseitzer/pytorch-fid), whose file of weights it
takes: averages do not count the padding, and the last block has maxima in their place.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES = 1008
WIDE, HIGH = (1, 7), (7, 1)
# A convolution: its name, channels, kernel, and stride, which is 1 where it is left out. A route is
# convolutions one after another; at its end two may stand side by side.
Route = list[Any]


def _average(channels: int) -> Route:
    return ["average", ("branch_pool", channels, 1)]


def _first(pool: int) -> list[Route]:
    return [
        [("branch1x1", 64, 1)],
        [("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)],
        [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)],
        _average(pool),
    ]


def _middle(inner: int) -> list[Route]:
    double = [inner, inner, inner, inner, 192]
    kernels = [1, HIGH, WIDE, HIGH, WIDE]
    return [
        [("branch1x1", 192, 1)],
        [
            ("branch7x7_1", inner, 1),
            ("branch7x7_2", inner, WIDE),
            ("branch7x7_3", 192, HIGH),
        ],
        [(f"branch7x7dbl_{i + 1}", double[i], kernels[i]) for i in range(5)],
        _average(192),
    ]


def _last(pool: str) -> list[Route]:
    def side_by_side(name: str) -> list[Any]:
        return [(f"{name}a", 384, (1, 3)), (f"{name}b", 384, (3, 1))]

    return [
        [("branch1x1", 320, 1)],
        [("branch3x3_1", 384, 1), side_by_side("branch3x3_2")],
        [
            ("branch3x3dbl_1", 448, 1),
            ("branch3x3dbl_2", 384, 3),
            side_by_side("branch3x3dbl_3"),
        ],
        [pool, ("branch_pool", 192, 1)],
    ]


STEM: Route = [
    ("Conv2d_1a_3x3", 32, 3, 2, 0),
    ("Conv2d_2a_3x3", 32, 3, 1, 0),
    ("Conv2d_2b_3x3", 64, 3),
    "smaller",
    ("Conv2d_3b_1x1", 80, 1),
    ("Conv2d_4a_3x3", 192, 3, 1, 0),
    "smaller",
]
BLOCKS: dict[str, list[Route]] = {
    "Mixed_5b": _first(32),
    "Mixed_5c": _first(64),
    "Mixed_5d": _first(64),
    "Mixed_6a": [
        [("branch3x3", 384, 3, 2)],
        [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3, 2)],
        ["smaller"],
    ],
    "Mixed_6b": _middle(128),
    "Mixed_6c": _middle(160),
    "Mixed_6d": _middle(160),
    "Mixed_6e": _middle(192),
    "Mixed_7a": [
        [("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3, 2)],
        [
            ("branch7x7x3_1", 192, 1),
            ("branch7x7x3_2", 192, WIDE),
            ("branch7x7x3_3", 192, HIGH),
            ("branch7x7x3_4", 192, 3, 2),
        ],
        ["smaller"],
    ],
    "Mixed_7b": _last("average"),
    "Mixed_7c": _last("largest"),
}


POOLS: dict[str, Callable[[Tensor], Tensor]] = {
    "average": partial(F.avg_pool2d, kernel_size=3, stride=1, padding=1, count_include_pad=False),
    "largest": partial(F.max_pool2d, kernel_size=3, stride=1, padding=1),
    "smaller": partial(F.max_pool2d, kernel_size=3, stride=2),
}


class Convolution(nn.Module):
    def __init__(
        self, given: int, channels: int, kernel: Any, stride: int = 1, pad: Any = None
    ) -> None:
        super().__init__()
        pad = _padding(kernel, stride) if pad is None else pad
        self.conv = nn.Conv2d(given, channels, kernel, stride, pad, bias=False)
        self.bn = nn.BatchNorm2d(channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class Block(nn.Module):
    """Routes whose channels stand one behind another."""

    def __init__(self, given: int, routes: list[Route]) -> None:
        super().__init__()
        self.routes = routes
        self.channels = sum(self._add(given, route) for route in routes)

    def _add(self, given: int, route: Route) -> int:
        """The channels at the end of the route."""
        for step in route:
            made = [] if isinstance(step, str) else step if isinstance(step, list) else [step]
            for name, *sizes in made:
                self.add_module(name, Convolution(given, *sizes))
            given = sum(channels for _, channels, *_ in made) or given
        return given

    def _through(self, x: Tensor, route: Route) -> Tensor:
        for step in route:
            if isinstance(step, str):
                x = POOLS[step](x)
            elif isinstance(step, list):
                x = torch.cat([getattr(self, name)(x) for name, *_ in step], 1)
            else:
                x = getattr(self, step[0])(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self._through(x, route) for route in self.routes], 1)


class Inception(Block):
    """From (n, 3, 299, 299), -1 to 1, to (n, 2048)."""

    def __init__(self) -> None:
        super().__init__(3, [STEM])
        channels = self.channels
        for name, routes in BLOCKS.items():
            block = Block(channels, routes)
            self.add_module(name, block)
            channels = block.channels
        self.fc = nn.Linear(channels, CLASSES)  # in the file, and of no use here

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        for name in BLOCKS:
            x = getattr(self, name)(x)
        return x.mean(dim=(2, 3))


def _padding(kernel: Any, stride: int) -> Any:
    """So that a step of one pixel keeps the size."""
    if stride > 1:
        return 0
    return tuple(k // 2 for k in kernel) if isinstance(kernel, tuple) else kernel // 2
