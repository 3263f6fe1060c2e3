"""Normalisation, random crops, flips, turns and shifts of intensity, on whatever device the batch is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from fdif_dsl.runtime.recipe import Augmentation

Patch = tuple[int, int, int]


def normalise(image: torch.Tensor, how: str) -> torch.Tensor:
    """Volumes (b, 1, D, H, W) with grey levels from 0 to 1: as they are, or each with mean 0 and deviation 1."""
    if how == "unit":
        return image
    flat = image.flatten(1)
    mean, deviation = (part.view(-1, 1, 1, 1, 1) for part in (flat.mean(1), flat.std(1, correction=0)))
    return (image - mean) / deviation.clamp_min(1e-8)


def crops(image: torch.Tensor, label: torch.Tensor, patch: Patch, count: int, settings: Augmentation, seed: int,
          numbers: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """`count` augmented crops of each volume: (b, c, D, H, W) twice -> (b * count, c, *patch) twice.

    Crop k of the volume with number i depends on the seed, i and k alone, so neither on the batch that it is in nor on
    the process. Where the patch is the whole grid, crops differ by augmentation alone, as in the paper.
    """
    images, labels = [], []
    for one, its, number in zip(image, label, numbers, strict=True):
        for k in range(count):
            random = np.random.default_rng((seed, number, k))
            a, b = _crop(one, its, patch, random)
            a, b = augment(a, b, settings, random)
            images.append(a)
            labels.append(b)
    return torch.stack(images), torch.stack(labels)


def _crop(image: torch.Tensor, label: torch.Tensor, patch: Patch,
          random: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    starts = [int(random.integers(n - side + 1)) for n, side in zip(image.shape[1:], patch, strict=True)]
    place = (slice(None), *(slice(start, start + side) for start, side in zip(starts, patch, strict=True)))
    return image[place], label[place]


def augment(image: torch.Tensor, label: torch.Tensor, settings: Augmentation,
            random: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """One crop (c, D, H, W): flips, quarter turns about an axis with two equal sides, a shift of the grey levels."""
    flips = [axis for axis in (1, 2, 3) if random.random() < settings.flip]
    image, label = image.flip(flips), label.flip(flips)
    axes = _PLANES[random.integers(3)]
    turns = int(random.integers(1, 4))
    if random.random() < settings.turn and image.shape[axes[0]] == image.shape[axes[1]]:
        image, label = image.rot90(turns, axes), label.rot90(turns, axes)
    shift = (2 * random.random() - 1) * settings.shift_by
    if random.random() < settings.shift:
        image = image + shift
    return image, label


_PLANES = ((1, 2), (1, 3), (2, 3))
