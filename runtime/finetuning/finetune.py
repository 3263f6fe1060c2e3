"""`finetune`: a network learns to segment a user's data set, once for each seed, and is scored on held-out cases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fdif_dsl.compiler.files import write_text
from fdif_dsl.compiler.progress import Progress
from fdif_dsl.runtime.finetuning.recipe import FinetuneRecipe
from fdif_dsl.runtime.finetuning.result import Result, table
from fdif_dsl.runtime.finetuning.work import RECIPE, SCORES, SCRATCH, Work, begin, claim
from fdif_dsl.runtime.training.interrupt import Stop, stop_on_interrupt

if TYPE_CHECKING:
    from fdif_dsl.runtime.finetuning.prepare import Bank
    from fdif_dsl.runtime.training.log import Row


@dataclass(frozen=True)
class Hooks:
    """What is called on the way: `examining` as cases are looked at, `on_start` when all is checked, `on_run` as a run
    begins (what it starts from, its seed), `report` after each step, `on_interrupt` at the first Ctrl-C."""

    examining: Progress | None = None
    on_start: Callable[[Work], None] | None = None
    on_run: Callable[[str, int], None] | None = None
    report: Callable[[Row, int], None] | None = None
    on_interrupt: Callable[[], None] | None = None


def finetune(recipe: FinetuneRecipe, directory: Path, *, name: str = "recipe", data: Bank | None = None,
             overwrite: bool = False, hooks: Hooks = Hooks()) -> Result:
    """Fine-tunes as the recipe says, and leaves in `directory`:

        finetune.toml   the recipe in full
        scores.csv      Dice and HD95 of each seed, held-out case and class
        START-seed-N/   for each run: metrics.csv, weights.pt; START is pretrained, or scratch without weights

    `name` is what the recipe is called. `data`, from `open_data`, spares reading a data set again that several recipes
    use.

    Raises:
        FdifError: the data, the weights, the network or the machine do not do, or the folder holds something else.
        KeyboardInterrupt: a signal ended it.
    """
    work = begin(recipe, name, data, hooks.examining)
    claim(directory, overwrite)
    if hooks.on_start is not None:
        hooks.on_start(work)
    write_text(directory / RECIPE, recipe.to_toml(f"The recipe {name}, in full."))
    stop = Stop(hooks.on_interrupt)
    with stop_on_interrupt(stop):
        result = run_all(work, directory, scratch=False, stop=stop, hooks=hooks)
    write_text(directory / SCORES, table([(work.start, result)]))
    return result


def run_all(work: Work, directory: Path, *, scratch: bool, stop: Stop, hooks: Hooks) -> Result:
    """A run for each seed."""
    from fdif_dsl.runtime.finetuning.run import run

    start = SCRATCH if scratch else work.start
    runs = []
    for seed in work.recipe.train.seeds:
        if hooks.on_run is not None:
            hooks.on_run(start, seed)
        runs.append(run(work, seed, directory / f"{start}-seed-{seed}", scratch=scratch, stop=stop,
                        report=hooks.report))
    dice, hd95 = (np.array([[getattr(score, what) for score in run.scores] for run in runs])
                  for what in ("dice", "hd95"))
    taken = runs[0].taken
    return Result(tuple(work.recipe.train.seeds), tuple(case.name for case in work.held_out),
                  work.bank.data.classes[1:], dice, hd95, tuple(run.trained_on for run in runs),
                  str(taken) if taken else "")
