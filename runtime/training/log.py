"""The log of a run: loss, learning rate, speed and waiting of each step, as CSV and to Lightning's loggers."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

LOG = "metrics.csv"


@dataclass(frozen=True)
class Row:
    """A step. `seconds` it took, of which it `waited` for data; `volumes` is how many it saw, in all processes."""

    step: int
    loss: float
    lr: float
    seconds: float
    waited: float
    volumes: int


Report = Callable[[Row, int], None]
"""Called after each step, with how many there are to be."""


class Log(Callback):
    """Writes each step to `directory` and the loggers, and stops a run whose loss is no number.

    `rows` travels with the checkpoint, so that a resumed run has one log. `pause` and `proceed` enclose what is no part
    of a step: validation and checkpoints.
    """

    def __init__(self, directory: Path, steps: int, report: Report | None = None) -> None:
        self.directory, self.steps, self.report = directory, steps, report
        self.rows: list[Row] = []
        self._losses: list[float] = []
        self._waited = 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"rows": [astuple(row) for row in self.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = [Row(*row) for row in state_dict["rows"]]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            with (self.directory / LOG).open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([[f.name for f in fields(Row)], *map(astuple, self.rows)])
        self.proceed()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._lr = float(trainer.optimizers[0].param_groups[0]["lr"])
        self._waited += time.monotonic() - self._asked

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any,
                           batch_idx: int) -> None:
        self._losses.append(float(outputs["loss"]))
        self._asked = now = time.monotonic()
        step = trainer.global_step
        if step == len(self.rows):  # gradients are still being accumulated
            return
        loss = _mean_of_all(trainer, sum(self._losses))
        if not math.isfinite(loss):
            raise FdifError(Diagnostic(
                "E0831", f"the loss of step {step} is {loss}", why="from there no training can recover",
                hint='a smaller `lr`, a `clip` of gradients or precision "32" helps; the last checkpoint is as it was'))
        volumes = len(batch["number"]) * len(self._losses) * trainer.world_size
        row = Row(step, loss, self._lr, now - self._begun, self._waited, volumes)
        self.rows.append(row)
        if trainer.is_global_zero:
            with (self.directory / LOG).open("a", newline="", encoding="utf-8") as file:
                csv.writer(file).writerow(astuple(row))
            values = asdict(row) | {"volumes_per_second": row.volumes / row.seconds}
            for logger in trainer.loggers:
                logger.log_metrics({f"train/{k}": v for k, v in values.items() if k not in ("step", "volumes")}, step)
            if self.report is not None:
                self.report(row, self.steps)
        self.proceed()

    def proceed(self) -> None:
        """The next step begins here."""
        self._begun = self._asked = time.monotonic()
        self._losses, self._waited = [], 0.0


def _mean_of_all(trainer: Trainer, value: float) -> float:
    """The mean over the processes of a run. Lightning has divided by the accumulated batches already."""
    if trainer.world_size == 1:
        return value
    import torch

    mean: Any = trainer.strategy.reduce(torch.tensor(value, device=trainer.strategy.root_device), reduce_op="mean")
    return float(mean)


@dataclass(frozen=True)
class Speed:
    """Volumes a second, and the share of the time that steps waited for data; without the first tenth of the steps, in
    which processes start and caches fill."""

    volumes_per_second: float
    waited: float


def speed(rows: list[Row]) -> Speed:
    rows = rows[len(rows) // 10 + (len(rows) > 1) :] or rows
    seconds = sum(row.seconds for row in rows)
    return Speed(sum(row.volumes for row in rows) / seconds, sum(row.waited for row in rows) / seconds)
