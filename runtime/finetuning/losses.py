"""The loss where regions overlap, or where voxels have no class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from fdif_dsl.runtime.training.losses import DeepSupervision, DiceAndCrossEntropy

_SMOOTH = 1e-5


class PartlyLabelled(nn.Module):
    """The sum of Dice and cross-entropy, over the voxels that have a class alone: those whose label is below `classes`.

    Each of the `regions` is some of the classes, and has an output of its own, which says of each voxel whether it lies
    inside; without them there is an output for each class. Dice is a mean over the classes or regions in a sample.
    """

    def __init__(self, classes: int, regions: Sequence[Sequence[int]] = ()) -> None:
        super().__init__()
        self.classes, self.overlap = classes, bool(regions)
        inside = torch.eye(classes) if not regions else torch.zeros(len(regions), classes)
        for k, places in enumerate(regions):
            inside[k, list(places)] = 1
        self.register_buffer("inside", functional.pad(inside, (0, 1)), persistent=False)

    def forward(self, output: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """`output` (b, outputs, D, H, W), `label` (b, 1, D, H, W)."""
        its = label[:, 0].long().clamp(max=self.classes)
        there = (its < self.classes).float()
        target = torch.as_tensor(self.inside).to(output.device)[:, its].movedim(0, 1)
        logits = output.float()
        if self.overlap:
            chances = logits.sigmoid()
            entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(1)
        else:
            chances = logits.softmax(1)
            entropy = -(logits.log_softmax(1) * target).sum(1)
        entropy = (entropy * there).sum() / there.sum().clamp(min=1)
        chances = chances * there[:, None]
        inner, size = (part.flatten(2).sum(2) for part in (chances * target, chances + target))
        dice = 1 - (2 * inner + _SMOOTH) / (size + _SMOOTH)
        present = (target.flatten(2).sum(2) > 0).float()
        return entropy + ((dice * present).sum(1) / present.sum(1).clamp(min=1)).mean()


def loss_of(classes: int, regions: Sequence[Sequence[int]], ignore: bool) -> DeepSupervision:
    """The loss of a data set, at every depth of the network."""
    return DeepSupervision(PartlyLabelled(classes, regions) if regions or ignore else
                           DiceAndCrossEntropy([classes], present=True))
