"""From the class ids of volumes to the classes of a network: 0 for background, then the recipe's classes in order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def class_table(ids: Sequence[int]) -> np.ndarray:
    """An array that turns a label value into a network class: int64, `table[id] = 1 + position in ids`.

    Values that the recipe does not draw become background.
    """
    table = np.zeros(max(ids, default=0) + 1, dtype=np.int64)
    for i, value in enumerate(ids):
        table[value] = i + 1
    return table
