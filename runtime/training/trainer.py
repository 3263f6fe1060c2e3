"""Lightning's trainer as every kind of training has it: how it is made, how it ends, and what goes wrong in it."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Sequence
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch import Callback, LightningModule, Trainer

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.settings.training import Optimisation
from fdif_dsl.runtime.settings.wording import in_bytes
from fdif_dsl.runtime.training.devices import Place, by_srun, launched
from fdif_dsl.runtime.training.interrupt import Stop
from fdif_dsl.runtime.training.memory import shortage


def make_trainer(settings: Optimisation, place: Place, callbacks: list[Callback], plugins: Sequence[Any] = (),
                 **more: Any) -> Trainer:
    """A trainer of Lightning's that says, writes and draws nothing by itself; `more` goes to it as it is."""
    if "SLURM_NTASKS" in os.environ:
        # Lightning takes every process of a job for one of several, and its own way of going on needs a job of its own.
        if place.world == 1 or launched() is None:
            plugins = [*plugins, LightningEnvironment()]
        elif by_srun():
            plugins = [*plugins, SLURMEnvironment(auto_requeue=False)]
    return Trainer(
        plugins=[*plugins],
        max_steps=settings.steps, accelerator=place.accelerator, devices=place.devices, num_nodes=place.nodes,
        strategy=place.strategy, precision=place.precision, gradient_clip_val=settings.clip or None,
        sync_batchnorm=place.accelerator == "gpu" and place.world > 1, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False, callbacks=callbacks,
        **more)


def fit(trainer: Trainer, module: LightningModule, batches: Any, stop: Stop, less: str, **more: Any) -> None:
    """Trains until the steps are done, or the one in which `stop` was wanted. `less` says what needs less memory.

    Raises:
        FdifError: the GPU or the machine has not enough memory, or the loss is no longer a number.
        KeyboardInterrupt: at the second Ctrl-C.
    """
    try:
        trainer.fit(module, batches, **more)
    except (Exception, SystemExit) as error:
        if (lack := shortage(error)) is not None:
            where = "the GPU" if isinstance(lack, torch.OutOfMemoryError) else "this machine"
            raise FdifError(Diagnostic(
                "E0853", f"{where} has not enough memory for a training step", why=_asked(lack), hint=less)) from error
        if not stop.at_once:
            raise
        # Lightning makes a SystemExit of the second Ctrl-C, or trips over what was only half begun.
        raise KeyboardInterrupt from None


def _asked(error: BaseException) -> str:
    """How much memory was asked for, of what an allocator says of it."""
    amount = re.search(r"[Yy]ou tried to allocate (\d+) bytes", str(error))
    return f"it tried to allocate {in_bytes(int(amount[1]))}" if amount else str(error).partition(". ")[0]


class EndOnStop(Callback):
    """Ends a run after the step of the optimiser in which a signal came, in whatever process."""

    def __init__(self, stop: Stop) -> None:
        self.stop = stop
        self._done = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._done = trainer.global_step
        if threading.current_thread() is threading.main_thread():
            # Lightning has put a handler of its own here, which would end the run in the middle of a step.
            signal.signal(signal.SIGTERM, self.stop.handle)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any,
                           batch_idx: int) -> None:
        if trainer.global_step == self._done:  # gradients are still being accumulated
            return
        self._done = trainer.global_step
        # Processes that ended at different steps would wait for each other for ever.
        stop = trainer.strategy.reduce_boolean_decision(self.stop.wanted, all=False)
        self.after_step(trainer, pl_module, self._done, stop)
        trainer.should_stop = trainer.should_stop or stop

    def after_step(self, trainer: Trainer, module: LightningModule, step: int, stop: bool) -> None:
        """What else is to be done after a step; `stop` says whether it was the last."""
