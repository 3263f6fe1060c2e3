"""What only a formula can say of every voxel: whether it is in an object, whether in the one in the middle, and how far
the nearest border is. None of it needs a class, so few channels will do.

Labels are the numbers of objects (`volume.label = "instance"`), so borders between touching objects are known too.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from fdif_dsl.runtime.recipe.rules import TARGETS
from fdif_dsl.runtime.training.heads import split
from fdif_dsl.runtime.training.losses import DeepSupervision, DiceAndCrossEntropy
from fdif_dsl.runtime.training.metrics import Counts
from fdif_dsl.runtime.training.objective import Objective

OBJECT, MIDDLE, DISTANCE = TARGETS
_CLASSES = {OBJECT: ("background", "object"), MIDDLE: ("background", "the object in the middle"),
            DISTANCE: ("inside",)}


class Structure(Objective):
    """Some of `TARGETS` at once, each with channels of its own: two for `object` and for `middle`, one for `distance`,
    which is in parts of `reach` voxels. A distance is scored as what is inside by its sign."""

    whole = False

    def __init__(self, targets: Sequence[str], reach: int) -> None:
        self.targets, self.reach = tuple(targets), reach
        self.tasks = {name: _CLASSES[name] for name in targets}
        self.loss = DeepSupervision(_Loss(self.targets))

    def pose(self, image: torch.Tensor, label: torch.Tensor, seed: int,
             which: Sequence[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
        number = label[:, 0]
        made = {OBJECT: lambda: (number > 0).float(), MIDDLE: lambda: in_the_middle(number).float(),
                DISTANCE: lambda: border_distance(number, self.reach)}
        return image, torch.stack([made[name]() for name in self.targets], 1)

    def tallies(self, device: torch.device) -> list[Any]:
        return [Counts(2, device) for _ in self.targets]

    def count(self, tallies: Sequence[Any], answer: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        parts = split(answer, [len(classes) for classes in self.tasks.values()])
        found = [(part[:, 0] > 0).long() if name == DISTANCE else part.argmax(1)
                 for name, part in zip(self.targets, parts, strict=True)]
        for i, tally in enumerate(tallies):
            tally.add(found[i], (right[:, i] > 0).long())
        return found[0][0]

    def scores(self, tallies: Sequence[Any]) -> list[Any]:
        return [tally.dice(name, ("background", classes[-1]))
                for tally, (name, classes) in zip(tallies, self.tasks.items(), strict=True)]


class _Loss(nn.Module):
    """The mean over the targets: Dice and cross-entropy where voxels are told apart, the mean error of a distance."""

    def __init__(self, targets: Sequence[str]) -> None:
        super().__init__()
        self.targets = tuple(targets)
        self.apart = DiceAndCrossEntropy((2,), present=False)

    def forward(self, output: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """`output` (b, sum of channels, D, H, W), `right` (b, targets, D, H, W)."""
        parts = split(output.float(), [len(_CLASSES[name]) for name in self.targets])
        terms = [functional.l1_loss(part, right[:, i : i + 1]) if name == DISTANCE else
                 self.apart(part, right[:, i : i + 1].long())
                 for i, (name, part) in enumerate(zip(self.targets, parts, strict=True))]
        return torch.stack(terms).mean()


def in_the_middle(number: torch.Tensor) -> torch.Tensor:
    """The voxels (b, D, H, W) of the object with a voxel nearest to the middle, by the objects' numbers; of equally
    near ones the first in memory decides. None where there is no object."""
    axes = [torch.arange(n, device=number.device) - (n - 1) / 2 for n in number.shape[1:]]
    far = (axes[0] ** 2)[:, None, None] + (axes[1] ** 2)[:, None] + axes[2] ** 2
    far = far.expand(number.shape).masked_fill(number == 0, torch.inf).flatten(1)
    nearest = number.flatten(1).gather(1, far.argmin(1, keepdim=True))
    return (number == nearest[:, :, None, None]) & (number > 0)


def border_distance(number: torch.Tensor, reach: int) -> torch.Tensor:
    """How far the nearest border is (b, D, H, W), in parts of `reach` voxels, positive in objects, at most 1.

    A border lies between two voxels of different numbers, half a voxel from each; the distance of other voxels is
    Euclidean, to the next voxel at a border and half a voxel more.
    """
    borders = torch.zeros_like(number, dtype=torch.bool)
    for axis in (1, 2, 3):
        n = number.shape[axis] - 1
        differs = number.narrow(axis, 1, n) != number.narrow(axis, 0, n)
        borders.narrow(axis, 0, n).logical_or_(differs)
        borders.narrow(axis, 1, n).logical_or_(differs)
    square = torch.zeros(number.shape, device=number.device).masked_fill(~borders, torch.inf)
    for axis in (1, 2, 3):  # a squared distance is a sum over axes, so each can be gone along on its own
        square = _least_along(square, axis, reach)
    far = (square.sqrt() + 0.5).clamp(max=reach) / reach
    return torch.where(number > 0, far, -far)


def _least_along(square: torch.Tensor, axis: int, reach: int) -> torch.Tensor:
    """The least of what stands up to `reach` voxels away along an axis and the square of how far."""
    least, n = square.clone(), square.shape[axis]
    for step, sign in itertools.product(range(1, min(reach, n - 1) + 1), (1, -1)):
        to, source = (0, step) if sign > 0 else (step, 0)
        there = least.narrow(axis, to, n - step)
        torch.minimum(there, square.narrow(axis, source, n - step) + step**2, out=there)
    return least
