"""Along which axes patches are mirrored: none along which labels tell one end of the body from the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from fdif_dsl.runtime.finetuning.data.preprocessing import Prepared
from fdif_dsl.runtime.finetuning.rules import AUTO, AXES

_APART = 1.0
"""How many spreads lie between the middles of two classes that are told apart by where they lie."""


def axes_to_mirror(axes: str, cases: Sequence[Prepared]) -> str:
    """The letters of `axes`; of `auto` those that are left when each is taken away along which one class lies beyond
    another in all `cases` that have both: a mirrored patch would show what no body has.

    One lies beyond another where their middles are further apart than the mean of their spreads, the standard
    deviations of where their voxels are.
    """
    if axes != AUTO:
        return axes
    where = [[_middle_and_spread(case, places) for places in case.places[1:]] for case in cases]
    classes = max((len(its) for its in where), default=0)
    fixed = np.zeros(3, bool)
    for one, other in combinations(range(classes), 2):
        pairs = ((its[one], its[other]) for its in where)
        gaps = np.array([(a[0] - b[0]) / np.maximum((a[1] + b[1]) / 2, 0.5) for a, b in pairs if a and b])
        if len(gaps):
            fixed |= (gaps > _APART).all(0) | (gaps < -_APART).all(0)
    return "".join(letter for letter, told in zip(AXES, fixed[::-1], strict=True) if not told)


def _middle_and_spread(case: Prepared, places: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Both along (z, y, x), in voxels; None where the case has no voxel of the class."""
    if not len(places):
        return None
    at = np.stack(np.unravel_index(places, case.label.shape[1:]), 1)
    return at.mean(0), at.std(0)
