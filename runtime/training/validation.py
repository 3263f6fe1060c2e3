"""Validation on volumes that are never trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.streams.stream import VolumeStream
from fdif_dsl.runtime.training.augmentation import normalise
from fdif_dsl.runtime.training.heads import split
from fdif_dsl.runtime.training.losses import volume_classes
from fdif_dsl.runtime.training.metrics import Counts, Score

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library

Sample = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""An image (D, H, W) with grey levels from 0 to 1, its label of the first task, and the label predicted."""

_SAMPLES = 4


def held_out_seed(seed: int) -> int:
    """The seed of the validation set of a run: another one than any whose run would train on these volumes."""
    return 2**64 - 1 - seed


class Validation:
    """A fixed set of volumes, rendered once. Process r of R keeps volumes r, r + R, ...; scores are those of all."""

    def __init__(self, library: Library, recipe: Recipe, rank: int = 0, world: int = 1) -> None:
        self.recipe = replace(recipe, training=replace(recipe.training, patch=None))
        self.patch = recipe.training.patch or recipe.grid
        stream = VolumeStream(library, self.recipe, held_out_seed(recipe.training.seed))
        self.tasks = stream.meaning.tasks
        self.world = world
        kinds = torch.uint8, torch.uint8 if stream.meaning.dtype().itemsize == 1 else torch.int32
        pairs = stream.volumes(range(rank, recipe.monitor.volumes, world))
        # Kept as they are on disk: an eighth of what a network takes.
        self.pairs = [((128 * pair["image"]).to(kinds[0]).cpu(), pair["label"].to(kinds[1]).cpu()) for pair in pairs]

    def run(self, network: torch.nn.Module, device: torch.device) -> tuple[list[Score], list[Sample]]:
        """The score of each task, and a few samples to look at (none for classification)."""
        classification = self.recipe.training.task == "classification"
        sizes = [task.count + (not classification) for task in self.tasks]
        counts = [Counts(size, device) for size in sizes]
        samples: list[Sample] = []
        training = network.training
        network.eval()
        with torch.no_grad():
            for image, label in self.pairs:
                whole = image.to(device).float()[None] / 128
                there = label.to(device).long()[None]
                parts = split(self._predict(network, whole), sizes)
                wanted = volume_classes(there) if classification else there
                for i, part in enumerate(parts):
                    counts[i].add(part.argmax(1), wanted[:, i])
                if not classification and len(samples) < _SAMPLES:
                    samples.append((whole[0, 0].cpu(), label[0], parts[0].argmax(1)[0].cpu()))
        network.train(training)
        if self.world > 1:
            for count in counts:
                torch.distributed.all_reduce(count.table)
        scores = [(c.share if classification else c.dice)(task.name, task.classes)
                  for c, task in zip(counts, self.tasks, strict=True)]
        return scores, samples

    def _predict(self, network: torch.nn.Module, image: torch.Tensor) -> torch.Tensor:
        """The network's answer for a whole volume (1, 1, D, H, W), patch by patch where it is larger than one."""
        from monai.inferers.utils import sliding_window_inference

        image = normalise(image, self.recipe.augment.normalise)
        if tuple(image.shape[2:]) == self.patch:
            return finest(network(image))
        out: Any = sliding_window_inference(image, self.patch, 1, lambda part: finest(network(part)), overlap=0.25,
                                            mode="gaussian")
        return torch.as_tensor(out)


def finest(output: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor:
    """The output at full size of a network that may have several."""
    return output if isinstance(output, torch.Tensor) else output[0]
