"""A masked auto-encoder: blocks of an image are hidden, and the network fills them in. It needs no labels.

He et al. 2022, arXiv 2111.06377; as in nnssl, a convolutional network in 3-D sees zeros in their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from fdif_dsl.runtime.training.losses import DeepSupervision
from fdif_dsl.runtime.training.metrics import Errors, Score
from fdif_dsl.runtime.training.objective import Objective

_MASK = 0x6D61736B
"""Begins the seed of a mask, so that it has nothing in common with the crop of the same volume."""


class Masked(Objective):
    """The grey levels of hidden voxels: `share` of the blocks of `size` voxels a side, as many in every image."""

    whole = False

    def __init__(self, share: float, size: int) -> None:
        self.share, self.size = share, size
        self.tasks = {"masked": ("grey level",)}
        self.loss = DeepSupervision(_Loss())

    def pose(self, image: torch.Tensor, label: torch.Tensor, seed: int,
             which: Sequence[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """The right answer (b, 2, D, H, W) is the image, and 1 where it is hidden."""
        hidden = torch.stack([self.mask(image.shape[2:], seed, *one) for one in which])[:, None].to(image)
        return image * (1 - hidden), torch.cat([image, hidden], 1)

    def mask(self, shape: Sequence[int], seed: int, number: int, crop: int) -> torch.Tensor:
        """1 where a crop of the volume `number` is hidden."""
        blocks = [-(-n // self.size) for n in shape]
        count = int(np.prod(blocks))
        flat = torch.zeros(count)
        random = np.random.default_rng((_MASK, seed, number, crop))
        flat[torch.from_numpy(random.permutation(count)[: round(self.share * count)])] = 1
        whole = flat.view(*blocks)
        for axis in range(3):
            whole = whole.repeat_interleave(self.size, axis).narrow(axis, 0, shape[axis])
        return whole

    def tallies(self, device: torch.device) -> list[Any]:
        return [Errors(device)]

    def count(self, tallies: Sequence[Any], answer: torch.Tensor, right: torch.Tensor) -> None:
        image, hidden = right[:, :1], right[:, 1:] > 0
        tallies[0].add(answer[hidden], image[hidden])

    def scores(self, tallies: Sequence[Any]) -> list[Score]:
        return [tallies[0].explained("masked", "grey level")]


class _Loss(nn.Module):
    """The mean squared error of hidden voxels."""

    def forward(self, output: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """`output` (b, 1, D, H, W), `right` as `Masked.pose` gives it."""
        image, hidden = right[:, :1], right[:, 1:]
        square = functional.mse_loss(output.float(), image, reduction="none") * hidden
        return square.sum() / hidden.sum().clamp_min(1)
