"""The way back from the grid that the network sees to the voxels of an image's own file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import permutations, product

import numpy as np
import torch
from torch.nn import functional

from fdif_dsl.runtime.finetuning.data.nifti import Grid
from fdif_dsl.runtime.finetuning.sliding_window import Part, Three

_AT_ONCE = 2**26  # numbers that are worked on together
_BESIDE = 16  # numbers for each voxel beside its values: where it lies, as float64 and as float32
_ALONG = 1e-5  # of a voxel: what an axis may leave its line by, from one end of an image to the other
_SLACK = 1e-3  # of a voxel: what rounding does to places

Box = tuple[slice, slice, slice]


def on_own_grid(part: Part, affine: np.ndarray, shape: Three, grid: Grid) -> Iterator[tuple[Box, torch.Tensor,
                                                                                      torch.Tensor]]:
    """Boxes of the own grid (x, y, z), the values (outputs, ...) there, and which of the voxels the part decides on.
    `affine` and `shape` are those of the grid that the network sees, from voxel (d, h, w) to mm.

    Values are interpolated linearly, and outside of that grid they are as at its edge. All parts together decide on
    each voxel once. Where the axes of one grid run along those of the other, as they mostly do, that is done axis by
    axis, which is many times quicker.
    """
    there = np.linalg.inv(affine) @ grid.affine
    there[:3, :3][np.abs(there[:3, :3]) * grid.shape < _ALONG] = 0
    # The own axis that runs along each of d, h and w: neighbours in memory are read one after the other.
    axes = _along(there)
    back = [1 + axes.index(axis) for axis in range(3)]
    low, high = np.array(part.low), np.array(part.high)
    box = _reached(there, low, high, grid.shape)
    plane = math.prod(max(0, end - start) for start, end in (box[axis] for axis in axes[1:]))
    if not plane:
        return
    step = max(1, _AT_ONCE // ((len(part.values) + _BESIDE) * plane))
    for first in range(*box[axes[0]], step):
        ends = [(first, min(first + step, box[axes[0]][1])), *(box[axis] for axis in axes[1:])]
        # Where each voxel of the box lies, in voxels (d, h, w): an array for each of these.
        indices = np.ogrid[tuple(slice(*its) for its in ends)]
        rows = [row[3] + sum(row[axis] * index for axis, index in zip(axes, indices, strict=True) if row[axis])
                for row in there[:3]]
        decides = torch.as_tensor(np.logical_and.reduce(np.broadcast_arrays(
            *((least <= row) & (row < most) for row, least, most in zip(rows, low, high, strict=True)))))
        if not decides.any():
            continue
        inside = [np.clip(row, 0, n - 1) - first for row, n, first in zip(rows, shape, part.first, strict=True)]
        aligned = all(np.size(row) == n - m for row, (m, n) in zip(rows, ends, strict=True))
        values = _by_axes(part.values, inside) if aligned else _anywhere(part.values, inside)
        x, y, z = (slice(*ends[axes.index(axis)]) for axis in range(3))
        yield (x, y, z), values.permute(0, *back), decides[None].permute(0, *back)[0]


def _by_axes(values: torch.Tensor, places: Sequence[np.ndarray]) -> torch.Tensor:
    """Values (outputs, d, h, w) at all combinations of places along each axis, by linear interpolation."""
    for axis in sorted(range(3), key=lambda axis: places[axis].size / values.shape[1 + axis]):  # what grows least first
        its = torch.as_tensor(places[axis].ravel()).clamp(0, values.shape[1 + axis] - 1)
        before = its.floor().long().clamp(max=max(0, values.shape[1 + axis] - 2))
        share = (its - before).to(values.dtype).reshape([-1 if n == axis else 1 for n in range(3)])
        after = (before + 1).clamp(max=values.shape[1 + axis] - 1)
        values = torch.lerp(values.index_select(1 + axis, before), values.index_select(1 + axis, after), share)
    return values


def _anywhere(values: torch.Tensor, places: Sequence[np.ndarray]) -> torch.Tensor:
    """Values (outputs, d, h, w) at the place that arrays of the same shape say for each voxel, in the same way."""
    sides = values.shape[1:]
    units = [2 * place / max(side - 1, 1) - 1 for place, side in zip(places, sides, strict=True)]
    grid = torch.as_tensor(np.stack(np.broadcast_arrays(*units[::-1]), -1).astype(np.float32))
    return functional.grid_sample(values[None], grid[None], mode="bilinear", padding_mode="border",
                                  align_corners=True)[0]


def _along(there: np.ndarray) -> tuple[int, ...]:
    """The own axis that runs along each axis of the other grid, as far as that can be."""
    return max(permutations(range(3)), key=lambda axes: math.prod(abs(there[k, axis]) for k, axis in enumerate(axes)))


def _reached(there: np.ndarray, low: np.ndarray, high: np.ndarray, shape: Sequence[int]) -> list[tuple[int, int]]:
    """The least box of voxels of the own grid, from and up to, that holds all between `low` and `high`; `there` leads
    from its voxels to the places that these are."""
    corners = np.array([*product(*((0, n - 1) for n in shape))], np.float64)
    places = corners @ there[:3, :3].T + there[:3, 3]
    ends = np.array([np.maximum(low, places.min(0)), np.minimum(high, places.max(0))])
    back = np.linalg.inv(there)
    found = np.array([*product(*ends.T)]) @ back[:3, :3].T + back[:3, 3]
    return [(max(0, math.ceil(least - _SLACK)), min(n, math.floor(most + _SLACK) + 1))
            for least, most, n in zip(found.min(0), found.max(0), shape, strict=True)]
