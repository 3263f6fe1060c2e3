"""The curves of a run: how far its loss fell, and pictures of loss and scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fdif_dsl.runtime.pictures import palette
from fdif_dsl.runtime.pictures.view import figure_file
from fdif_dsl.runtime.training.metrics import Score


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
    with _chart(path, title, str(fall(losses)), "loss") as axes:
        axes.plot(steps, losses, color=palette.ACCENT, lw=0.7, alpha=0.35)
        axes.plot(steps, line, color=palette.ACCENT, lw=2.2)
        axes.set_xlim(1, max(2, len(losses)))
        axes.set_ylim(bottom=0)


def draw_scores(history: Sequence[tuple[int, Sequence[Score]]], path: Path, title: str, what: str) -> None:
    """The score of each class at each validation, thin, and the mean of each task, thick; a PNG. `what` names the
    score."""
    steps = [step for step, _ in history]
    last = history[-1][1]
    note = "   ".join(f"{score.task} {score.mean:.3f}" for score in last)
    named = len(last) == 1 and len(last[0].classes) <= _NAMED
    longest = max(map(len, last[0].classes))
    with _chart(path, title, note, what, 0.02 + 0.0075 * longest if named else 0.0) as axes:
        for i in range(len(last)):
            values = np.array([scores[i].values for _, scores in history])  # a column for each class
            for k in range(values.shape[1]):
                axes.plot(steps, values[:, k], color=palette.label_colour(k + 1), lw=0.8, alpha=0.6)
            colour = palette.ACCENT if i == 0 else palette.label_colour(40 + i)
            axes.plot(steps, [scores[i].mean for _, scores in history], color=colour, lw=2.4, marker="o", ms=3)
        axes.set_xlim(0, steps[-1])
        axes.set_ylim(0, 1)
        if named:
            _name(axes, last[0])


_NAMED = 16  # classes whose names still find room


def _name(axes: Any, score: Score) -> None:
    """The classes' names beside the ends of their curves, far enough apart to be read."""
    ends = sorted((value, k) for k, value in enumerate(score.values) if not np.isnan(value))
    apart = 0.042
    places = np.array([value for value, _ in ends])
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + apart)
    if len(places):
        places -= max(0.0, places[-1] - 0.98)
    for place, (_, k) in zip(places, ends, strict=True):
        axes.text(1.01, place, score.classes[k], transform=axes.transAxes, fontsize=6.5, va="center",
                  color=palette.label_colour(k + 1))


@contextmanager
def _chart(path: Path, title: str, note: str, what: str, margin: float = 0.0) -> Iterator[Any]:
    """Axes over the steps of a run, with a title, a note at its right, and a name for the quantity. `margin` is the
    share of the picture that is left free beside them."""
    with figure_file(path, 8.4, 4.4) as figure:
        axes = figure.add_axes((0.08, 0.13, 0.89 - margin, 0.70))
        axes.set(xlabel="step", ylabel=what)
        axes.grid(color=palette.RULE, lw=0.6)
        axes.tick_params(labelsize=8, colors=palette.QUIET, length=2.5)
        for side in axes.spines.values():
            side.set_visible(False)
        figure.text(0.08, 0.93, title, fontsize=13, weight="bold", color=palette.INK, va="center")
        figure.text(0.97, 0.93, note, fontsize=10, color=palette.QUIET, va="center", ha="right")
        yield axes


def smooth(values: np.ndarray, width: int) -> np.ndarray:
    """A centred mean over `2 * width + 1` values, fewer at the ends."""
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    at = np.arange(len(values))
    low, high = np.maximum(at - width, 0), np.minimum(at + width + 1, len(values))
    return np.asarray((total[high] - total[low]) / (high - low))
