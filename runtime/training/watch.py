"""What happens beside the training steps: the log, the checkpoints and the stop on Ctrl-C."""

from __future__ import annotations

import csv
import io
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from fdif_dsl.compiler.files import replacing, write_bytes
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

CHECKPOINT, WEIGHTS, LOG = "last.ckpt", "weights.pt", "metrics.csv"
_COLUMNS = ("step", "loss", "lr", "seconds")
_EVERY = 500  # steps from one checkpoint to the next

Report = Callable[[int, int, float], None]  # (step, of how many, loss)


class Watch(Callback):
    """Logs each step to `directory`, writes checkpoints there, and stops a run whose loss is no number.

    `facts` is what stands in `weights.pt` beside the weights. `history` has a row (step, loss, lr, seconds) a step,
    and travels with the checkpoint, so that a resumed run has one log and one curve.
    """

    def __init__(self, directory: Path, facts: Mapping[str, Any], steps: int, report: Report | None) -> None:
        self.directory, self.facts, self.steps, self.report = directory, facts, steps, report
        self.history: list[tuple[int, float, float, float]] = []
        self.stop = False
        self._saved = 0

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = [tuple(row) for row in state_dict["history"]]
        self._saved = len(self.history)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._before = self.history[-1][3] if self.history else 0.0
        self._start = time.monotonic()
        with (self.directory / LOG).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([_COLUMNS, *self.history])

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._rate = float(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any,
                           batch_idx: int) -> None:
        step, loss = trainer.global_step, float(outputs["loss"])
        if not math.isfinite(loss):
            raise FdifError(Diagnostic(
                "E0831", f"the loss of step {step} is {loss}", why="from there no training can recover",
                hint=f"a smaller `lr` or precision \"32\" helps; the checkpoint of step {self._saved} is as it was"
                if self._saved else "a smaller `lr` or precision \"32\" helps"))
        row = (step, loss, self._rate, self._before + time.monotonic() - self._start)
        self.history.append(row)
        with (self.directory / LOG).open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(row)
        if self.report is not None:
            self.report(step, self.steps, loss)
        if self.stop or step % _EVERY == 0 or step == self.steps:
            self._save(trainer, pl_module)
        trainer.should_stop = trainer.should_stop or self.stop

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if not isinstance(exception, Exception) and len(self.history) > self._saved:  # Ctrl-C twice, or a SIGTERM
            self._save(trainer, pl_module)

    def _save(self, trainer: Trainer, module: LightningModule) -> None:
        with replacing(self.directory / CHECKPOINT) as temporary:
            trainer.save_checkpoint(temporary)
        network: Any = module.network
        weights = {name: value.detach().cpu() for name, value in network.state_dict().items()}
        whole = io.BytesIO()  # torch writing to a full disk fails with a RuntimeError that names no file
        torch.save({"network_weights": weights, **self.facts, "step": len(self.history)}, whole)
        write_bytes(self.directory / WEIGHTS, whole.getbuffer())
        self._saved = len(self.history)


@contextmanager
def stop_on_interrupt(watch: Watch, say: Callable[[], None] | None = None) -> Iterator[None]:
    """The first Ctrl-C lets the step finish and ends the run with a checkpoint; the second one ends it at once.

    `say` is called at the first. Signals belong to the main thread; elsewhere nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: Any) -> None:
        if watch.stop:
            raise KeyboardInterrupt
        watch.stop = True
        if say is not None:
            say()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def ignore_interrupt(worker: int) -> None:
    """For loader processes: Ctrl-C reaches all processes of a terminal, and the main one decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
