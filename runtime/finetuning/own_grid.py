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
_SLACK = 1e-3  # of a voxel: what rounding does to places

Box = tuple[slice, slice, slice]


def on_own_grid(part: Part, affine: np.ndarray, shape: Three, grid: Grid) -> Iterator[tuple[Box, torch.Tensor,
                                                                                      torch.Tensor]]:
    """Boxes of the own grid (x, y, z), the values (outputs, ...) there, and which of the voxels the part decides on.
    `affine` and `shape` are those of the grid that the network sees, from voxel (d, h, w) to mm.

    Values are interpolated linearly, and outside of that grid they are as at its edge. All parts together decide on
    each voxel once.
    """
    there = np.linalg.inv(affine) @ grid.affine
    # The own axis that runs along each of d, h and w: neighbours in memory are read one after the other.
    axes = _along(there)
    back = [1 + axes.index(axis) for axis in range(3)]
    sides = np.array(part.values.shape[1:])
    low, high = np.array(part.low), np.array(part.high)
    box = _reached(there, low, high, grid.shape)
    plane = math.prod(max(0, end - start) for start, end in (box[axis] for axis in axes[1:]))
    if not plane:
        return
    step = max(1, _AT_ONCE // ((len(part.values) + _BESIDE) * plane))
    for first in range(*box[axes[0]], step):
        ends = [(first, min(first + step, box[axes[0]][1])), *(box[axis] for axis in axes[1:])]
        # Where each voxel of the box lies, in voxels (d, h, w).
        indices = np.ogrid[tuple(slice(*its) for its in ends)]
        rows = (row[3] + sum(row[axis] * index for axis, index in zip(axes, indices, strict=True)) for row in there[:3])
        places = np.stack(np.broadcast_arrays(*rows), -1)
        decides = torch.as_tensor(((low <= places) & (places < high)).all(-1))
        if not decides.any():
            continue
        inside = places.clip(0, np.array(shape) - 1) - part.first
        unit = torch.as_tensor((2 * inside / np.maximum(sides - 1, 1) - 1)[..., ::-1].astype(np.float32))
        values = functional.grid_sample(part.values[None], unit[None], mode="bilinear", padding_mode="border",
                                        align_corners=True)[0]
        x, y, z = (slice(*ends[axes.index(axis)]) for axis in range(3))
        yield (x, y, z), values.permute(0, *back), decides[None].permute(0, *back)[0]


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
