"""`finetune` and `compare`: a network learns to segment a user's data set, once for each seed, and is scored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fdif_dsl.compiler.support.files import write_text
from fdif_dsl.runtime.finetuning.preflight import PRETRAINED, SCRATCH, Work, begin
from fdif_dsl.runtime.finetuning.recipe import FinetuneRecipe
from fdif_dsl.runtime.finetuning.results import (
    Comparison,
    Result,
    compared,
    difference_table,
    labels_table,
    table,
)
from fdif_dsl.runtime.finetuning.runs import COMPARISON, LABELS, NO_HOOKS, SCORES, Hooks, run_all, taking

if TYPE_CHECKING:
    from fdif_dsl.runtime.finetuning.data.preprocessing import Bank
    from fdif_dsl.runtime.finetuning.segmentation_run import Run
    from fdif_dsl.runtime.training.interrupt import Stop


def finetune(recipe: FinetuneRecipe, directory: Path, *, name: str = "recipe", data: Bank | None = None,
             overwrite: bool = False, hooks: Hooks = NO_HOOKS) -> Result:
    """Fine-tunes as the recipe says, and leaves in `directory`:

        finetune.toml   the recipe in full
        run.json        versions, the cases of each seed, what came from the weights
        scores.csv      Dice and HD95 of each seed, held-out case and class
        labels.csv      with `renumber`: the number of each class in the files, where that is another than the network's
        START-seed-N/   for each run: metrics.csv, weights.pt, predictions.png, curve.csv with `validate.at`, and
                        predictions/ where they are wanted; START is pretrained, or scratch without weights; of an
                        ensemble in fold-0/ and so on

    `name` is what the recipe is called. `data`, from `open_data`, spares reading a data set again that several recipes
    use.

    Raises:
        FdifError: the data, the weights, the network or the machine do not do, the folder holds something else, or
            another run is writing into it.
        KeyboardInterrupt: a signal ended it.
    """
    with taking(directory, overwrite):
        work = begin(recipe, name, False, data, hooks.examining)
        return next(iter(_results(work, directory, False, hooks).values()))


def compare(recipe: FinetuneRecipe, directory: Path, *, name: str = "recipe", data: Bank | None = None,
            overwrite: bool = False, hooks: Hooks = NO_HOOKS) -> Comparison:
    """Fine-tunes with the recipe's weights and, with the same seeds, cases and batches, without them. It leaves what
    `finetune` leaves for both, and

        comparison.csv  for each class, and for their mean: both Dice scores, the difference and its interval
    """
    with taking(directory, overwrite):
        work = begin(recipe, name, True, data, hooks.examining)
        results = _results(work, directory, True, hooks)
        out = compared(results[PRETRAINED], results[SCRATCH])
        write_text(directory / COMPARISON, difference_table(out))
        return out


def _results(work: Work, directory: Path, compare: bool, hooks: Hooks) -> dict[str, Result]:
    """The result of each start."""

    def one(seed: int, folder: Path, scratch: bool, stop: Stop) -> Run:
        from fdif_dsl.runtime.finetuning.segmentation_run import run

        return run(work, seed, folder, scratch=scratch, stop=stop, report=hooks.report)

    data = work.bank.data
    facts = {"data": str(data.list.path), "classes": list(data.classes), "channels": data.channels,
             "spacing": work.bank.spacing, "normalise": list(work.schemes),
             "labels": list(data.numbers),
             "held_out": [case.name for case in work.held_out]}
    if hooks.on_warning is not None:
        for warning in work.warnings:
            hooks.on_warning(warning)
    found = run_all(work.recipe, work.name, work.settled, directory, compare=compare, hooks=hooks,
                    about=str(work), facts=facts, one=one)
    if data.renumbered:
        write_text(directory / LABELS, labels_table(data.classes, data.numbers))
    results = {start: _gather(work, runs) for start, runs in found.items()}
    write_text(directory / SCORES, table(results))
    return results


def _gather(work: Work, runs: Sequence[Run]) -> Result:
    dice, hd95 = (np.array([[getattr(score, what) for score in run.scores] for run in runs])
                  for what in ("dice", "hd95"))
    return Result(tuple(work.recipe.train.seeds), tuple(case.name for case in work.held_out),
                  work.bank.data.scored, dice, hd95, tuple(run.trained_on for run in runs), runs[0].taken,
                  {step: np.array([[score.dice for score in run.curve[step]] for run in runs])
                   for step in runs[0].curve})
