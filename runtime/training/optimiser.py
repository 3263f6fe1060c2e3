"""The learning rate from step to step."""

from __future__ import annotations

import math
from collections.abc import Callable

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
