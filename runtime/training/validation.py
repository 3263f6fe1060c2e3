"""Validation on volumes that are never trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.streams import open_stream
from fdif_dsl.runtime.training.augmentation import normalise
from fdif_dsl.runtime.training.metrics import Score
from fdif_dsl.runtime.training.objective import Objective

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

    def __init__(self, library: Library, recipe: Recipe, objective: Objective, rank: int = 0, world: int = 1) -> None:
        self.recipe = replace(recipe, training=replace(recipe.training, patch=None))
        self.patch = recipe.training.patch or recipe.grid
        self.objective, self.world = objective, world
        stream = open_stream(library, self.recipe, held_out_seed(recipe.training.seed))
        kinds = torch.uint8, torch.uint8 if stream.meaning.dtype().itemsize == 1 else torch.int32
        self.numbers = range(rank, recipe.monitor.volumes, world)
        pairs = stream.volumes(self.numbers)
        # Kept as they are on disk: an eighth of what a network takes.
        self.pairs = [((128 * pair["image"]).to(kinds[0]).cpu(), pair["label"].to(kinds[1]).cpu()) for pair in pairs]

    def run(self, network: torch.nn.Module, device: torch.device) -> tuple[list[Score], list[Sample]]:
        """The score of each task, and a few samples to look at (none where there are no classes of voxels)."""
        tallies = self.objective.tallies(device)
        samples: list[Sample] = []
        training = network.training
        network.eval()
        with torch.no_grad():
            for number, pair in zip(self.numbers, self.pairs, strict=True):
                whole, label = pair[0].to(device).float()[None] / 128, pair[1].to(device).long()[None]
                if not self.objective.whole:
                    whole, label = (middle(part, self.patch) for part in (whole, label))
                image, right = self.objective.pose(normalise(whole, self.recipe.augment.normalise), label,
                                                   self.recipe.training.seed, [(number, 0)])
                found = self.objective.count(tallies, self._predict(network, image), right)
                if found is not None and len(samples) < _SAMPLES:
                    samples.append((whole[0, 0].cpu(), right[0, 0].cpu().long(), found.cpu()))
        network.train(training)
        if self.world > 1:
            for tally in tallies:
                torch.distributed.all_reduce(tally.table)
        return self.objective.scores(tallies), samples

    def _predict(self, network: torch.nn.Module, image: torch.Tensor) -> torch.Tensor:
        """The network's answer for a whole volume (1, 1, D, H, W), patch by patch where it is larger than one."""
        from monai.inferers.utils import sliding_window_inference

        if tuple(image.shape[2:]) == self.patch:
            return finest(network(image))
        out: Any = sliding_window_inference(image, self.patch, 1, lambda part: finest(network(part)), overlap=0.25,
                                            mode="gaussian")
        return torch.as_tensor(out)


def middle(image: torch.Tensor, patch: tuple[int, int, int]) -> torch.Tensor:
    """The patch in the middle of an image (..., D, H, W)."""
    for axis, side in zip((-3, -2, -1), patch, strict=True):
        image = image.narrow(axis, (image.shape[axis] - side) // 2, side)
    return image


def finest(output: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor:
    """The output at full size of a network that may have several."""
    return output if isinstance(output, torch.Tensor) else output[0]
