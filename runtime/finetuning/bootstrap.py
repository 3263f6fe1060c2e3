"""How certain a difference is: paired bootstrap, where what was scored is drawn again with replacement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fdif_dsl.runtime.finetuning.metrics import nanmean

CONFIDENCE = 95
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


def resampled_means(differences: np.ndarray, times: int = 10_000) -> np.ndarray:
    """Differences (seeds, cases, classes) to means (times, classes), each over seeds and cases that were drawn with
    replacement."""
    seeds, cases, _ = differences.shape
    random = np.random.default_rng(0)
    out = []
    for _ in range(times // _AT_ONCE):
        which_seeds = random.integers(seeds, size=(_AT_ONCE, seeds, 1))
        which_cases = random.integers(cases, size=(_AT_ONCE, 1, cases))
        out.append(nanmean(differences[which_seeds, which_cases], (1, 2)))
    return np.concatenate(out)


def resampled_differences(one: np.ndarray, other: np.ndarray, truth: np.ndarray,
                          metrics: Sequence[Callable[[np.ndarray, np.ndarray], np.ndarray]],
                          times: int = 2_000) -> np.ndarray:
    """How far two predictions (seeds, images, ...) of the same `truth` (images,) are apart by each metric, a mean over
    seeds: (times, metrics). The same seeds and images are drawn with replacement for both."""
    seeds, images = one.shape[:2]
    random = np.random.default_rng(0)
    out = []
    for _ in range(times):  # each may rank all images, so one at a time
        which, some = random.integers(seeds, size=(seeds, 1)), random.integers(images, size=images)
        both = [its[which, some] for its in (one, other)]
        means = [[metric(its, truth[some][None]).mean() for its in both] for metric in metrics]
        out.append([float(a - b) for a, b in means])
    return np.array(out)


def interval(mean: float, drawn: np.ndarray) -> Difference:
    """A mean difference with the middle 95 % of those drawn."""
    drawn = drawn[~np.isnan(drawn)]  # a resample may hold no case with the class
    if not len(drawn):
        return Difference(mean, np.nan, np.nan)
    tail = (100 - CONFIDENCE) / 2
    low, high = np.percentile(drawn, (tail, 100 - tail))
    return Difference(mean, float(low), float(high))
