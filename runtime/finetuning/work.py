"""All that runs of a recipe share: what was checked and read before the first of them starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fdif_dsl.compiler.files import claim_directory
from fdif_dsl.compiler.progress import Progress
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.checks import Wrong
from fdif_dsl.runtime.finetuning.cases import Case
from fdif_dsl.runtime.finetuning.network import Plan, plan
from fdif_dsl.runtime.finetuning.prepare import Bank, open_data
from fdif_dsl.runtime.finetuning.recipe import FinetuneRecipe
from fdif_dsl.runtime.finetuning.split import split
from fdif_dsl.runtime.pretrained import Pretrained
from fdif_dsl.runtime.settings.places import complain
from fdif_dsl.runtime.training.devices import find_accelerator, find_precision
from fdif_dsl.runtime.training.extra import require

RECIPE, SCORES, SUMMARY = "finetune.toml", "scores.csv", "summary.json"
PRETRAINED, SCRATCH = "pretrained", "scratch"


@dataclass(frozen=True)
class Work:
    """A recipe, called `name`, with the network and the data that it names. `train` are the cases that may be trained
    on, `held_out` those that are scored."""

    recipe: FinetuneRecipe
    name: str
    pretrained: Pretrained | None
    plan: Plan
    bank: Bank
    train: tuple[Case, ...]
    held_out: tuple[Case, ...]
    accelerator: str
    precision: Any = field(repr=False)

    @property
    def start(self) -> str:
        """What its runs start from."""
        return PRETRAINED if self.pretrained else SCRATCH


def begin(recipe: FinetuneRecipe, name: str, data: Bank | None = None, progress: Progress | None = None) -> Work:
    """Reads and checks what the recipe names; nothing is written.

    Raises:
        FdifError: the data, the weights, the network or the machine do not do.
    """
    require("lightning.pytorch")
    require("monai.losses")
    accelerator, mistakes = find_accelerator(recipe.train.accelerator, recipe.source, "small")
    if recipe.data.path == "none":
        mistakes.append(complain(recipe.source, "data", "path", Wrong(
            "the recipe does not say which data set it fine-tunes on",
            hint="give it with --data PATH, or as `path` in [data]"), code="E0907"))
    if mistakes:
        raise FdifError(*mistakes)
    pretrained = None if recipe.train.weights == "none" else Pretrained.read(recipe.train.weights)
    chosen = plan(recipe, pretrained, name)
    if data is None:
        data = open_data(recipe, progress)
    elif not data.fits(recipe):
        raise ValueError("these prepared cases are of another data set, spacing or orientation")
    if chosen.row.name == "vnet" and 16 % data.data.channels:
        raise FdifError(Diagnostic(
            "E0938", f"`vnet` cannot take images of {data.data.channels} channels", where=f"{name}: train.network",
            why="it repeats its input until it has 16 channels",
            hint="take another network, or 1, 2, 4, 8 or 16 channels"))
    train, held_out = split(data.data.list, recipe)
    precision = find_precision(recipe.train.precision, accelerator)
    return Work(recipe, name, pretrained, chosen, data, train, held_out, accelerator, precision)


def claim(directory: Path, overwrite: bool) -> None:
    """Makes the folder ready.

    Raises:
        FdifError: it holds an earlier fine-tuning that is not to be overwritten, or something else.
    """
    if (directory / RECIPE).is_file() and not overwrite:
        raise FdifError(Diagnostic("E0944", f"{directory} holds an earlier fine-tuning",
                                   hint="--overwrite starts anew in its place, -o names another folder"))
    claim_directory(directory, RECIPE)
    for name in (SCORES, SUMMARY):
        (directory / name).unlink(missing_ok=True)
