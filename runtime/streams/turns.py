"""The order in which a run takes cases or images of which there are only so many."""

from __future__ import annotations

import numpy as np


def place_of(number: int, count: int, seed: int) -> int:
    """Which of `count` cases is number `number` of a run; each comes once before any comes again."""
    turn, place = divmod(number, count)
    return int(np.random.default_rng((seed, turn)).permutation(count)[place])
