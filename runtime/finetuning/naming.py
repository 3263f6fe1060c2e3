"""How well volumes are named: accuracy and the area under the ROC curve, and their difference between two starts."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fdif_dsl.runtime.finetuning.bootstrap import Difference, interval
from fdif_dsl.runtime.finetuning.results import cell

_RESAMPLES = 2_000  # each ranks all images for each class


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


def accuracy(chances: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(..., images, classes) and (..., images) -> (...)."""
    return np.asarray((chances.argmax(-1) == truth).mean(-1))


def auc(chances: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(..., images, classes) and (..., images) -> (...); a mean over the classes that are there, and not alone.

    It is the chance that an image of the class gets a greater probability of it than one of another class: the
    statistic of Mann and Whitney, from ranks.
    """
    from scipy.stats import rankdata

    areas = []
    for k in range(chances.shape[-1]):
        its = np.broadcast_to(truth == k, chances.shape[:-1])
        there = its.sum(-1)
        others = its.shape[-1] - there
        ranks = np.where(its, rankdata(chances[..., k], axis=-1), 0).sum(-1)
        areas.append(np.where((there > 0) & (others > 0),
                              (ranks - there * (there + 1) / 2) / np.maximum(there * others, 1), np.nan))
    stacked = np.stack(areas)
    known = ~np.isnan(stacked)
    return np.asarray(np.where(known, stacked, 0).sum(0) / np.maximum(known.sum(0), 1))


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
    truth = pretrained.truth
    seeds, images = len(pretrained.seeds), len(truth)
    random = np.random.default_rng(0)
    drawn: dict[str, list[float]] = {"accuracy": [], "auc": []}
    for _ in range(_RESAMPLES):
        which, some = random.integers(seeds, size=(seeds, 1)), random.integers(images, size=images)
        both = [its.chances[which, some] for its in (pretrained, scratch)]
        for name, function in (("accuracy", accuracy), ("auc", auc)):
            one, other = (function(chances, truth[some][None]).mean() for chances in both)
            drawn[name].append(float(one - other))
    return ClassComparison(pretrained, scratch,
                           interval(pretrained.accuracy - scratch.accuracy, np.array(drawn["accuracy"])),
                           interval(pretrained.auc - scratch.auc, np.array(drawn["auc"])))


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
