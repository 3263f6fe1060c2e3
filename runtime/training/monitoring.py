"""What happens after a step as a recipe's section [monitor] says: validation and checkpoints."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch import LightningModule, Trainer

from fdif_dsl.compiler.support.files import write_text
from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.training.checkpoints import Checkpoints
from fdif_dsl.runtime.training.interrupt import Stop
from fdif_dsl.runtime.training.log import Log
from fdif_dsl.runtime.training.metrics import Score, mean
from fdif_dsl.runtime.training.pictures import draw_predictions
from fdif_dsl.runtime.training.trainer import EndOnStop
from fdif_dsl.runtime.training.validation import Validation

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library

SCORES, PICTURE = "validation.csv", "predictions.png"

Announce = Callable[[int, list[Score]], None]
"""Called after a validation with the step and the scores of each task."""


class Watch(EndOnStop):
    """After each step: validates where that is due, writes a checkpoint where that is due, and ends the run where that
    is wanted. `history` has (step, scores) for each validation, and travels with the checkpoint.
    """

    def __init__(self, directory: Path, library: Library, recipe: Recipe, log: Log, checkpoints: Checkpoints,
                 stop: Stop, announce: Announce | None = None) -> None:
        super().__init__(stop)
        self.directory, self.library, self.recipe = directory, library, recipe
        self.steps, self.monitor = recipe.training.steps, recipe.monitor
        self.log_, self.checkpoints, self.announce = log, checkpoints, announce
        self.validation: Validation | None = None
        self.history: list[tuple[int, list[Score]]] = []

    @property
    def best(self) -> tuple[int, float]:
        """The step and the mean score of the best validation; (0, NaN) before the first."""
        scored = [(mean(scores), step) for step, scores in self.history if not math.isnan(mean(scores))]
        value, step = max(scored, key=lambda pair: (pair[0], -pair[1]), default=(math.nan, 0))
        return step, value

    def state_dict(self) -> dict[str, Any]:
        return {"history": [(step, [vars(score) for score in scores]) for step, scores in self.history]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = [(step, [Score(**score) for score in scores]) for step, scores in state_dict["history"]]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.monitor.validate:
            learner: Any = pl_module
            self.validation = Validation(self.library, self.recipe, learner.objective, trainer.global_rank,
                                         trainer.world_size)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        done = trainer.global_step
        # A validation for which the signal that ended the run left no time.
        missed = self.validation if self._due(done) and (not self.history or self.history[-1][0] < done) else None
        if missed is not None and self._validate(missed, trainer, pl_module, done) and trainer.is_global_zero:
            self.checkpoints.name_best()
        super().on_train_start(trainer, pl_module)

    def after_step(self, trainer: Trainer, module: LightningModule, step: int, stop: bool) -> None:
        best = False
        if self.validation is not None and self._due(step) and not stop:
            best = self._validate(self.validation, trainer, module, step)
        if stop or best or step == self.steps or step % self.monitor.checkpoint == 0:
            self.checkpoints.save(trainer, module, best)
        self.log_.proceed()

    def _due(self, step: int) -> bool:
        every = self.monitor.validate
        return step > 0 and every > 0 and (step == self.steps or step % every == 0)

    def _validate(self, validation: Validation, trainer: Trainer, module: LightningModule, step: int) -> bool:
        """Validates, tells, and says whether it is the best so far."""
        trained: Any = module.trained
        scores, samples = validation.run(trained, module.device)
        self.history.append((step, scores))
        best = self.best[0] in (0, step)
        if not trainer.is_global_zero:
            return best
        write_text(self.directory / SCORES, _table(self.history))
        if samples:
            draw_predictions(samples, next(iter(validation.objective.tasks.values())), self.directory / PICTURE,
                             f"Held-out volumes, step {step}")
        values = {f"validation/{score.task}": score.mean for score in scores}
        for logger in trainer.loggers:
            logger.log_metrics(values, step)
            _show(logger, self.directory / PICTURE if samples else None, step)
        if self.announce is not None:
            self.announce(step, scores)
        return best


def _table(history: list[tuple[int, list[Score]]]) -> str:
    """A row for each validation: the mean over the tasks, and each class; empty where the set has none of it."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    several = len(history[0][1]) > 1
    rows.writerow(["step", "mean", *(f"{s.task}: {name}" if several else name
                                     for s in history[0][1] for name in s.classes)])
    for step, scores in history:
        rows.writerow([step, mean(scores), *("" if math.isnan(v) else v for s in scores for v in s.values)])
    return text.getvalue()


def _show(logger: Any, picture: Path | None, step: int) -> None:
    """The picture of predictions, in loggers that show pictures."""
    if picture is None:
        return
    if hasattr(logger.experiment, "add_image"):  # TensorBoard
        from matplotlib.image import imread

        logger.experiment.add_image("validation/predictions", imread(picture)[..., :3], step, dataformats="HWC")
    elif hasattr(logger, "log_image"):  # Weights & Biases
        logger.log_image("validation/predictions", [str(picture)], step)
