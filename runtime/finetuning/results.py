"""What fine-tuning found: the scores of each run, what the weights are worth, and both as tables."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fdif_dsl.runtime.finetuning.bootstrap import Difference, interval, resampled_differences, resampled_means
from fdif_dsl.runtime.finetuning.metrics import CaseScore, accuracy, auc, nanmean


@dataclass(frozen=True)
class Result:
    """`dice` and `hd95` (mm) are float64 (seeds, cases, classes): the held-out `cases`, and the `classes` without
    background. NaN is a class that a case has none of. `trained_on` are the names of the cases of each seed, of an
    ensemble those of all its networks; `taken` says what came from the weights, and is empty where there were none.
    `curve` has what `dice` was after those steps that the recipe asks for."""

    seeds: tuple[int, ...]
    cases: tuple[str, ...]
    classes: tuple[str, ...]
    dice: np.ndarray
    hd95: np.ndarray
    trained_on: tuple[tuple[str, ...], ...]
    taken: str = ""
    curve: Mapping[int, np.ndarray] = field(default_factory=dict)

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


@dataclass(frozen=True)
class Comparison:
    """`pretrained` less `scratch` in Dice, for each class and for the mean over classes."""

    pretrained: Result
    scratch: Result
    classes: tuple[Difference, ...]
    mean: Difference


def compared(pretrained: Result, scratch: Result) -> Comparison:
    """The comparison of two results of the same seeds and cases.

    The interval is a paired bootstrap: the difference of each case and seed is taken first; then cases, and seeds where
    there are several, are drawn again with replacement, ten thousand times, and the interval holds the middle 95 % of
    the means.
    """
    assert (pretrained.seeds, pretrained.cases, pretrained.classes) == (scratch.seeds, scratch.cases, scratch.classes)
    differences = pretrained.dice - scratch.dice
    drawn = resampled_means(differences)
    by_class = nanmean(differences, (0, 1))
    classes = tuple(interval(float(mean), drawn[:, k]) for k, mean in enumerate(by_class))
    return Comparison(pretrained, scratch, classes, interval(float(nanmean(by_class, (0,))), nanmean(drawn, (1,))))


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


def curve_table(curve: Mapping[int, Sequence[CaseScore]], cases: Sequence[str], classes: Sequence[str]) -> str:
    """The Dice score of each held-out case and class after some steps, as CSV."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["step", "case", "class", "dice"])
    rows.writerows([step, case, name, cell(value)] for step, scores in curve.items()
                   for case, score in zip(cases, scores, strict=True)
                   for name, value in zip(classes, score.dice, strict=True))
    return text.getvalue()


def labels_table(classes: Sequence[str], numbers: Sequence[int]) -> str:
    """The classes as CSV: as the network counts them, and the number in the files."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["class", "label", "name"])
    rows.writerows([k, number, name] for k, (number, name) in enumerate(zip(numbers, classes, strict=True)))
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


@dataclass(frozen=True)
class Classified:
    """`truth` (images,) are the classes, `chances` (seeds, images, classes) the probability of each. `trained_on` are
    the numbers of the images of each seed, `taken` says what came from the weights."""

    seeds: tuple[int, ...]
    truth: np.ndarray
    chances: np.ndarray
    trained_on: tuple[tuple[str, ...], ...]
    taken: str = ""

    @property
    def accuracy(self) -> float:
        """The share of images that are named right, a mean over seeds."""
        return float(accuracy(self.chances, self.truth[None]).mean())

    @property
    def auc(self) -> float:
        """The area under the ROC curve of each class against all others, a mean over classes and seeds."""
        return float(auc(self.chances, self.truth[None]).mean())


@dataclass(frozen=True)
class ClassComparison:
    """`pretrained` less `scratch`."""

    pretrained: Classified
    scratch: Classified
    accuracy: Difference
    auc: Difference


def compared_names(pretrained: Classified, scratch: Classified) -> ClassComparison:
    """The comparison of two results of the same seeds and images, with paired bootstrap intervals: images, and seeds
    where there are several, are drawn again two thousand times, the same ones for both."""
    assert pretrained.seeds == scratch.seeds
    drawn = resampled_differences(pretrained.chances, scratch.chances, pretrained.truth, (accuracy, auc))
    return ClassComparison(pretrained, scratch, interval(pretrained.accuracy - scratch.accuracy, drawn[:, 0]),
                           interval(pretrained.auc - scratch.auc, drawn[:, 1]))


def names_table(results: Mapping[str, Classified]) -> str:
    """The probability of each class of each test image as CSV."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    classes = next(iter(results.values())).chances.shape[2]
    rows.writerow(["start", "seed", "image", "class", *(f"p{k}" for k in range(classes))])
    for start, result in results.items():
        rows.writerows([start, seed, i, int(result.truth[i]), *map(cell, result.chances[s, i])]
                       for s, seed in enumerate(result.seeds) for i in range(len(result.truth)))
    return text.getvalue()


def naming_difference_table(found: ClassComparison) -> str:
    """Accuracy and area under the ROC curve with and without the weights, and their difference, as CSV."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["score", "pretrained", "scratch", "difference", "low", "high"])
    for name, one, other, d in (("accuracy", found.pretrained.accuracy, found.scratch.accuracy, found.accuracy),
                                ("auc", found.pretrained.auc, found.scratch.auc, found.auc)):
        rows.writerow([name, *map(cell, (one, other, d.mean, d.low, d.high))])
    return text.getvalue()


def cell(value: float) -> str:
    """A number in a table; empty where there is none."""
    return "" if math.isnan(value) else f"{value:.6g}"
