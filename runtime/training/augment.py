"""Random crops, flips, turns and shifts of intensity, on whatever device the batch is."""

from __future__ import annotations

import torch

Patch = tuple[int, int, int]

FLIP, TURN, SHIFT = 0.1, 0.1, 0.5  # chances: of a flip along each axis, of a quarter turn, of a shift
_SHIFT_BY = 0.1  # of the full range, to either side


def crops(image: torch.Tensor, label: torch.Tensor, patch: Patch, count: int,
          generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """`count` random patches of each volume: (b, D, H, W) twice -> (b * count, *patch) twice.

    Where the patch is the whole grid these are copies, which augmentation makes different, as in the paper.
    """
    shape = tuple(image.shape[1:])
    if shape == patch:
        return image.repeat_interleave(count, 0), label.repeat_interleave(count, 0)
    images, labels = [], []
    for i in range(len(image)):
        for _ in range(count):
            place = tuple(
                slice(start, start + side)
                for start, side in ((_whole(n - side + 1, generator), side)
                                    for n, side in zip(shape, patch, strict=True)))
            images.append(image[i][place])
            labels.append(label[i][place])
    return torch.stack(images), torch.stack(labels)


def augment(image: torch.Tensor, label: torch.Tensor,
            generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Each patch of (b, D, H, W) on its own: flips, quarter turns about an axis with two equal sides, a shift."""
    images, labels = [], []
    for one, its in zip(image, label, strict=True):
        flips = [axis for axis in range(3) if _chance(FLIP, generator)]
        a, b = one.flip(flips), its.flip(flips)
        axes = _PLANES[_whole(3, generator)]
        if _chance(TURN, generator) and one.shape[axes[0]] == one.shape[axes[1]]:
            turns = 1 + _whole(3, generator)
            a, b = a.rot90(turns, axes), b.rot90(turns, axes)
        if _chance(SHIFT, generator):
            a = a + (2 * float(torch.rand((), generator=generator)) - 1) * _SHIFT_BY
        images.append(a)
        labels.append(b)
    return torch.stack(images), torch.stack(labels)


_PLANES = ((0, 1), (0, 2), (1, 2))


def _chance(share: float, generator: torch.Generator) -> bool:
    return float(torch.rand((), generator=generator)) < share


def _whole(below: int, generator: torch.Generator) -> int:
    return int(torch.randint(below, (), generator=generator))
