"""Training for some steps: the step, for Lightning, and the run of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from monai.data.meta_obj import get_track_meta, set_track_meta
from torch.utils.data import DataLoader

from fdif_dsl.runtime.finetuning.recipe import Train
from fdif_dsl.runtime.training.devices import Place
from fdif_dsl.runtime.training.interrupt import Stop
from fdif_dsl.runtime.training.learner import seed_dropout
from fdif_dsl.runtime.training.log import Log, Report
from fdif_dsl.runtime.training.optimiser import configure
from fdif_dsl.runtime.training.quiet import quiet
from fdif_dsl.runtime.training.trainer import EndOnStop, fit, make_trainer


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
        return configure(settings, [
            (new, lambda step: 1.0),
            (body, lambda step: settings.body_lr if step >= settings.freeze else 0.0)])


class OnTheWay(EndOnStop):
    """Does something with the network after some steps, and leaves the network as it was."""

    def __init__(self, stop: Stop, do: Callable[[int], None], at: Sequence[int]) -> None:
        super().__init__(stop)
        self.do, self.at = do, frozenset(at)

    def after_step(self, trainer: Any, module: LightningModule, step: int, stop: bool) -> None:
        if step in self.at and not stop:
            with _tracking(True):  # cases may have to be read
                self.do(step)
            module.train()


def tune(tuner: Tuner, batches: Any, place: Place, folder: Path, stop: Stop, report: Report | None,
         on_the_way: Callable[[int], None] = lambda step: None, at: Sequence[int] = ()) -> None:
    """Trains for the recipe's steps; leaves metrics.csv in the folder. `on_the_way` is called after the steps `at`.

    Raises:
        FdifError: the GPU has not enough memory, or the loss is no longer a number.
        KeyboardInterrupt: `stop` is wanted.
    """
    train = tuner.settings
    with quiet(), _tracking(False):
        callbacks = [Log(folder, train.steps, report), OnTheWay(stop, on_the_way, at)]
        trainer = make_trainer(train, place, callbacks, logger=False)
        fit(trainer, tuner, DataLoader(batches, batch_size=None), stop,
            "a smaller train.batch or train.patch needs less")
    if stop.wanted:
        raise KeyboardInterrupt


@contextmanager
def _tracking(on: bool) -> Iterator[None]:
    """Whether MONAI notes where each patch comes from, which takes longer than cutting it."""
    before = get_track_meta()
    set_track_meta(on)
    try:
        yield
    finally:
        set_track_meta(before)
