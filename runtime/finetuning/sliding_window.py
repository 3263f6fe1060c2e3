"""Patches that slide over an image. What they answer is blended with Gaussian weights, and given away plane by plane,
so that the whole answer, which has a number for each class of each voxel, never stands in memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import torch

from fdif_dsl.compiler.support.progress import Progress

Three = tuple[int, int, int]
Cut = tuple[slice, slice, slice]
Answer = Callable[[Cut], torch.Tensor]
"""What a network says (outputs, d, h, w) of a part of the image, on the CPU."""

_ROOM = 2**30  # bytes of sums that are kept at once


@dataclass(frozen=True)
class Part:
    """The finished answer in a box: `values` (outputs, d, h, w) from the voxel `first` on. Boxes overlap by a plane;
    what lies between voxels is to be taken from the box with `low` <= place < `high`, along each axis."""

    values: torch.Tensor
    first: Three
    low: tuple[float, float, float]
    high: tuple[float, float, float]


def slide(answer: Answer, outputs: int, shape: Three, patch: Three, overlap: float, progress: Progress | None = None,
          room: int = _ROOM) -> Iterator[Part]:
    """The answer for an image of that shape (D, H, W), in parts that cover it, from patches that overlap by that share.
    An image smaller than a patch is one patch along that axis, of its own size.

    Patches go from layer to layer along D, and what no further layer reaches is finished. Where the sums of a layer
    take more than `room` bytes, H is cut into strips, one after the other; a few patches lie in two of them.
    """
    from monai.data.utils import compute_importance_map

    d, h, w = (min(side, n) for side, n in zip(patch, shape, strict=True))
    middle = [slice((side - n) // 2, (side - n) // 2 + n) for side, n in zip(patch, (d, h, w), strict=True)]
    weight = torch.as_tensor(compute_importance_map(patch, mode="gaussian"))[tuple(middle)]
    along = [_starts(n, side, overlap) for n, side in zip(shape, (d, h, w), strict=True)]
    strips = _strips(along[1], shape[1], max(1, room // (4 * outputs * d * shape[2])))
    rows = [[start for start in along[1] if start <= last and start + h > first] for first, last in strips]
    done, total = 0, len(along[0]) * len(along[2]) * sum(map(len, rows))
    for (top, bottom), its_rows in zip(strips, rows, strict=True):
        height = bottom + 1 - top
        sums = torch.zeros(outputs, d, height, shape[2])
        weights = torch.zeros(d, height, shape[2])
        carried = sums[:, :0]
        for z, following in pairwise([*along[0], shape[0]]):
            for y, x in product(its_rows, along[2]):
                values = answer((slice(z, z + d), slice(y, y + h), slice(x, x + w)))
                inside = slice(max(0, top - y), min(h, bottom + 1 - y))
                there = (slice(None), slice(y + inside.start - top, y + inside.stop - top), slice(x, x + w))
                sums[(slice(None), *there)] += values[:, :, inside] * weight[:, inside]
                weights[there] += weight[:, inside]
                done += 1
                if progress is not None:
                    progress(done, total)
            step = following - z
            finished = torch.cat([carried, sums[:, :step] / weights[:step]], 1)
            first, last = following - finished.shape[1], following - 1
            ends = following == shape[0]
            yield Part(finished, (first, top, 0),
                       (first if z else -math.inf, top if top else -math.inf, -math.inf),
                       (math.inf if ends else last, math.inf if bottom == shape[1] - 1 else bottom, math.inf))
            if not ends:
                carried = finished[:, -1:].clone()
                for kept in (sums, weights[None]):
                    kept[:, : d - step] = kept[:, step:].clone()
                    kept[:, d - step :] = 0


def _starts(size: int, side: int, overlap: float) -> list[int]:
    """Where patches begin along an axis; the last ends where the axis does."""
    interval = max(1, int(side * (1 - overlap)))
    return [*range(0, size - side, interval), size - side]


def _strips(starts: Sequence[int], size: int, most: int) -> list[tuple[int, int]]:
    """The first and the last plane of strips that have about `most` planes. Each ends with the first plane of the next
    one, just before a patch begins, so that as few patches as can be lie in two."""
    edges = [0]
    ends = [start - 1 for start in starts if start > 1] + [size - 1]
    for end, following in pairwise([*ends, size - 1]):
        if end > edges[-1] and following - edges[-1] >= most and end < size - 1:
            edges.append(end)
    return list(pairwise([*edges, size - 1]))
