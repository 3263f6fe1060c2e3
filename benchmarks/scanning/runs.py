"""One pre-training, one fine-tuning, and the mean shape, as the benchmark's processes do them."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import zoom

from fdif_dsl.runtime.finetuning import Bank, FinetuneRecipe, finetune, open_data
from fdif_dsl.runtime.finetuning.data.split import split
from fdif_dsl.runtime.finetuning.metrics import nanmean
from fdif_dsl.runtime.training.run_folder import LAST, WEIGHTS
from scanning.plan import DataSet, Plan, Run

_GRID = 48  # voxels of a side, on which shapes are averaged


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


def finetune_scans(data: Path, spacing: DataSet, run: Run, plan: Plan, pictures: Path,
                   weights: str | None = None) -> dict[str, Any]:
    """Fine-tunes on some cases; the Dice of each held-out case and class after each step that is scored, None where a
    case has none of a class. Leaves a picture of what it found in the first held-out cases in the folder `pictures`."""
    start = time.perf_counter()
    given = () if weights is None else (f"train.weights={json.dumps(weights)}",)
    recipe = FinetuneRecipe.load("small", (*spacing.overrides(data), *plan.finetune_values(run), *given))
    with tempfile.TemporaryDirectory() as folder:  # the scores are all that is wanted
        found = finetune(recipe, Path(folder) / "run", data=_bank(data, spacing))
        from fdif_dsl.runtime.finetuning.segmentation_run import PICTURE  # loads Lightning

        pictures.mkdir(parents=True, exist_ok=True)
        for picture in Path(folder).rglob(PICTURE):
            shutil.copy(picture, pictures / f"{run.name}.png")
    return {"curve": {step: _listed(dice[0]) for step, dice in found.curve.items()}, "classes": list(found.classes),
            "cases": list(found.cases), "trained_on": list(found.trained_on[0]), "taken": found.taken,
            "seconds": time.perf_counter() - start}


def score_mean_shape(data: Path, spacing: DataSet) -> dict[str, Any]:
    """The Dice of the class that most training cases have at the same place of the image, relative to its sides: what
    can be had without looking at grey levels."""
    start = time.perf_counter()
    bank = _bank(data, spacing)
    recipe = FinetuneRecipe.load("small", spacing.overrides(data))
    train, held_out = split(bank.data.list, recipe)
    classes = range(len(bank.data.classes))
    mean = sum(np.stack([_resized(bank[case].label[0].numpy() == k, (_GRID,) * 3) for k in classes])
               for case in train)
    dice = []
    for case in held_out:
        label = bank[case].label[0].numpy()
        found = np.stack([_resized(share, label.shape) for share in mean]).argmax(0)
        dice.append([2 * np.sum((found == k) & (label == k)) / (np.sum(found == k) + np.sum(label == k))
                     if np.any(label == k) else np.nan for k in classes[1:]])
    return {"dice": _listed(np.array(dice)), "seconds": time.perf_counter() - start}


def mean_dice(dice: Any) -> float:
    """Points: a mean over classes of the mean over the cases that have one."""
    return float(nanmean(nanmean(np.array(dice, float), (0,)), (0,))) * 100


def _resized(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The same on another grid, by linear interpolation."""
    out = zoom(values.astype(np.float32), [n / m for n, m in zip(shape, values.shape, strict=True)], order=1,
               mode="nearest", grid_mode=True)
    return np.asarray(out)


def _listed(dice: np.ndarray) -> list[list[float | None]]:
    """As JSON, which has no NaN."""
    rounded: list[list[float | None]] = np.where(np.isnan(dice), None, np.round(dice, 5)).tolist()
    return rounded


@cache
def _bank(data: Path, spacing: DataSet) -> Bank:
    """The data set as the network sees it, read once a process."""
    return open_data(FinetuneRecipe.load("small", spacing.overrides(data)))
