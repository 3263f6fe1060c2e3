"""The optimiser that a recipe names, and the learning rate from step to step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from fdif_dsl.runtime.settings.training import Optimisation

FALLS: dict[str, Callable[[float], float]] = {
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * done)),
    "poly": lambda done: (1 - done) ** 0.9,
    "constant": lambda done: 1.0,
}


def rate(step: int, warmup: int, steps: int, schedule: str) -> float:
    """The learning rate of a step as a share of the greatest: a straight warm-up, then the schedule's fall."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return FALLS[schedule](min(1.0, (step - warmup) / max(1, steps - warmup)))


def configure(settings: Optimisation, groups: Sequence[tuple[Sequence[torch.nn.Parameter], Callable[[int], float]]],
              ) -> Any:
    """What Lightning's `configure_optimizers` gives. Each group of parameters has a share of the learning rate of a
    step; groups without parameters are left out."""
    groups = [(parameters, share) for parameters, share in groups if parameters]

    def of(share: Callable[[int], float]) -> Callable[[int], float]:
        return lambda step: share(step) * rate(step, settings.warmup, settings.steps, settings.schedule)

    optimizer = _make([{"params": parameters} for parameters, _ in groups], settings)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, [of(share) for _, share in groups])
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _make(groups: Any, settings: Optimisation) -> torch.optim.Optimizer:
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=settings.lr, weight_decay=settings.weight_decay)
    return torch.optim.SGD(groups, lr=settings.lr, weight_decay=settings.weight_decay, momentum=0.99, nesterov=True)
