"""How every kind of training ends: after its steps, after the step in which a signal came, or with a message."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from torch.utils.data import DataLoader

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.recipe import Training
from fdif_dsl.runtime.training.devices import Place
from fdif_dsl.runtime.training.interrupt import Stop, stop_on_interrupt
from fdif_dsl.runtime.training.optimiser import configure
from fdif_dsl.runtime.training.quiet import quiet
from fdif_dsl.runtime.training.trainer import EndOnStop, fit, make_trainer

SETTINGS = Training(steps=5, warmup=0, optimizer="sgd", lr=1e-3, clip=1.0)


class Line(LightningModule):
    """Learns a line; `at` is called with the number of each batch, from 0."""

    def __init__(self, at: Callable[[int], object]) -> None:
        super().__init__()
        self.layer, self.at, self.seen = torch.nn.Linear(1, 1), at, 0

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self.seen += 1
        self.at(batch_idx)
        loss: torch.Tensor = self.layer(batch).square().mean()
        return loss

    def configure_optimizers(self) -> Any:
        return configure(SETTINGS, [(list(self.layer.parameters()), lambda step: 1.0), ([], lambda step: 0.0)])


def trained(at: Callable[[int], object], accumulate: int = 1) -> tuple[int, int, Stop]:
    """The steps that were done, the batches that were seen, and whether the end was wanted."""
    stop, line = Stop(), Line(at)
    with quiet(), stop_on_interrupt(stop):
        trainer = make_trainer(SETTINGS, Place("cpu", 1, 1, "32-true"), [EndOnStop(stop)], logger=False,
                               accumulate_grad_batches=accumulate)
        fit(trainer, line, DataLoader(torch.ones(100, 1), batch_size=1), stop, "a smaller batch")
    return trainer.global_step, line.seen, stop


def test_without_a_signal_all_steps_are_done() -> None:
    steps, seen, stop = trained(lambda batch: None, accumulate=2)
    assert (steps, seen, stop.wanted) == (5, 10, False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("batch", [3, 4, 5])
def test_a_signal_ends_the_run_after_the_step_of_the_optimiser(number: signal.Signals, batch: int) -> None:
    """Whichever of the three batches of the second step it comes in."""
    before = signal.getsignal(number)
    steps, seen, stop = trained(lambda i: signal.raise_signal(number) if i == batch else None, accumulate=3)
    assert (steps, seen, stop.wanted) == (2, 6, True)
    assert signal.getsignal(number) == before


def too_much() -> None:
    torch.empty(2**60, dtype=torch.float32)


def too_much_of_a_gpu() -> None:
    raise torch.OutOfMemoryError("Tried to allocate 9 GiB. GPU 0 has less")


@pytest.mark.parametrize(("attempt", "where", "why"), [
    (too_much_of_a_gpu, "the GPU", "Tried to allocate 9 GiB"),
    (too_much, "this machine", "it tried to allocate 4.61e+06 TB"),
])
def test_a_lack_of_memory_is_one_message(attempt: Any, where: str, why: str) -> None:
    with pytest.raises(FdifError) as caught:
        trained(lambda batch: attempt())
    assert str(caught.value) == f"""\
error[E0853]: {where} has not enough memory for a training step
  why: {why}
  hint: a smaller batch"""
