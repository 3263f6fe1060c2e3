"""The surface of a mask, as a mesh of triangles.

Constrained elastic surface nets (Gibson, 1998): a vertex in each cell between eight voxels that are not alike, joined
across each pair of neighbours that are not; then each vertex moves to the middle of those that it is joined to, but not
out of its cell. So the stairs of the voxels go, while no place of the surface moves by more than half a voxel along an
axis, and what is one voxel thin stays.
"""

from __future__ import annotations

import numpy as np

ROUNDS = 15
"""How often vertices move, there and back."""
_SHARES = 0.55, -0.57
"""Which share of the way to the middle (Taubin, 1995): the second step undoes what the first has shrunk."""


def surface_of(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (n, 3) in voxels, the middle of the first at (0, 0, 0), and triangles (m, 3) whose normals point
    outwards, of the voxels (x, y, z) that are true. What touches the border of the array ends there."""
    mask = np.pad(mask, 1)
    corners = [mask[i : mask.shape[0] - 1 + i, j : mask.shape[1] - 1 + j, k : mask.shape[2] - 1 + k]
               for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    mixed = np.logical_or.reduce(corners) & ~np.logical_and.reduce(corners)
    numbers = np.full(mixed.shape, -1, np.int32)
    cells = np.argwhere(mixed)
    numbers[mixed] = np.arange(len(cells), dtype=np.int32)
    squares = np.concatenate([_squares(mask, numbers, axis) for axis in range(3)])
    offsets = _relaxed(len(cells), squares, cells)
    triangles = np.concatenate([squares[:, [0, 1, 2]], squares[:, [0, 2, 3]]])
    return cells - 0.5 + offsets, triangles  # a cell begins half a voxel behind the padding's middle


def _squares(mask: np.ndarray, numbers: np.ndarray, axis: int) -> np.ndarray:
    """The four cells around each pair of neighbours along an axis that are not alike, against the clock from outside.
    """
    turned = np.moveaxis(mask, axis, 0)
    first, second = turned[:-1, 1:-1, 1:-1], turned[1:, 1:-1, 1:-1]
    found = []
    around = np.moveaxis(numbers, axis, 0)
    # The axes that follow in a circle, so that the turn is the same for all three.
    if axis == 1:
        first, second, around = (a.swapaxes(1, 2) for a in (first, second, around))
    for outwards, where in ((True, first & ~second), (False, second & ~first)):
        i, j, k = np.nonzero(where)
        square = np.stack([around[i, j, k], around[i, j + 1, k], around[i, j + 1, k + 1], around[i, j, k + 1]], axis=1)
        found.append(square if outwards else square[:, ::-1])
    return np.concatenate(found)


def _relaxed(count: int, squares: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Where in its cell each vertex comes to lie, from its middle: -1/2 to 1/2 along each axis."""
    sides = np.concatenate([np.stack([squares[:, k], squares[:, (k + 1) % 4]], axis=1) for k in range(4)])
    sides = np.unique(np.sort(sides, axis=1), axis=0)
    ends = np.concatenate([sides, sides[:, ::-1]])
    joined = np.maximum(np.bincount(ends[:, 0], minlength=count), 1)
    offsets = np.zeros((count, 3))
    for _ in range(ROUNDS):
        for share in _SHARES:
            places = cells + offsets
            for axis in range(3):
                middle = np.bincount(ends[:, 0], weights=places[ends[:, 1], axis], minlength=count) / joined
                offsets[:, axis] = np.clip(offsets[:, axis] + share * (middle - places[:, axis]), -0.5, 0.5)
    return offsets
