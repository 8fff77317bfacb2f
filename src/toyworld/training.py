"""What all trainings of the toy world share.

A training is a function `loss(step) -> {"loss": scalar tensor, ...}` handed to a `Trainer`:

    trainer = Trainer(folder, model, Settings(steps=2000, batch=32, seed=1), adam=("conv_in",))
    trainer.fit(loss)            # goes on from the last checkpoint, if there is one
    trainer.ema                  # the averaged copy of the model, to export
    trainer.facts()              # settings, loss curve, wall time, hardware, for the model card

Draw all randomness of a step from `generator(seed, step)`: a killed run then resumes to the same
weights as an undisturbed one, and no random state needs saving. Cards are written by
`toyworld.card`.

Under `torchrun --nproc-per-node N` (after `join_workers()`), N processes train one model: draw the
whole batch, then compute on `share(batch)` of it; the trainer averages the gradients. On few busy
CPU cores, one process a core is up to 3 times faster than one process of several threads, which
wait for each other in every operation.
"""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from toyworld.muon import Muon
from toyworld.workers import average_gradients, device, hardware, workers

Loss = Callable[[int], dict[str, Tensor]]


@dataclass(frozen=True)
class Settings:
    """How long and how fast to learn.

    `muon_rate` is for hidden matrices and convolutions, `adam_rate` for all other parameters.
    `save_every` and `log_every` count steps.
    """

    steps: int
    batch: int
    seed: int = 0
    muon_rate: float = 0.01
    adam_rate: float = 1e-3
    weight_decay: float = 0.0
    warmup: int = 50
    ema: float = 0.998
    clip: float = 1.0
    save_every: int = 200
    log_every: int = 20


def generator(seed: int, step: int) -> torch.Generator:
    """A CPU generator for one step of one run; neighbouring steps are unrelated."""
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xD1B54A32D192ED03) % (1 << 63)
    return torch.Generator().manual_seed(mixed)


def cosine(step: int, steps: int, warmup: int) -> float:
    """Share of the peak rate at `step`: linear warm-up, then half a cosine down to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def optimisers(
    model: nn.Module, settings: Settings, adam: tuple[str, ...] = ()
) -> list[torch.optim.Optimizer]:
    """[Muon, AdamW] over the parameters of `model` that want gradients.

    AdamW gets vectors, embeddings, and every parameter whose name contains one of `adam` (the
    input and output layers, by Muon's rule).
    """
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    hidden: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, param in model.named_parameters():
        if param.requires_grad:
            other = param.ndim < 2 or id(param) in embeddings or any(a in name for a in adam)
            (rest if other else hidden).append(param)
    decay = settings.weight_decay
    chosen: list[torch.optim.Optimizer] = []
    if hidden:
        chosen.append(Muon(hidden, lr=settings.muon_rate, weight_decay=decay))
    if rest:
        betas = (0.9, 0.98)
        chosen.append(
            torch.optim.AdamW(rest, lr=settings.adam_rate, betas=betas, weight_decay=decay)
        )
    return chosen


class Trainer:
    """Runs a training in `folder`, which holds `checkpoint.pt` and `log.jsonl` (a line a
    `log_every` steps: step, the averages of what the loss function returned, rate, seconds).

    `model` moves to `device()`; `began_with` says where its weights come from, if they are not
    random ones. A checkpoint holds the weights, their average, the optimisers, the
    step, the seconds spent, and the settings and hardware of each start that changed one of them;
    it is replaced atomically.
    """

    def __init__(
        self,
        folder: Path,
        model: nn.Module,
        settings: Settings,
        adam: tuple[str, ...] = (),
        began_with: str | None = None,
    ) -> None:
        self.folder, self.settings, self.began_with = folder, settings, began_with
        folder.mkdir(parents=True, exist_ok=True)
        self.model = model.to(device()).train()
        self.ema = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.optimisers = optimisers(self.model, settings, adam)
        self.peaks = [o.param_groups[0]["lr"] for o in self.optimisers]
        self.step, self.seconds = 0, 0.0
        self.starts: list[dict[str, Any]] = []
        if self._checkpoint.exists():
            self._load()

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    @property
    def _log(self) -> Path:
        return self.folder / "log.jsonl"

    def fit(
        self,
        loss: Loss,
        until: int | None = None,
        every: float = 0.0,
        then: Callable[[], None] | None = None,
    ) -> None:
        """Trains to step `until` (default: `settings.steps`); the first process calls `then` about
        every `every` seconds (never when 0). A loss that is not finite raises FloatingPointError.
        """
        end = min(until or self.settings.steps, self.settings.steps)
        if self.step < end:
            self._note_start()
        began, called = time.monotonic() - self.seconds, time.monotonic()
        sums: dict[str, float] = {}
        while self.step < end:
            for name, value in self._learn(loss).items():
                sums[name] = sums.get(name, 0.0) + value
            self.step += 1
            self.seconds = time.monotonic() - began
            if workers()[0] > 0:
                continue
            if self.step % self.settings.log_every == 0:
                self._write_log(sums)
                sums = {}
            if self.step % self.settings.save_every == 0 or self.step == end:
                self.save()
            if then and every and time.monotonic() - called > every:
                then()
                called = time.monotonic()

    def _note_start(self) -> None:
        start = {"step": self.step, "hardware": hardware(), "settings": asdict(self.settings)}
        last = self.starts[-1] if self.starts else {}
        if {**last, "step": self.step} != start:
            self.starts.append(start)

    def _learn(self, loss: Loss) -> dict[str, float]:
        share = cosine(self.step, self.settings.steps, self.settings.warmup)
        for optimiser, peak in zip(self.optimisers, self.peaks, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = peak * share
        parts = loss(self.step)
        if not torch.isfinite(parts["loss"]):
            raise FloatingPointError(f"loss is {parts['loss'].item()} at step {self.step}")
        parts["loss"].backward()
        average_gradients(self.model)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        for optimiser in self.optimisers:
            optimiser.step()
        self.model.zero_grad(set_to_none=True)
        self._average()
        return {name: value.item() for name, value in parts.items()}

    @torch.no_grad()
    def _average(self) -> None:
        # A young average must not remember the random start.
        weight = 1 - min(self.settings.ema, (1 + self.step) / (10 + self.step))
        averaged, current = self.ema.state_dict(), self.model.state_dict()
        floats = [k for k, v in averaged.items() if v.is_floating_point()]
        torch._foreach_lerp_([averaged[k] for k in floats], [current[k] for k in floats], weight)

    def _write_log(self, sums: dict[str, float]) -> None:
        line: dict[str, float] = {"step": self.step}
        line |= {k: round(v / self.settings.log_every, 5) for k, v in sums.items()}
        share = cosine(self.step, self.settings.steps, self.settings.warmup)
        line |= {"rate_share": round(share, 4), "seconds": round(self.seconds, 1)}
        with self._log.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def save(self) -> None:
        """Replaces the checkpoint."""
        state = {
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict(),
            "optimisers": [o.state_dict() for o in self.optimisers],
            "step": self.step,
            "seconds": self.seconds,
            "starts": self.starts,
        }
        temporary = self._checkpoint.with_suffix(".new")
        torch.save(state, temporary)
        os.replace(temporary, self._checkpoint)

    def _load(self) -> None:
        state = torch.load(self._checkpoint, map_location=device(), weights_only=True)
        self.model.load_state_dict(state["model"])
        self.ema.load_state_dict(state["ema"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.step, self.seconds = state["step"], state["seconds"]
        self.starts = state["starts"]
        # Lines written after the checkpoint will be written again.
        lines = [json.dumps(line) + "\n" for line in self.curve() if line["step"] <= self.step]
        self._log.write_text("".join(lines))

    def curve(self) -> list[dict[str, float]]:
        """The log so far, a dictionary a line."""
        if not self._log.exists():
            return []
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def facts(self, points: int = 10) -> dict[str, Any]:
        """What the card says of this training; the curve thinned to about `points` lines."""
        curve = self.curve()
        stride = max(1, len(curve) // points)
        return {
            "settings": asdict(self.settings),
            "began_with": self.began_with,
            "steps_done": self.step,
            "minutes": round(self.seconds / 60, 1),
            "hardware": self.starts[-1]["hardware"] if self.starts else hardware(),
            "resumed": [_changes(*pair) for pair in pairwise(self.starts)],
            "torch": torch.__version__,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "curve": curve[::-1][::stride][::-1],
        }


def _changes(before: dict[str, Any], after: dict[str, Any]) -> str:
    old, new = ({"hardware": s["hardware"], **s["settings"]} for s in (before, after))
    changed = [f"{k} {old[k]} became {v}" for k, v in new.items() if v != old[k]]
    return f"at step {after['step']}, {', '.join(changed)}"
