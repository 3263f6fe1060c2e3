"""`classify`: a network's encoder learns the classes of MedMNIST's volumes, and is scored on those of its test set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fdif_dsl.compiler.support.files import write_text
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.finetuning.data.medmnist import MedMnist, read_medmnist
from fdif_dsl.runtime.finetuning.data.normalisation import schemes, told
from fdif_dsl.runtime.finetuning.preflight import PRETRAINED, SCRATCH, settle
from fdif_dsl.runtime.finetuning.recipe import FinetuneRecipe
from fdif_dsl.runtime.finetuning.results import (
    ClassComparison,
    Classified,
    compared_names,
    names_table,
    naming_difference_table,
)
from fdif_dsl.runtime.finetuning.runs import COMPARISON, NO_HOOKS, SCORES, Hooks, run_all, taking
from fdif_dsl.runtime.settings.checks import Wrong
from fdif_dsl.runtime.settings.places import complain
from fdif_dsl.runtime.settings.wording import counted

if TYPE_CHECKING:
    from fdif_dsl.runtime.finetuning.classification_run import Run
    from fdif_dsl.runtime.training.interrupt import Stop


def classify(recipe: FinetuneRecipe, directory: Path, *, name: str = "recipe", overwrite: bool = False,
             hooks: Hooks = NO_HOOKS) -> Classified:
    """As `finetune`, for a file of MedMNIST: accuracy and the area under the ROC curve on its test set. scores.csv has
    the probability of each class for each image."""
    with taking(directory, overwrite):
        return next(iter(_results(recipe, directory, name, False, hooks).values()))


def compare_classified(recipe: FinetuneRecipe, directory: Path, *, name: str = "recipe", overwrite: bool = False,
                       hooks: Hooks = NO_HOOKS) -> ClassComparison:
    """As `compare`, for a file of MedMNIST."""
    with taking(directory, overwrite):
        results = _results(recipe, directory, name, True, hooks)
        out = compared_names(results[PRETRAINED], results[SCRATCH])
        write_text(directory / COMPARISON, naming_difference_table(out))
        return out


def _results(recipe: FinetuneRecipe, directory: Path, name: str, compare: bool, hooks: Hooks,
             ) -> dict[str, Classified]:
    data = read_medmnist(Path(recipe.data.path))
    settled = settle(recipe, name, compare, data.size)
    row = settled.plan.row
    if row.encode is None:
        raise FdifError(Diagnostic("E0851", f"`{row.name}` cannot classify", where=f"{name}: train.network",
                                   why="it is not known which part of it is its encoder",
                                   hint="take a network of `fdifc list networks`"))
    if recipe.data.normalise == "ct":
        raise FdifError(complain(recipe.source, "data", "normalise", Wrong(
            "`ct` needs labelled voxels", "images of MedMNIST have a class as a whole",
            'write "clipped", "zscore", "unit" or "keep"'), code="E0947"))
    if recipe.data.cases > len(data.train.labels):
        raise FdifError(complain(recipe.source, "data", "cases", Wrong(
            f"there are {len(data.train.labels)} images to train on, and {recipe.data.cases} are asked for",
            hint="ask for fewer, or 0 for all"), code="E0919"))

    def one(seed: int, folder: Path, scratch: bool, stop: Stop) -> Run:
        from fdif_dsl.runtime.finetuning.classification_run import run

        return run(recipe, settled, data, seed, folder, scratch=scratch, stop=stop, report=hooks.report)

    found = run_all(recipe, name, settled, directory, compare=compare, hooks=hooks,
                    about=_about(recipe, row.name, data), one=one,
                    facts={"data": str(data.path), "classes": data.classes, "channels": data.channels,
                           "normalise": list(schemes(recipe.data.normalise, (), data.channels))})
    results = {start: _gather(recipe, data, runs) for start, runs in found.items()}
    write_text(directory / SCORES, names_table(results))
    return results


def _about(recipe: FinetuneRecipe, network: str, data: MedMnist) -> str:
    count = recipe.data.cases or len(data.train.labels)
    return (f"fine-tuning the encoder of {network} for {counted(recipe.train.steps, 'step')} on {count} of "
            f"{len(data.train.labels)} images, with {len(data.test.labels)} held out\n"
            f"{data.path}: {data.classes} classes, images of {' x '.join(map(str, data.size))} voxels\n"
            f"grey levels: {told(schemes(recipe.data.normalise, (), data.channels), ())}")


def _gather(recipe: FinetuneRecipe, data: MedMnist, runs: Sequence[Run]) -> Classified:
    return Classified(tuple(recipe.train.seeds), data.test.labels, np.stack([run.chances for run in runs]),
                      tuple(run.trained_on for run in runs), runs[0].taken)
