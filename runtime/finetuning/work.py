"""All that runs of a recipe share: what was checked and read before the first of them starts."""

from __future__ import annotations

from dataclasses import dataclass

from fdif_dsl.compiler.support.progress import Progress
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.finetuning.data.cases import Case
from fdif_dsl.runtime.finetuning.data.preprocessing import Bank, open_data
from fdif_dsl.runtime.finetuning.data.split import split
from fdif_dsl.runtime.finetuning.preflight import Settled, settle
from fdif_dsl.runtime.finetuning.recipe import FinetuneRecipe
from fdif_dsl.runtime.settings.wording import counted

_VNET = 16  # channels to which it repeats its input


@dataclass(frozen=True)
class Work:
    """A recipe, called `name`, with the network and the data that it names. `train` are the cases that may be trained
    on, `held_out` those that are scored."""

    recipe: FinetuneRecipe
    name: str
    settled: Settled
    bank: Bank
    train: tuple[Case, ...]
    held_out: tuple[Case, ...]

    def __str__(self) -> str:
        """What is about to happen."""
        data, recipe = self.bank.data, self.recipe
        count = recipe.data.cases or len(self.train)
        spacing = self.bank.spacing
        voxels = "" if spacing is None else "; voxels (z, y, x) of {:.3g} x {:.3g} x {:.3g} mm".format(*spacing)
        return (f"fine-tuning {self.settled.plan.row.name} for {counted(recipe.train.steps, 'step')} on {count} of "
                f"{counted(len(self.train), 'case')}, with {len(self.held_out)} held out\n"
                f"{data.list.path}: {len(data.classes) - 1} {'class' if len(data.classes) == 2 else 'classes'}, "
                f"{counted(data.channels, 'channel')}{voxels}")


def begin(recipe: FinetuneRecipe, name: str, compare: bool, data: Bank | None = None,
          progress: Progress | None = None) -> Work:
    """Reads and checks what the recipe names; nothing is written.

    Raises:
        FdifError: the data, the weights, the network or the machine do not do.
    """
    settled = settle(recipe, name, compare)
    if data is None:
        data = open_data(recipe, progress)
    elif not data.fits(recipe):
        raise ValueError("these prepared cases are of another data set, spacing or orientation")
    if settled.plan.row.name == "vnet" and _VNET % data.data.channels:
        raise FdifError(Diagnostic(
            "E0938", f"`vnet` cannot take images of {data.data.channels} channels", where=f"{name}: train.network",
            why=f"it repeats its input until it has {_VNET} channels",
            hint="take another network, or 1, 2, 4, 8 or 16 channels"))
    if ":" in settled.plan.row.name:  # a network of the user's is tried before anything is written
        settled.plan.row.build(settled.plan.features, len(data.data.classes), settled.plan.patch, data.data.channels)
    return Work(recipe, name, settled, data, *split(data.data.list, recipe))
