"""What fine-tuning found: the scores of each run, case and class."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fdif_dsl.runtime.finetuning.bootstrap import Comparison


@dataclass(frozen=True)
class Result:
    """`dice` and `hd95` (mm) are float64 (seeds, cases, classes): the held-out `cases`, and the `classes` without
    background. NaN is a class that a case has none of. `trained_on` are the names of the cases of each seed, `taken`
    says what came from the weights, and is empty where there were none."""

    seeds: tuple[int, ...]
    cases: tuple[str, ...]
    classes: tuple[str, ...]
    dice: np.ndarray
    hd95: np.ndarray
    trained_on: tuple[tuple[str, ...], ...]
    taken: str = ""

    def by_class(self, values: np.ndarray) -> np.ndarray:
        """The mean of each class over seeds and cases; NaN where no case has it."""
        return nanmean(values, (0, 1))

    @property
    def mean_dice(self) -> float:
        """The mean over classes of their means; NaN where there is none."""
        return float(nanmean(self.by_class(self.dice), (0,)))

    @property
    def mean_hd95(self) -> float:
        return float(nanmean(self.by_class(self.hd95), (0,)))


def nanmean(values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The mean of what is no NaN; NaN, without a warning, where there is nothing."""
    there = ~np.isnan(values)
    count = there.sum(axes)
    total = np.where(there, values, 0).sum(axes)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def table(results: Mapping[str, Result]) -> str:
    """Every score as CSV: one line for each start (`pretrained` or `scratch`), seed, case and class."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["start", "seed", "case", "class", "dice", "hd95"])
    for start, result in results.items():
        rows.writerows(
            [start, seed, case, name, cell(result.dice[s, c, k]), cell(result.hd95[s, c, k])]
            for s, seed in enumerate(result.seeds) for c, case in enumerate(result.cases)
            for k, name in enumerate(result.classes))
    return text.getvalue()


def difference_table(comparison: Comparison) -> str:
    """The Dice scores with and without the weights, their difference and its interval, as CSV: a line for each class,
    and one for their mean."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["class", "pretrained", "scratch", "difference", "low", "high"])
    with_weights, without = comparison.pretrained, comparison.scratch
    columns = (with_weights.classes, with_weights.by_class(with_weights.dice), without.by_class(without.dice),
               comparison.classes)
    lines = [*zip(*columns, strict=True), ("mean", with_weights.mean_dice, without.mean_dice, comparison.mean)]
    rows.writerows([name, *map(cell, (one, other, d.mean, d.low, d.high))] for name, one, other, d in lines)
    return text.getvalue()


def cell(value: float) -> str:
    """A number in a table; empty where there is none."""
    return "" if math.isnan(value) else f"{value:.6g}"
