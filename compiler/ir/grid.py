"""The sampling grid of a volume."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

NUMBERS = ("min", "size.x", "size.y", "size.z", "limit.x", "limit.y", "limit.z")
"""Names of `grid` leaves."""
MAX_SIDE = 2048  # voxels


@dataclass(frozen=True)
class Grid:
    """A grid of `shape` (D, H, W) voxels; x runs along W, y along H, z along D.

    Voxel i of an axis with N voxels sits at i - N/2, so world coordinates are in voxels and the
    greatest one of an axis, its `limit`, is N/2 - 1.
    """

    shape: tuple[int, int, int]

    @classmethod
    def of(cls, sides: Any, where: str = "grid") -> Grid:
        """The grid of three sides (D, H, W).

        Raises:
            FdifError: naming `where`, unless they are whole numbers from 1 to 2048.
        """
        try:
            shape = tuple(operator.index(s) for s in sides)
        except TypeError:
            shape = ()
        if len(shape) != 3 or not all(1 <= s <= MAX_SIDE for s in shape):
            raise FdifError(Diagnostic("E0608", f"{sides!r:.60} is no grid", where=where,
                                       why=f"a grid is three whole numbers (D, H, W), each from 1 to {MAX_SIDE} voxels",
                                       hint="for example (96, 96, 96)"))
        return cls(shape)  # type: ignore[arg-type]

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
