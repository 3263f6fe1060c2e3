"""The training step, for Lightning."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from fdif_dsl.runtime.finetuning.recipe import Train
from fdif_dsl.runtime.training.interrupt import Stop
from fdif_dsl.runtime.training.learner import make_optimizer, seed_dropout
from fdif_dsl.runtime.training.optimiser import rate


class Tuner(LightningModule):
    """A network that learns from batches {"image", "label", "number"}. Parameters whose names are in `body` came from
    weights: they have a learning rate of their own, and rest for the steps that `freeze` says."""

    def __init__(self, network: torch.nn.Module, loss: torch.nn.Module, settings: Train, body: frozenset[str],
                 seed: int) -> None:
        super().__init__()
        self.network, self.loss, self.settings, self.body, self.seed = network, loss, settings, body, seed

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> torch.Tensor:
        seed_dropout(self.seed, batch["number"][0])
        loss: torch.Tensor = self.loss(self.network(batch["image"]), batch["label"])
        return loss

    def configure_optimizers(self) -> Any:
        settings = self.settings
        own = {name: p for name, p in self.network.named_parameters() if p.requires_grad}
        new = [p for name, p in own.items() if name not in self.body]
        body = [p for name, p in own.items() if name in self.body]

        def of_new(step: int) -> float:
            return rate(step, settings.warmup, settings.steps, settings.schedule)

        def of_body(step: int) -> float:
            return settings.body_lr * of_new(step) if step >= settings.freeze else 0.0

        groups = [(part, share) for part, share in ((new, of_new), (body, of_body)) if part]
        optimizer = make_optimizer([{"params": part} for part, _ in groups], settings)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, [share for _, share in groups])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class EndOnStop(Callback):
    """Ends the run after the step in which a signal came."""

    def __init__(self, stop: Stop) -> None:
        self.stop = stop

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any,
                           batch_idx: int) -> None:
        trainer.should_stop = trainer.should_stop or self.stop.wanted
