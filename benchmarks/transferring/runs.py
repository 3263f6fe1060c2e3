"""One pre-training, one fine-tuning, as the benchmark's processes do them."""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
import threading
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from fdif_dsl.runtime.finetuning import Bank, FinetuneRecipe, finetune, open_data
from fdif_dsl.runtime.training.run_folder import LAST, WEIGHTS
from transferring.plan import Run


def set_up(threads: int) -> None:
    """Makes a process ready: it shares the cores with those beside it, and ends with the one that started it."""
    os.environ.update(OMP_WAIT_POLICY="PASSIVE", FDIF_THREADS=str(threads))  # torch reads the first as it is loaded
    import torch

    torch.set_num_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed cannot say so, and what trained on alone would meet the next call of the benchmark."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def pretrain_arm(folder: Path, name: str, overrides: tuple[str, ...]) -> dict[str, Any]:
    """Pre-trains on a built-in recipe with some values replaced, or goes on with an interrupted run.

    Raises:
        KeyboardInterrupt: it was interrupted; a checkpoint is left.
    """
    from fdif_dsl.compiler.library import load_library
    from fdif_dsl.runtime.recipe import Recipe
    from fdif_dsl.runtime.training.pretrain import pretrain

    start = time.perf_counter()
    resume = (folder / LAST).exists()
    recipe = Recipe.load(name, overrides)
    run = pretrain(load_library(recipe.library), recipe, folder, name=name, resume=resume, overwrite=not resume)
    assert run is not None
    if run.interrupted:
        raise KeyboardInterrupt
    return {"weights": str(folder / WEIGHTS), "steps": run.steps, "first_loss": run.loss.first,
            "last_loss": run.loss.last, "dice": {score.task: score.mean for score in run.scores},
            "waited": run.speed.waited, "seconds": time.perf_counter() - start}


def finetune_once(data: Path, run: Run, overrides: tuple[str, ...], weights: str | None = None) -> dict[str, Any]:
    """Fine-tunes on some cases of the phantom; the Dice of each held-out case and class, None where it has none."""
    start = time.perf_counter()
    given = [f"data.cases={run.cases}", f"train.seeds=[{run.seed}]"]
    if run.steps is not None:
        given.append(f"train.steps={run.steps}")
    if weights is not None:
        given.append(f"train.weights={json.dumps(weights)}")
    recipe = _recipe(data, (*overrides, *given))
    with tempfile.TemporaryDirectory() as folder:  # the scores are all that is wanted
        found = finetune(recipe, Path(folder) / "run", data=_bank(data, overrides))
    dice = np.round(found.dice[0], 5)
    return {"dice": np.where(np.isnan(dice), None, dice).tolist(), "classes": list(found.classes),
            "trained_on": list(found.trained_on[0]), "taken": found.taken, "seconds": time.perf_counter() - start}


def _recipe(data: Path, overrides: tuple[str, ...]) -> FinetuneRecipe:
    return FinetuneRecipe.load("small", [f"data.path={json.dumps(str(data))}", *overrides])


@cache
def _bank(data: Path, overrides: tuple[str, ...]) -> Bank:
    """The phantom as the network sees it, read once a process."""
    return open_data(_recipe(data, overrides))
