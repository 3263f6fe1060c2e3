"""`finetune` and `compare`: a network learns to segment a user's data set, once for each seed, and is scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fdif_dsl.compiler.files import write_text
from fdif_dsl.compiler.progress import Progress
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.checks import Wrong
from fdif_dsl.runtime.finetuning.compare import Comparison, compared
from fdif_dsl.runtime.finetuning.recipe import FinetuneRecipe
from fdif_dsl.runtime.finetuning.result import Result, difference_table, table
from fdif_dsl.runtime.finetuning.work import COMPARISON, RECIPE, SCORES, SCRATCH, Work, begin, claim, finish
from fdif_dsl.runtime.settings.places import complain
from fdif_dsl.runtime.training.interrupt import Stop, stop_on_interrupt

if TYPE_CHECKING:
    from fdif_dsl.runtime.finetuning.prepare import Bank
    from fdif_dsl.runtime.finetuning.run import Run
    from fdif_dsl.runtime.training.log import Row


@dataclass(frozen=True)
class Hooks:
    """What is called on the way: `examining` as cases are looked at, `on_start` when all is checked, `on_run` as a run
    begins (what it starts from, its seed), `report` after each step, `on_scores` after each run (what came from the
    weights, the mean Dice score), `on_interrupt` at the first Ctrl-C."""

    examining: Progress | None = None
    on_start: Callable[[Work], None] | None = None
    on_run: Callable[[str, int], None] | None = None
    report: Callable[[Row, int], None] | None = None
    on_scores: Callable[[str, float], None] | None = None
    on_interrupt: Callable[[], None] | None = None


_NO_HOOKS = Hooks()


def finetune(recipe: FinetuneRecipe, directory: Path, *, name: str = "recipe", data: Bank | None = None,
             overwrite: bool = False, hooks: Hooks = _NO_HOOKS) -> Result:
    """Fine-tunes as the recipe says, and leaves in `directory`:

        finetune.toml   the recipe in full
        run.json        versions, the cases of each seed, what came from the weights
        scores.csv      Dice and HD95 of each seed, held-out case and class
        START-seed-N/   for each run: metrics.csv, weights.pt, predictions.png, and predictions/ where they are wanted;
                        START is pretrained, or scratch without weights

    `name` is what the recipe is called. `data`, from `open_data`, spares reading a data set again that several recipes
    use.

    Raises:
        FdifError: the data, the weights, the network or the machine do not do, or the folder holds something else.
        KeyboardInterrupt: a signal ended it.
    """
    work = begin(recipe, name, data, hooks.examining)
    (result,) = _runs(work, directory, overwrite, (False,), hooks)
    return result


def compare(recipe: FinetuneRecipe, directory: Path, *, name: str = "recipe", data: Bank | None = None,
            overwrite: bool = False, hooks: Hooks = _NO_HOOKS) -> Comparison:
    """Fine-tunes with the recipe's weights and, with the same seeds, cases and batches, without them. It leaves what
    `finetune` leaves for both, and

        comparison.csv  for each class, and for their mean: both Dice scores, the difference and its interval
    """
    if recipe.train.weights == "none":
        raise FdifError(complain(recipe.source, "train", "weights", Wrong(
            "there are no weights to compare with a start from scratch",
            hint="give those of a run of `fdifc pretrain` with --weights"), code="E0945"))
    work = begin(recipe, name, data, hooks.examining)
    pretrained, scratch = _runs(work, directory, overwrite, (False, True), hooks)
    out = compared(pretrained, scratch)
    write_text(directory / COMPARISON, difference_table(out))
    return out


def _runs(work: Work, directory: Path, overwrite: bool, starts: tuple[bool, ...], hooks: Hooks) -> list[Result]:
    """A result for each start: with weights, as far as there are any, or (true) from scratch."""
    claim(directory, overwrite)
    if hooks.on_start is not None:
        hooks.on_start(work)
    write_text(directory / RECIPE, work.recipe.to_toml(f"The recipe {work.name}, in full."))
    stop = Stop(hooks.on_interrupt)
    with stop_on_interrupt(stop):
        results = [_result(work, directory, scratch, stop, hooks) for scratch in starts]
    named = [(SCRATCH if scratch else work.start, result) for scratch, result in zip(starts, results, strict=True)]
    write_text(directory / SCORES, table(named))
    finish(work, directory, named)
    return results


def _result(work: Work, directory: Path, scratch: bool, stop: Stop, hooks: Hooks) -> Result:
    """A run for each seed."""
    from fdif_dsl.runtime.finetuning.run import run

    start = SCRATCH if scratch else work.start
    runs = []
    for seed in work.recipe.train.seeds:
        if hooks.on_run is not None:
            hooks.on_run(start, seed)
        runs.append(run(work, seed, directory / f"{start}-seed-{seed}", scratch=scratch, stop=stop,
                        report=hooks.report))
        if hooks.on_scores is not None:
            hooks.on_scores(str(runs[-1].taken or ""), _gather(work, runs[-1:]).mean_dice)
    return _gather(work, runs)


def _gather(work: Work, runs: Sequence[Run]) -> Result:
    dice, hd95 = (np.array([[getattr(score, what) for score in run.scores] for run in runs])
                  for what in ("dice", "hd95"))
    return Result(tuple(work.recipe.train.seeds)[: len(runs)], tuple(case.name for case in work.held_out),
                  work.bank.data.classes[1:], dice, hd95, tuple(run.trained_on for run in runs),
                  str(runs[0].taken or ""))
