"""The training step: Dice and cross-entropy, AdamW, warm-up and cosine. Imported only when training starts."""

from __future__ import annotations

import math
from typing import Any

import torch
from lightning.pytorch import LightningModule
from monai.losses.dice import DiceCELoss

from fdif_dsl.runtime.recipe import Training
from fdif_dsl.runtime.training.augment import augment, crops


class Segmenter(LightningModule):
    """A network that learns to name the class of each voxel.

    `patch` is the size of the crops. Crops and augmentation depend on the seed and the step alone, so that a
    resumed run continues as the first would have.
    """

    def __init__(self, network: torch.nn.Module, training: Training, patch: tuple[int, int, int]) -> None:
        super().__init__()
        self.network = network
        self.settings, self.patch = training, patch
        self.loss = DiceCELoss(to_onehot_y=True, softmax=True, batch=True)

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        """The loss of a batch of volumes: `image` float32 and `label` int64, each (b, 1, D, H, W)."""
        generator = torch.Generator().manual_seed((self.settings.seed * 1_000_003 + self.global_step) % 2**63)
        image, label = batch["image"][:, 0], batch["label"][:, 0]
        image, label = crops(image, label, self.patch, self.settings.crops, generator)
        image, label = augment(image, label, generator)
        loss: torch.Tensor = self.loss(self.network(image[:, None]), label[:, None])
        self.log("loss", loss, on_step=True)
        self.log("lr", self.trainer.optimizers[0].param_groups[0]["lr"], on_step=True)
        return loss

    def configure_optimizers(self) -> Any:
        settings = self.settings
        optimizer = torch.optim.AdamW(self.network.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: rate(step, settings.warmup, settings.steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def rate(step: int, warmup: int, steps: int) -> float:
    """The learning rate of a step as a share of the greatest: a straight warm-up, then half a cosine to 0."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, steps - warmup))))
