"""Training for some steps, by Lightning."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from monai.data.meta_obj import get_track_meta, set_track_meta
from torch.utils.data import DataLoader

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.finetuning.preflight import Settled
from fdif_dsl.runtime.finetuning.tuner import EndOnStop, Tuner
from fdif_dsl.runtime.training.interrupt import Stop
from fdif_dsl.runtime.training.log import Log, Report
from fdif_dsl.runtime.training.quiet import quiet


def fit(tuner: Tuner, batches: Any, settled: Settled, folder: Path, stop: Stop, report: Report | None) -> None:
    """Trains for the recipe's steps; leaves metrics.csv in the folder.

    Raises:
        FdifError: the GPU has not enough memory, or the loss is no longer a number.
        KeyboardInterrupt: `stop` is wanted.
    """
    train = tuner.settings
    with quiet(), _untracked():
        trainer = Trainer(
            max_steps=train.steps, accelerator=settled.accelerator, devices=1, precision=settled.precision,
            gradient_clip_val=train.clip or None, logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, use_distributed_sampler=False,
            callbacks=[Log(folder, train.steps, report), EndOnStop(stop)])
        try:
            trainer.fit(tuner, DataLoader(batches, batch_size=None))
        except torch.OutOfMemoryError as error:
            raise FdifError(Diagnostic(
                "E0853", "the GPU has not enough memory for a training step", why=str(error).partition(". ")[0],
                hint="a smaller train.batch or train.patch needs less")) from error
        except SystemExit:  # what Lightning makes of the second Ctrl-C
            if not stop.wanted:
                raise
    if stop.wanted:
        raise KeyboardInterrupt


@contextmanager
def _untracked() -> Iterator[None]:
    """Keeps MONAI from noting where each patch came from, which takes longer than cutting it."""
    before = get_track_meta()
    set_track_meta(False)
    try:
        yield
    finally:
        set_track_meta(before)


def half(device: torch.device, precision: str) -> Any:
    """The precision of training, for what is computed outside of it."""
    kind = torch.bfloat16 if precision == "bf16-mixed" else torch.float16
    return torch.autocast(device.type, kind, enabled=device.type == "cuda" and precision != "32")
