"""What a network learns from volumes: classes of voxels, or of volumes; `structure.py` and `masked.py` have more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.recipe.meaning import Meaning
from fdif_dsl.runtime.training.heads import split
from fdif_dsl.runtime.training.losses import DeepSupervision, VolumeCrossEntropy, volume_classes
from fdif_dsl.runtime.training.metrics import Counts, Score


class Objective:
    """An aim of training. `tasks` are what is scored, each with its classes as `Meaning` has them; `loss` takes the
    output of the network and what `pose` gave as the right answer. `whole` says whether a volume can be answered patch
    by patch; else the patch in its middle is what is scored."""

    tasks: Mapping[str, tuple[str, ...]]
    loss: nn.Module
    whole = True

    @property
    def channels(self) -> int:
        """The channels of the network's output."""
        return sum(map(len, self.tasks.values()))

    def pose(self, image: torch.Tensor, label: torch.Tensor, seed: int,
             which: Sequence[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """What the network sees of images (b, 1, D, H, W) with labels (b, tasks, D, H, W), and the right answer. What
        is random depends on the seed and on `which` alone: for each image the number of its volume, and of the crop."""
        return image, label

    def tallies(self, device: torch.device) -> list[Any]:
        """What is counted of each task over a set of volumes, nothing yet."""
        return [Counts(len(classes), device) for classes in self.tasks.values()]

    def count(self, tallies: Sequence[Any], answer: torch.Tensor, right: torch.Tensor) -> torch.Tensor | None:
        """Counts the answer to one image; returns the classes found (D, H, W) of the first task, if there are such."""
        parts = split(answer, [len(classes) for classes in self.tasks.values()])
        found = [part.argmax(1) for part in parts]
        for i, tally in enumerate(tallies):
            tally.add(found[i], right[:, i])
        return found[0][0]

    def scores(self, tallies: Sequence[Any]) -> list[Score]:
        return [tally.dice(name, classes) for tally, (name, classes) in zip(tallies, self.tasks.items(), strict=True)]


class Segmentation(Objective):
    """The class of each voxel, for each task of a recipe's labels."""

    def __init__(self, recipe: Recipe, meaning: Meaning) -> None:
        self.tasks = {task.name: task.classes for task in meaning.tasks}
        self.loss = DeepSupervision.of(recipe, meaning)


class Classification(Objective):
    """The class of a volume's only object, for each task of a recipe's labels."""

    def __init__(self, meaning: Meaning) -> None:
        self.tasks = {task.name: task.classes for task in meaning.tasks}
        self._sizes = [task.count for task in meaning.tasks]
        self.loss = VolumeCrossEntropy(self._sizes)

    @property
    def channels(self) -> int:
        return sum(self._sizes)

    def tallies(self, device: torch.device) -> list[Counts]:
        return [Counts(size, device) for size in self._sizes]

    def count(self, tallies: Sequence[Any], answer: torch.Tensor, right: torch.Tensor) -> None:
        wanted = volume_classes(right)
        for i, (tally, part) in enumerate(zip(tallies, split(answer, self._sizes), strict=True)):
            tally.add(part.argmax(1), wanted[:, i])

    def scores(self, tallies: Sequence[Any]) -> list[Score]:
        return [tally.share(name, classes) for tally, (name, classes) in zip(tallies, self.tasks.items(), strict=True)]
