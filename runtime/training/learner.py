"""The training step, for Lightning. Imported only when training starts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.checkpoint import checkpoint

from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.training.augmentation import crops, normalise
from fdif_dsl.runtime.training.objective import Objective
from fdif_dsl.runtime.training.optimiser import configure


class Learner(LightningModule):
    """A network that learns the tasks of a recipe.

    All that is random in a step depends on the seed and the numbers of its volumes, so that a resumed run continues as
    the first would have. `network` maps (b, 1, *patch) to what the loss of `objective` takes.
    `average` is the mean of its weights where the recipe wants one, else None.
    """

    def __init__(self, network: torch.nn.Module, objective: Objective, recipe: Recipe,
                 blocks: Sequence[str] = ()) -> None:
        super().__init__()
        self.network, self.objective, self.recipe = network, objective, recipe
        self.loss = objective.loss
        self.settings = recipe.training
        self.patch = recipe.training.patch or recipe.grid
        self.average: AveragedModel | None = None
        if self.settings.ema:
            mean = get_ema_multi_avg_fn(self.settings.ema)  # type: ignore[no-untyped-call]
            self.average = AveragedModel(network, multi_avg_fn=mean)
            self.average.requires_grad_(False)
        for path in blocks:
            recompute(network.get_submodule(path))
        if self.settings.compile:
            network.compile()

    @property
    def trained(self) -> torch.nn.Module:
        """The network that is validated and exported."""
        return self.average.module if self.average else self.network

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> torch.Tensor:
        """The loss of a batch of volumes: `image` float32 (b, 1, D, H, W), `label` int64 (b, tasks, D, H, W), and the
        `number` of each."""
        numbers = batch["number"]
        seed_dropout(self.settings.seed, numbers[0])
        image = normalise(batch["image"], self.recipe.augment.normalise)
        image, label = crops(image, batch["label"], self.patch, self.settings.crops, self.recipe.augment,
                             self.settings.seed, numbers)
        which = [(number, crop) for number in numbers for crop in range(self.settings.crops)]
        image, right = self.objective.pose(image, label, self.settings.seed, which)
        loss: torch.Tensor = self.loss(self.network(image), right)
        return loss

    def on_train_start(self) -> None:
        # A checkpoint has the rate that its own run would have gone on with, and this one may have more steps.
        schedule: Any = self.lr_schedulers()
        for group, base, share in zip(schedule.optimizer.param_groups, schedule.base_lrs, schedule.lr_lambdas,
                                      strict=True):
            group["lr"] = base * share(schedule.last_epoch)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        if self.average is not None:
            self.average.update_parameters(self.network)

    def configure_optimizers(self) -> Any:
        learning = [p for p in self.network.parameters() if p.requires_grad]
        return configure(self.settings, [(learning, lambda step: 1.0)])


def seed_dropout(seed: int, number: int) -> None:
    """Makes dropout in a step depend on the seed of the run and the number of the first volume in the batch alone."""
    torch.manual_seed((seed * 1_000_003 + number) % 2**63)


def recompute(block: torch.nn.Module) -> None:
    """Lets a block forget its activations, and compute them again when the backward pass needs them."""
    block.forward = partial(_again, block.forward)  # type: ignore[method-assign]


def _again(forward: Any, *args: Any, **kwargs: Any) -> Any:
    return checkpoint(forward, *args, use_reentrant=False, **kwargs) if torch.is_grad_enabled() else forward(
        *args, **kwargs)
