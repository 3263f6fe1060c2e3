"""What the weights are worth: the same runs with them and without, and the difference with its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fdif_dsl.runtime.finetuning.results import Result, nanmean

CONFIDENCE = 95
_RESAMPLES = 10_000
_AT_ONCE = 500


@dataclass(frozen=True)
class Difference:
    """A mean difference, and the bounds of its interval of 95 % confidence; NaN where nothing was scored."""

    mean: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether 0 lies outside of the interval."""
        return self.low > 0 or self.high < 0


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
    drawn = _drawn(differences)  # (resamples, classes)
    by_class = nanmean(differences, (0, 1))
    classes = tuple(interval(float(mean), drawn[:, k]) for k, mean in enumerate(by_class))
    return Comparison(pretrained, scratch, classes, interval(float(nanmean(by_class, (0,))), nanmean(drawn, (1,))))


def _drawn(differences: np.ndarray) -> np.ndarray:
    """The mean of each class in each resample."""
    seeds, cases, _ = differences.shape
    random = np.random.default_rng(0)
    out = []
    for _ in range(_RESAMPLES // _AT_ONCE):
        which_seeds = random.integers(seeds, size=(_AT_ONCE, seeds, 1))
        which_cases = random.integers(cases, size=(_AT_ONCE, 1, cases))
        out.append(nanmean(differences[which_seeds, which_cases], (1, 2)))
    return np.concatenate(out)


def interval(mean: float, drawn: np.ndarray) -> Difference:
    """A mean difference with the middle 95 % of those drawn."""
    drawn = drawn[~np.isnan(drawn)]  # a resample may hold no case with the class
    if not len(drawn):
        return Difference(mean, np.nan, np.nan)
    tail = (100 - CONFIDENCE) / 2
    low, high = np.percentile(drawn, (tail, 100 - tail))
    return Difference(mean, float(low), float(high))
