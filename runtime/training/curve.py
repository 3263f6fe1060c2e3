"""The loss of a run: its summary in numbers and its picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fdif_dsl.runtime import palette
from fdif_dsl.runtime.view import figure_file


@dataclass(frozen=True)
class Fall:
    """How far the loss fell: from the first step's to the mean over the last steps."""

    first: float
    last: float

    @property
    def percent(self) -> float:
        """The share of the first loss that is gone, in per cent; negative where the loss rose."""
        return 100 * (1 - self.last / self.first) if self.first else 0.0

    def __str__(self) -> str:
        if self.percent < 0:
            return f"loss {self.first:.3f} -> {self.last:.3f} ({-self.percent:.0f} % up)"
        return f"loss {self.first:.3f} -> {self.last:.3f} ({self.percent:.0f} % down)"


def fall(losses: Sequence[float]) -> Fall:
    """The fall of a run; a single step is noisy, so the last twentieth of it (ten steps or more) is averaged."""
    window = min(len(losses), max(10, len(losses) // 20))
    return Fall(losses[0], float(np.mean(losses[-window:])))


def draw_loss(losses: Sequence[float], path: Path, title: str) -> None:
    """The loss of each step and a smooth line through it, as a PNG."""
    steps = np.arange(1, len(losses) + 1)
    line = smooth(np.asarray(losses), max(1, len(losses) // 20))
    with figure_file(path, 8.4, 4.4) as figure:
        axes = figure.add_axes((0.08, 0.13, 0.89, 0.70))
        axes.plot(steps, losses, color=palette.ACCENT, lw=0.7, alpha=0.35)
        axes.plot(steps, line, color=palette.ACCENT, lw=2.2)
        axes.set(xlim=(1, max(2, len(losses))), xlabel="step", ylabel="loss (Dice + cross-entropy)")
        axes.set_ylim(bottom=0)
        axes.grid(color=palette.RULE, lw=0.6)
        axes.tick_params(labelsize=8, colors=palette.QUIET, length=2.5)
        for side in axes.spines.values():
            side.set_visible(False)
        result = fall(losses)
        figure.text(0.08, 0.93, title, fontsize=13, weight="bold", color=palette.INK, va="center")
        figure.text(0.97, 0.93, str(result), fontsize=10, color=palette.QUIET, va="center", ha="right")


def smooth(values: np.ndarray, width: int) -> np.ndarray:
    """A centred mean over `2 * width + 1` values, fewer at the ends."""
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    at = np.arange(len(values))
    low, high = np.maximum(at - width, 0), np.minimum(at + width + 1, len(values))
    return np.asarray((total[high] - total[low]) / (high - low))
