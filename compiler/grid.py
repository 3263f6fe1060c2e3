"""The sampling grid of a volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Grid:
    """A grid of `shape` (D, H, W) voxels; x runs along W, y along H, z along D.

    Voxel i of an axis with N voxels sits at i - N/2, so world coordinates are in voxels and the
    greatest one of an axis, its `limit`, is N/2 - 1.
    """

    shape: tuple[int, int, int]

    @property
    def size(self) -> tuple[float, float, float]:
        """Voxels along x, y and z."""
        d, h, w = self.shape
        return float(w), float(h), float(d)

    @property
    def voxels(self) -> int:
        d, h, w = self.shape
        return d * h * w

    def number(self, name: str) -> float:
        """The value of a `grid` leaf: `min`, `size.x`, `limit.z`, ..."""
        if name == "min":
            return min(self.size)
        what, axis = name.split(".")
        size = self.size["xyz".index(axis)]
        return size if what == "size" else size / 2 - 1

    def axis(self, name: str) -> np.ndarray:
        """World coordinates along `x`, `y` or `z`, float64."""
        n = int(self.size["xyz".index(name)])
        return np.arange(n) - n / 2

    def points(self, planes: slice = slice(None)) -> np.ndarray:
        """World points (x, y, z) of the voxels in C order, (n, 3) float64; `planes` selects along z."""
        z, y, x = np.meshgrid(self.axis("z")[planes], self.axis("y"), self.axis("x"), indexing="ij")
        return np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1)
