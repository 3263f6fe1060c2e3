"""What quantities of several masks have in common: a mean, a spread of each, and what they do together.

A row of numbers is one mask. The distribution is `mean + modes + rest`: each mode moves all numbers along, times a
normal number; the rest is normal and of each number alone. Without modes the numbers are independent. How many modes
there are is decided by the likelihood of masks that were held out, one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEAST = 0.03
"""The least spread of a number that is left to itself, as a part of its spread over the masks."""
ENOUGH = 0.05
"""Modes that bring less than this share of what the best number of them brings are left out."""
MOST = 5
SHRINK = 1.0
"""How many masks the mean of all spreads counts for, beside the masks themselves."""


@dataclass(frozen=True)
class Distribution:
    """Of numbers (n): their `mean`, `modes` (k, n) for a deviation of each mode, and the deviation of the `rest`.
    `score` is the mean log-likelihood of a held-out mask, with this many modes and with none."""

    mean: np.ndarray
    modes: np.ndarray
    rest: np.ndarray
    low: np.ndarray
    high: np.ndarray
    score: tuple[float, float] = (np.nan, np.nan)

    @property
    def deviation(self) -> np.ndarray:
        """The deviation of each number in all."""
        found: np.ndarray = np.sqrt((self.modes**2).sum(0) + self.rest**2)
        return found

    def draw(self, count: int, seed: int) -> np.ndarray:
        """Random rows (count, n)."""
        random = np.random.default_rng(seed)
        modes = np.clip(random.normal(size=(count, len(self.modes))), -2.5, 2.5)
        found = self.mean + modes @ self.modes + self.rest * random.normal(size=(count, len(self.mean)))
        held: np.ndarray = np.clip(found, self.low, self.high)
        return held


def distribution_of(rows: np.ndarray, low: np.ndarray, high: np.ndarray, most: int | None = None) -> Distribution:
    """The distribution of rows (masks, n), whose numbers have ends; with at most `most` modes, and never more than one
    less than there are masks."""
    count = len(rows)
    limit = max(0, min(count - 2, MOST if most is None else most))
    scores = [_held_out(rows, k) for k in range(limit + 1)] if count > 2 else [np.nan]
    enough = max(scores) - ENOUGH * (max(scores) - scores[0])
    best = next((k for k, score in enumerate(scores) if score >= enough), 0)
    mean, modes, rest = _model(rows, best)
    spread = rows.std(0, ddof=1) if count > 1 else np.zeros(len(mean))
    return Distribution(mean, modes, rest, np.maximum(low, rows.min(0) - 2 * spread),
                        np.minimum(high, rows.max(0) + 2 * spread), (scores[best], scores[0]))


def _model(rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mean, k modes and the rest, by principal components of numbers that all have the spread 1."""
    mean = rows.mean(0)
    spread = np.maximum(rows.std(0, ddof=1), 1e-9)
    scaled = (rows - mean) / spread
    _, size, ways = np.linalg.svd(scaled, full_matrices=False)
    size = size / np.sqrt(len(rows) - 1)
    # Of the variance along a mode, what any other direction has too is no mode's own.
    left = (size[k:] ** 2).sum() / max(1, rows.shape[1] - k)
    modes = np.sqrt(np.maximum(size[:k] ** 2 - left, 0))[:, None] * ways[:k]
    rest = np.sqrt(np.maximum(1 - (modes**2).sum(0), LEAST**2))
    return mean, modes * spread, rest * spread


def _held_out(rows: np.ndarray, k: int) -> float:
    """The mean log-likelihood of each row, by the model of the others."""
    total = 0.0
    common = rows.std(0, ddof=1)
    for i in range(len(rows)):
        others = np.delete(rows, i, axis=0)
        if k > len(others) - 1:
            return -np.inf
        mean, modes, rest = _model(others, k)
        weight = SHRINK / (len(others) + SHRINK)  # few masks may agree by chance
        rest = np.sqrt((1 - weight) * rest**2 + weight * common**2) + 1e-9
        away = (rows[i] - mean) / rest
        scaled = modes / rest
        inner = np.eye(k) + scaled @ scaled.T
        through = scaled @ away
        square = away @ away - through @ np.linalg.solve(inner, through)
        total -= 0.5 * (square + np.linalg.slogdet(inner)[1] + 2 * np.log(rest).sum() + len(rest) * np.log(2 * np.pi))
    return total / len(rows)
