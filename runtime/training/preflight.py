"""What is looked at before a run starts, so that a mistake costs seconds and not a night."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.settings.checks import Wrong
from fdif_dsl.runtime.settings.places import complain
from fdif_dsl.runtime.training.extra import require
from fdif_dsl.runtime.training.networks import Network, Patch, check_size


def check_settings(recipe: Recipe, network: Network, patch: Patch, where: str) -> list[Diagnostic]:
    """What of a recipe's settings cannot go together. Raises `FdifError` for a size that the network cannot have, and
    for missing packages."""
    training = recipe.training
    check_size(network, training.features, patch, where)
    mistakes = []

    def wrong(key: str, title: str, why: str, hint: str) -> None:
        section, _, name = key.partition(".")
        mistakes.append(complain(recipe.source, section, name, Wrong(title, why, hint), code="E0851"))

    if training.task == "classification":
        if recipe.object_range != (1, 1):
            wrong("volume.objects", "classification needs volumes with one object",
                  "the class of a volume is that of its object", "set objects = 1 in [volume]")
        if recipe.placement.inside:
            wrong("placement.translate", "classification needs an object in each volume",
                  "one that is too large to lie inside the grid is left out",
                  "write a number for `translate` in [placement]")
        if patch != recipe.grid:
            wrong("train.patch", "classification needs whole volumes", "a crop may miss the object",
                  'set patch = "grid" in [train]')
        if network.encode is None:
            wrong("train.network", f"`{network.name}` cannot classify",
                  "it is not known which part of it is its encoder",
                  "take a network of `fdifc list networks`, or segment")
    if training.task == "structure" and (recipe.label != "instance" or recipe.images is not None):
        wrong("volume.label", "`structure` needs the number of each object", "it learns where one object ends and "
              "another begins, which classes do not say", 'set label = "instance" in [volume], and no images')
    if recipe.images is not None and training.task != "masked":
        wrong("volume.images", f"`{training.task}` cannot learn from images alone", "they have no labels",
              'set task = "masked" in [train]')
    if recipe.images is not None and training.volumes == "gpu":
        wrong("train.volumes", "images are not drawn on a GPU", "they are read from files",
              'set volumes = "cpu" in [train]')
    if training.recompute and not network.blocks:
        wrong("train.recompute", f"`{network.name}` cannot compute its activations again",
              "its batch norm would count each batch twice, or its parts are not known", "leave out train.recompute")
    if training.compile and shutil.which("g++") is None and shutil.which("c++") is None:
        wrong("train.compile", "torch.compile needs a C++ compiler, and there is none",
              "it writes C++ and has it compiled", "install g++, or leave out train.compile")
    if recipe.monitor.wandb is not None:
        require("wandb", "")
    return mistakes


def check_disk(directory: Path, module: Any, keep: int) -> None:
    """Raises `FdifError` where the checkpoints of a run will not find room beside `directory`."""
    weights = sum(t.numel() * t.element_size() for t in module.network.state_dict().values())
    optimizer = 2 if module.settings.optimizer == "adamw" else 1
    whole = weights * (1 + optimizer + (module.average is not None))
    # Those kept, one that is written before the oldest goes, the best, and the weights of two.
    needed = whole * (keep + 2) + 2 * weights
    place = directory.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if needed > free:
        raise FdifError(Diagnostic(
            "E0839", f"the checkpoints need {_gigabytes(needed)}, and {place} has {_gigabytes(free)} free",
            where=str(directory),
            why=f"a checkpoint of this network has {_gigabytes(whole)}, and the last {keep} and the best are kept",
            hint="free some space, name a folder elsewhere with -o, or keep fewer with monitor.keep=1"))


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
