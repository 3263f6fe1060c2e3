"""The losses: Dice and cross-entropy for each voxel's class, cross-entropy for a volume's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from monai.losses.dice import DiceLoss
from monai.losses.ds_loss import DeepSupervisionLoss
from torch import nn
from torch.nn import functional

from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.recipe.meaning import Meaning
from fdif_dsl.runtime.training.heads import split

Output = torch.Tensor | Sequence[torch.Tensor]
_LEAST = 1e-6  # nnU-Net's weight of the coarsest output: nothing, but its layer gets a gradient


class DiceAndCrossEntropy(nn.Module):
    """The sum of both, a mean over tasks and samples. With `present`, Dice is a mean over the classes in a sample.

    Over all classes, a class that is absent adds nearly 1 as long as anything of it is predicted: with
    many classes and few objects that is most of the loss, and it hides the rest.

    Each sample counts on its own, so a mean over the processes of a run is the loss of the whole batch.
    """

    def __init__(self, classes: Sequence[int], present: bool) -> None:
        super().__init__()
        self.classes, self.present = tuple(classes), present
        self.dice = DiceLoss(to_onehot_y=True, softmax=True, reduction="none")

    def forward(self, output: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """`output` (b, sum of classes, D, H, W), `label` (b, tasks, D, H, W)."""
        terms = []
        for i, logits in enumerate(split(output.float(), self.classes)):
            target = label[:, i : i + 1].long()
            dice = self.dice(logits, target).flatten(1)  # a column for each class
            weight = torch.ones_like(dice)
            if self.present:
                weight = torch.zeros_like(dice).scatter_(1, target.flatten(1), 1.0)
            dice = (dice * weight).sum(1) / weight.sum(1)
            terms.append(dice.mean() + functional.cross_entropy(logits, target[:, 0]))
        return torch.stack(terms).mean()


class DeepSupervision(nn.Module):
    """A loss of voxels. Of a network that has several outputs, from fine to coarse, it is that of each, weighted as
    nnU-Net does: each half as much as the one before, the coarsest next to nothing."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    @classmethod
    def of(cls, recipe: Recipe, meaning: Meaning) -> DeepSupervision:
        """The loss of segmentation, of a recipe's tasks."""
        return cls(DiceAndCrossEntropy([task.count + 1 for task in meaning.tasks], recipe.training.dice == "present"))

    def forward(self, output: Output, label: torch.Tensor) -> torch.Tensor:
        if isinstance(output, torch.Tensor):
            alone: torch.Tensor = self.loss(output, label)
            return alone
        weights = [0.5**i for i in range(len(output) - 1)] + [_LEAST] if len(output) > 1 else [1.0]
        weights = [w / sum(weights) for w in weights]
        loss: Any = self.loss  # any module will do, but MONAI names a class of torch's own losses
        # Labels are resized as floats, which hold them exactly.
        out: torch.Tensor = DeepSupervisionLoss(loss, weights=weights)(list(output), label.float())
        return out


class VolumeCrossEntropy(nn.Module):
    """Cross-entropy for volumes that hold one object: its label, less 1, is the class of the volume.

    A volume whose object has no voxel in the grid has no class, and adds nothing.
    """

    def __init__(self, classes: Sequence[int]) -> None:
        super().__init__()
        self.classes = tuple(classes)

    def forward(self, output: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """`output` (b, sum of classes), `label` (b, tasks, D, H, W)."""
        target = volume_classes(label)
        terms = [functional.cross_entropy(logits, target[:, i], ignore_index=-1, reduction="sum") / len(logits)
                 for i, logits in enumerate(split(output.float(), self.classes))]
        return torch.stack(terms).mean()


def volume_classes(label: torch.Tensor) -> torch.Tensor:
    """The class of each volume in each task (b, tasks), from 0; -1 where no object is seen."""
    return label.flatten(2).amax(2).long() - 1
