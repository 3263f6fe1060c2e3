"""What a scanner sees along one axis: a matrix for blur and thick slices, whose rows have the sum 1."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_REACH = 3  # standard deviations at which a Gaussian is cut off
_FULL_WIDTH = 2 * math.sqrt(2 * math.log(2))  # at half maximum, of a Gaussian of standard deviation 1


@dataclass(frozen=True)
class Profile:
    """A matrix (N, N) for an axis of N voxels, of which only a band is not 0: row i has `weights[i]`, float32, from
    column `first[i]` on."""

    weights: npt.NDArray[np.float32]
    first: npt.NDArray[np.int64]

    @classmethod
    def of(cls, matrix: Array) -> Profile:
        side = len(matrix)
        there = matrix != 0
        first = there.argmax(axis=1)
        taps = int((side - there[:, ::-1].argmax(axis=1) - first).max())
        first = np.minimum(first, side - taps)
        columns = first[:, None] + np.arange(taps)
        return cls(np.take_along_axis(matrix, columns, axis=1).astype(np.float32, order="C"), first)

    def matrix(self) -> npt.NDArray[np.float32]:
        """All of it, float32 (N, N)."""
        side, taps = self.weights.shape
        whole = np.zeros((side, side), np.float32)
        np.put_along_axis(whole, self.first[:, None] + np.arange(taps), self.weights, axis=1)
        return whole


def blur(side: int, sigma: float) -> Array:
    """A Gaussian point spread, cut off at three standard deviations. Beyond its ends, an axis goes on as it ends."""
    places = _places(0.0, sigma)
    return _sum_of(side, np.arange(side), _gaussian(places, 0.0, sigma), places.start)


def thick_slices(side: int, thickness: int, profile: str, sigma: float = 0.0) -> Array:
    """Slices as thick as they are apart, each a mean of what its profile sees, and linear interpolation between their
    middles; beyond the first and the last one, these go on. What they see is blurred before by `sigma`."""
    count = -(-side // thickness)
    middle = (thickness - 1) / 2
    starts = thickness * np.arange(count)
    if profile == "box":
        seen = _sum_of(side, starts, [1 / thickness] * thickness, 0)
    else:
        width = thickness / _FULL_WIDTH
        places = _places(middle, width)
        seen = _sum_of(side, starts, _gaussian(places, middle, width), places.start)
    if sigma:
        seen = _blurred(seen, sigma)
    t = np.minimum(np.maximum((np.arange(side) - middle) / thickness, 0), count - 1)
    before = np.floor(t).astype(np.int64)
    after = np.minimum(before + 1, count - 1)
    share = (t - before)[:, None]
    return (1 - share) * seen[before] + share * seen[after]


def _blurred(matrix: Array, sigma: float) -> Array:
    """A matrix times that of `blur`. Not by `@`, which adds in an order of the processor's own."""
    side, places = matrix.shape[1], _places(0.0, sigma)
    reach = places.stop - 1
    wide = np.zeros((len(matrix), side + 2 * reach))
    for k, weight in enumerate(_gaussian(places, 0.0, sigma)):
        wide[:, k : k + side] += weight * matrix
    inside = wide[:, reach : reach + side]
    for k in range(reach):  # what lies beyond an end counts there
        inside[:, 0] += wide[:, k]
        inside[:, -1] += wide[:, reach + side + k]
    return inside


def _sum_of(side: int, starts: npt.NDArray[np.int64], weights: list[float], offset: int) -> Array:
    """A matrix whose row i has `weights` from column `starts[i] + offset` on; what lies beyond an end counts there."""
    matrix = np.zeros((len(starts), side))
    rows = np.arange(len(starts))
    columns = np.minimum(np.maximum(starts + offset + np.arange(len(weights))[:, None], 0), side - 1)
    for column, weight in zip(columns, weights, strict=True):
        matrix[rows, column] += weight
    return matrix


def _places(middle: float, sigma: float) -> range:
    """Where a Gaussian is looked at."""
    reach = math.ceil(_REACH * sigma)
    return range(math.floor(middle) - reach, math.ceil(middle) + reach + 1)


def _gaussian(places: range, middle: float, sigma: float) -> list[float]:
    """A Gaussian at whole places, with the sum 1."""
    distances = [(k - middle) / sigma for k in places]
    values = [math.exp(-0.5 * (d * d)) for d in distances]  # a power would overflow where a product is infinite
    total = math.fsum(values)
    return [value / total for value in values]
