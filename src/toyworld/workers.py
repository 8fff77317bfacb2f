"""The processes that train one model together, and what they compute on."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn

T = TypeVar("T")


def device() -> torch.device:
    """CUDA where there is one, the CPU otherwise."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def join_workers() -> None:
    """Joins the other processes that `torchrun` started, if it started this one."""
    if "RANK" in os.environ and not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


def workers() -> tuple[int, int]:
    """(number of this process, how many train together)."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def share(batch: int) -> slice:
    """The part of a batch that this process computes."""
    number, count = workers()
    if batch % count:
        raise ValueError(f"a batch of {batch} does not divide among {count} processes")
    return slice(number * batch // count, (number + 1) * batch // count)


def first_alone(make: Callable[[], T]) -> T:
    """`make()`, called by the first process before all others: for files made at first use."""
    number, count = workers()
    made = make() if number == 0 else None
    if count > 1:
        dist.barrier()
    return make() if made is None else made


def average_gradients(model: nn.Module) -> None:
    """Replaces the gradients of `model` by their mean over all processes."""
    if workers()[1] == 1:
        return
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in gradients])
    dist.all_reduce(flat)
    flat /= workers()[1]
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def autocast() -> torch.autocast:
    """bfloat16 autocast where the device computes in it; a CPU that only imitates it would train
    up to 20 times slower than in float32.
    """
    native = torch.cuda.is_available() or any(
        torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16", "bf16")
    )
    return torch.autocast(device().type, dtype=torch.bfloat16, enabled=native)


def hardware() -> str:
    """The device a training runs on, in words."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    processes = workers()[1]
    return f"{os.cpu_count()} CPU cores ({platform.machine()}), no GPU, {processes} process(es)"
