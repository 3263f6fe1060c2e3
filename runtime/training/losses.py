"""The losses: Dice and cross-entropy for each voxel's class, cross-entropy for a volume's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from monai.losses.ds_loss import DeepSupervisionLoss
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.recipe.meaning import Meaning
from fdif_dsl.runtime.training.heads import split

Output = torch.Tensor | Sequence[torch.Tensor]
_SMOOTH = 1e-5
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

    def forward(self, output: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """`output` (b, sum of classes, D, H, W), `label` (b, tasks, D, H, W)."""
        label, terms = label.long(), []
        own, totals = _Chances.apply(  # type: ignore[no-untyped-call]
            output.float().flatten(2), label.flatten(2), self.classes)
        for i, total in enumerate(split(totals, self.classes)):
            log, target = own[:, i].view_as(label[:, i]), label[:, i]
            inner, size = (_by_class(values, target, total.shape[1]) for values in (log.exp(), torch.ones_like(log)))
            dice = 1 - (2 * inner + _SMOOTH) / (total + size + _SMOOTH)
            weight = (size > 0).float() if self.present else torch.ones_like(size)
            terms.append(((dice * weight).sum(1) / weight.sum(1)).mean() - log.mean())
        return torch.stack(terms).mean()


class _Chances(torch.autograd.Function):
    """What the loss needs of logits (b, sum of classes, n) and labels (b, tasks, n): the logarithm of the chance of
    each voxel's own classes (b, tasks, n), and the sum of each class's chances (b, sum of classes).

    All else is small, so the chances are the only tensor made that has all classes and voxels, and the gradient takes
    their place: on a CPU, memory that is new costs as much as what is computed in it.
    """

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, label: torch.Tensor,
                classes: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        chances, own = torch.empty_like(logits), logits.new_empty(label.shape)
        for sample in zip(logits, chances, label, own, strict=True):
            for x, chance, target, mine in _tasks(classes, *sample):
                torch.log_softmax(x, 0, out=chance)
                torch.gather(chance, 0, target, out=mine)
                chance.exp_()
        ctx.save_for_backward(chances, label)
        ctx.classes = classes
        return own, chances.sum(2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_own: torch.Tensor, by_total: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        chances, label = ctx.saved_tensors
        for sample in zip(by_total[..., None], chances, label, by_own, strict=True):
            for total, chance, target, own in _tasks(ctx.classes, *sample):
                chance *= total - ((total * chance).sum(0) + own)
                chance.scatter_add_(0, target, own)
        return chances, None, None


def _tasks(classes: Sequence[int], a: torch.Tensor, b: torch.Tensor, target: torch.Tensor, own: torch.Tensor) -> Any:
    """The parts of a sample that are of each task: its classes of `a` and `b`, its row (1, n) of the others."""
    return zip(a.split_with_sizes(classes), b.split_with_sizes(classes), target[:, None], own[:, None], strict=True)


def _by_class(values: torch.Tensor, target: torch.Tensor, classes: int) -> torch.Tensor:
    """The sums of `values` (b, D, H, W) over the voxels of each class (b, classes), slice by slice, as float32 adds up
    few numbers well."""
    slices = values.new_zeros(*values.shape[:2], classes)
    return slices.scatter_add(2, target.flatten(2), values.flatten(2)).sum(1)


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
