"""What a matrix must be that places an object; scenes and the Python API ask the same."""

from __future__ import annotations

import numpy as np

CONDITION = 1e12
"""A matrix with a greater condition number counts as singular: float64 cannot invert it usefully."""


def fault(matrix: np.ndarray) -> str:
    """What is wrong with a 4 x 4 matrix of float64 from object to world coordinates: "unknown" where it holds a NaN or
    an infinity, "singular" where it has no useful inverse, "perspective" where its last row is not 0, 0, 0, 1; else
    ""."""
    if not np.isfinite(matrix).all():
        return "unknown"
    if not np.linalg.cond(matrix[:3, :3]) < CONDITION:
        return "singular"
    return "" if (matrix[3] == (0, 0, 0, 1)).all() else "perspective"
