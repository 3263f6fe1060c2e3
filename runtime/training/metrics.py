"""How well a network does on a held-out set: Dice for each class, or the share of volumes named right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Score:
    """One task: its classes in label order without background, and for each the Dice score (or, of volumes, the share
    that is named right), NaN where the set has none of it. `size` is the voxels (or volumes) of each class."""

    task: str
    classes: tuple[str, ...]
    values: tuple[float, ...]
    size: tuple[int, ...]

    @property
    def mean(self) -> float:
        """The mean over the classes that are in the set; NaN where none is."""
        return float(np.nanmean(self.values)) if any(self.size) else math.nan

    @property
    def above_half(self) -> int:
        """How many classes score above 0.5."""
        return sum(value > 0.5 for value in self.values)


def mean(scores: Sequence[Score]) -> float:
    """The mean over the tasks."""
    return float(np.mean([score.mean for score in scores]))


class Errors:
    """Squared errors, summed over a set, and how much the values vary by themselves."""

    def __init__(self, device: torch.device) -> None:
        self.table = torch.zeros(4, dtype=torch.float64, device=device)  # errors, values, their squares, how many

    def add(self, found: torch.Tensor, there: torch.Tensor) -> None:
        """Values of any shape."""
        error, value = (found - there).double(), there.double()
        self.table += torch.stack([error.square().sum(), value.sum(), value.square().sum(),
                                   torch.tensor(value.numel(), dtype=torch.float64, device=value.device)])

    def explained(self, task: str, name: str) -> Score:
        """The share of the variance that is explained: 1 without an error, 0 for who always answers with the mean."""
        errors, total, squares, count = self.table.tolist()
        variance = squares - total**2 / max(count, 1)
        return Score(task, (name,), (1 - errors / variance if variance > 0 else math.nan,), (int(count),))


class Counts:
    """What scores are made of, summed over a set: for each class, what is there, what is found, and what is both."""

    def __init__(self, classes: int, device: torch.device) -> None:
        self.table = torch.zeros(3, classes, dtype=torch.int64, device=device)

    def add(self, found: torch.Tensor, there: torch.Tensor) -> None:
        """Class numbers of any shape. Negative ones in `there` are passed over."""
        known = there >= 0
        found, there = found[known], there[known]
        for row, values in zip(self.table, (there, found, there[there == found]), strict=True):
            row += torch.bincount(values, minlength=len(row))

    def dice(self, task: str, classes: Sequence[str]) -> Score:
        """The Dice score of each class but the first, background, over all voxels of the set together."""
        there, found, both = self.table[:, 1:].double().cpu().numpy()
        return self._score(task, classes[1:], 2 * both / np.maximum(there + found, 1), there)

    def share(self, task: str, classes: Sequence[str]) -> Score:
        """The share that is found of each class; `classes` begins with background, which is no class of volumes."""
        there, _, both = self.table.double().cpu().numpy()
        return self._score(task, classes[1:], both / np.maximum(there, 1), there)

    @staticmethod
    def _score(task: str, classes: Sequence[str], values: np.ndarray, there: np.ndarray) -> Score:
        return Score(task, tuple(classes), tuple(np.where(there > 0, values, np.nan).tolist()),
                     tuple(int(n) for n in there))
