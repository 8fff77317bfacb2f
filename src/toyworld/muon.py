"""Muon, an optimiser for hidden matrices and convolutions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

# Quintic Newton-Schulz coefficients of Muon
# (Keller Jordan, 2024, kellerjordan.github.io/posts/muon).
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5


class Muon(torch.optim.Optimizer):
    """Momentum whose update is replaced by the nearest orthogonal matrix.

    Takes parameters of 2 or more dimensions, read as (first, all others). `torch.optim.Muon` takes
    2-D ones only. Source: Keller Jordan, 2024 (see `_NEWTON_SCHULZ`).
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    self._update(param, group["lr"], group["momentum"], group["weight_decay"])

    def _update(self, param: Tensor, rate: float, momentum: float, decay: float) -> None:
        state = self.state[param]
        if not state:
            state["momentum"] = torch.zeros_like(param)
        buffer = state["momentum"].lerp_(param.grad, 1 - momentum)
        flat = param.grad.lerp(buffer, momentum).reshape(param.shape[0], -1)
        scale = max(1.0, flat.shape[0] / flat.shape[1]) ** 0.5
        param.mul_(1 - rate * decay)
        param.add_(orthogonalise(flat).reshape(param.shape), alpha=-rate * scale)


def orthogonalise(matrix: Tensor) -> Tensor:
    """About U Vᵀ of the SVD of a 2-D `matrix`, by Newton-Schulz on its smaller Gram matrix.

    The polynomials commute, so all rounds run on the small square matrix and the wide one is
    multiplied only twice.
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonalise(matrix.T).T
    a, b, c = _NEWTON_SCHULZ
    wide = matrix / (matrix.norm() + 1e-7)
    gram = wide @ wide.T
    total = eye = torch.eye(gram.shape[0], device=gram.device, dtype=gram.dtype)
    for _ in range(_ROUNDS):
        factor = a * eye + b * gram + c * (gram @ gram)
        total = factor @ total
        gram = factor @ gram @ factor
    return total @ wide
