"""Smooth random fields: values at the points of a coarse lattice, and between them as smooth steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Field:
    """A field on a grid (D, H, W), interpolated along x already: `values` float32 (points along z, points along y, W).
    `cells` int64 (D,) and (H,) have the point before each voxel along z and y, `weights` float32 how much the one
    after it counts."""

    values: npt.NDArray[np.float32]
    cells: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
    weights: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


def lattice(grid: tuple[int, int, int], spacing: tuple[float, float, float]) -> tuple[int, int, int]:
    """How many points along z, y and x lie under a grid, so far apart."""
    z, y, x = (math.floor((side - 1) / apart) + 2 for side, apart in zip(grid, spacing, strict=True))
    return z, y, x


def smooth_field(values: npt.NDArray[np.float64], grid: tuple[int, int, int],
                 spacing: tuple[float, float, float]) -> Field:
    """The field with these values at the points of the lattice, the first of which is at voxel (0, 0, 0). Between two
    points, t of the way from one to the other, the second counts t²·(3 - 2t): so the field has no kinks, and nowhere
    leaves the range of its values."""
    (cell_z, weight_z), (cell_y, weight_y), (cell_x, weight_x) = (
        _between(side, apart) for side, apart in zip(grid, spacing, strict=True))
    rows = values.astype(np.float32)
    before, after = rows.take(cell_x, axis=2), rows.take(cell_x + 1, axis=2)
    return Field(before + weight_x * (after - before), (cell_z, cell_y), (weight_z, weight_y))


def _between(side: int, apart: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The point before each voxel of an axis, and how much the one after it counts."""
    t = np.arange(side) / apart
    cell = np.floor(t)
    t -= cell
    return cell.astype(np.int64), (t * t * (3 - 2 * t)).astype(np.float32)
