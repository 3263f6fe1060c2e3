"""What is settled before any data is read: the weights, the network, the device."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.finetuning.network import Plan, plan
from fdif_dsl.runtime.finetuning.recipe import FinetuneRecipe
from fdif_dsl.runtime.settings.checks import Wrong
from fdif_dsl.runtime.settings.places import complain
from fdif_dsl.runtime.training.devices import find_accelerator, find_precision
from fdif_dsl.runtime.training.extra import require
from fdif_dsl.runtime.training.pretrained import Pretrained

PRETRAINED, SCRATCH = "pretrained", "scratch"


@dataclass(frozen=True)
class Settled:
    """`pretrained` is None where the recipe names no weights; `precision` is what Lightning is told."""

    pretrained: Pretrained | None
    plan: Plan
    accelerator: str
    precision: Any = field(repr=False)

    def start(self, scratch: bool) -> str:
        """What a run starts from."""
        return PRETRAINED if self.pretrained is not None and not scratch else SCRATCH


def settle(recipe: FinetuneRecipe, name: str, compare: bool, image: tuple[int, int, int] | None = None) -> Settled:
    """Reads the weights and chooses the network. `name` is what the recipe is called; `image` (D, H, W) is the size of
    images that are looked at as a whole.

    Raises:
        FdifError: packages are missing, the recipe names no data, or, to `compare` with, no weights; the weights, the
            network or the machine do not do.
    """
    require("lightning.pytorch")
    require("monai.losses")
    require("scipy.ndimage")
    accelerator, mistakes = find_accelerator(recipe.train.accelerator, recipe.source, "small")
    if recipe.data.path == "none":
        mistakes.append(complain(recipe.source, "data", "path", Wrong(
            "the recipe does not say which data set it fine-tunes on",
            hint="give it with --data PATH, or as `path` in [data]"), code="E0907"))
    if compare and recipe.train.weights == "none":
        mistakes.append(complain(recipe.source, "train", "weights", Wrong(
            "there are no weights to compare with a start from scratch",
            hint="give those of a run of `fdifc pretrain` with --weights"), code="E0945"))
    if mistakes:
        raise FdifError(*mistakes)
    pretrained = None if recipe.train.weights == "none" else Pretrained.read(recipe.train.weights)
    return Settled(pretrained, plan(recipe, pretrained, name, image), accelerator,
                   find_precision(recipe.train.precision, accelerator))
