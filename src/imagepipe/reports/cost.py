"""The cost of 1,000 pictures: GPU-hours, price, energy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from imagepipe.config import Price, Share
from imagepipe.errors import figure

PICTURES = 1000
JOULES = 3.6e6  # in a kWh


def per_hour(shares: Mapping[str, Share], price: Price, machines: int) -> float | None:
    """What an hour costs on `machines` with the whole GPUs that `shares` need; null: no price.

    Half a GPU is paid as one: it is rented as a whole.
    """
    if price.gpu is None and price.machine is None:
        return None
    return gpus(shares) * (price.gpu or 0.0) + machines * (price.machine or 0.0)


def gpus(shares: Mapping[str, Share]) -> int:
    return math.ceil(round(sum(map(_gpus, shares.values())), 6))


def per_1000_pictures(
    rate: float | None, shares: Mapping[str, Share], price: Price, machines: int
) -> dict[str, Any]:
    """At `rate` pictures per second: `gpu_hours` and `price`, null without a GPU or a price, and of
    each of the `stages` the same.

    The GPUs' price is shared out by the GPUs that stages hold, the machines' by the CPUs.
    """
    hours = PICTURES / rate / 3600 if rate else math.nan
    if not math.isfinite(hours):
        return {}
    hourly = per_hour(shares, price, machines)
    cpus = sum(map(_cpus, shares.values())) or math.inf
    held = sum(map(_gpus, shares.values())) or math.inf
    whole_gpus = gpus(shares) * (price.gpu or 0.0)
    stages = {
        name: {
            "gpu_hours": _gpus(share) * hours or None,
            "price": None
            if hourly is None
            else hours
            * (
                whole_gpus * _gpus(share) / held
                + machines * (price.machine or 0.0) * _cpus(share) / cpus
            ),
        }
        for name, share in shares.items()
    }
    return {
        "gpu_hours": gpus(shares) * hours or None,
        "price": None if hourly is None else hourly * hours,
        "stages": stages,
    }


def of_run(
    rates: Mapping[str, float | None],
    shares: Mapping[str, Share],
    price: Price,
    machines: int,
    used: tuple[float | None, int],
) -> dict[str, Any]:
    """The entry `cost` of a summary: of the steady rate, or, `of` says it, end to end.

    `used` are the joules that this machine's GPUs took for so many pictures: the whole run's,
    with what others did there. `pictures_per_dollar` is null without a price above zero.
    """
    kind = "steady" if rates.get("steady") else "end_to_end"
    found = per_1000_pictures(rates.get(kind), shares, price, machines)
    joules, pictures = used
    energy = joules / JOULES * PICTURES / pictures if joules is not None and pictures else None
    paid = found.get("price")
    return {
        "of": kind,
        "price_per_hour": per_hour(shares, price, machines),
        "per_1000_pictures": found | {"gpu_kwh": energy},
        "pictures_per_dollar": PICTURES / paid if paid else None,
    }


def said(cost: Mapping[str, Any]) -> str | None:
    """In words, for the user; null if nothing is known."""
    each = cost["per_1000_pictures"]
    parts = []
    if each.get("price") is not None:
        parts.append(figure(each["price"]))
    if each.get("gpu_hours"):
        parts.append(f"{figure(each['gpu_hours'])} GPU-hours")
    if each.get("gpu_kwh") is not None:
        parts.append(f"{figure(each['gpu_kwh'])} kWh of its GPUs")
    if not parts:
        return None
    stages = {name: stage["price"] for name, stage in each.get("stages", {}).items()}
    shares = [f"{name} {figure(price)}" for name, price in stages.items() if price]
    told = f" ({', '.join(shares)})" if len(shares) > 1 else ""
    return f"{', '.join(parts)} for 1,000 pictures{told}"


def _gpus(share: Share) -> float:
    return share.pool * share.num_gpus


def _cpus(share: Share) -> float:
    return share.pool * share.num_cpus
