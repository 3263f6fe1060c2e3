"""The labelled volume of a recipe, as the NIfTI files that viewers of the field read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.library import Library, load_library
from fdif_dsl.compiler.support.progress import Progress
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.datasets.nifti import nifti
from fdif_dsl.runtime.pictures.palette import label_colour
from fdif_dsl.runtime.recipe import Recipe, resolve
from fdif_dsl.runtime.scanner.scan import prepare, scan
from fdif_dsl.runtime.scenes.sampler import sample_scene

SIDES = (32, 48, 64, 96, 128)
"""Grids to choose from."""
_libraries: dict[tuple[str, ...], Library] = {}


def of_recipe(name: str, side: int) -> tuple[Recipe, Library]:
    """A built-in recipe on a grid of one's own, and its library."""
    recipe = Recipe.load(name, [f"volume.grid=[{side}, {side}, {side}]", 'train.patch="grid"', 'volume.images="none"'])
    key = tuple(recipe.library)
    if key not in _libraries:
        _libraries[key] = load_library(list(key))
    return recipe, _libraries[key]


def of_formulas(formulas: Sequence[Formula], side: int, objects: int) -> tuple[Recipe, Library]:
    """A recipe of some formulas, all of which are used."""
    library = Library(formulas, {})
    recipe = Recipe(grid=(side, side, side), objects=objects, displacements=list(library.displacements),
                    mappers=list(library.mappers))
    return recipe, library


def volume(recipe: Recipe, library: Library, seed: int, index: int, progress: Progress,
           told: Callable[[dict[str, Any]], None]) -> tuple[bytes, bytes]:
    """The image and the labels as NIfTI files; `told` hears the names and colours of the labels that are seen.

    A recipe with several labels a voxel shows the first. Where there is a GPU it draws. Raises as `scan` does.
    """
    choices = resolve(recipe, library)
    library.compile(progress, choices.formulas)
    prepare(library, recipe)
    scene = sample_scene(library, seed, index, recipe)
    drawn = scan(scene, library, recipe, seed, index, _backend(library), choices.meaning)
    image, label = (np.asarray(a.cpu() if hasattr(a, "cpu") else a) for a in (drawn.image, drawn.label))
    task = choices.meaning.tasks[0]
    if label.ndim == 4:
        label = label[0]
    classes = task.classes
    seen = [int(value) for value in np.unique(label) if value]
    # Numbers of classes may be beyond what a colour table holds, and neighbours would have one colour.
    table = np.zeros(int(label.max(initial=0)) + 1, np.uint8)
    table[seen] = np.arange(1, len(seen) + 1)
    told({"labels": [{"number": value, "name": classes[value] if value < len(classes) else f"label {value}",
                      "colour": [round(255 * part) for part in label_colour(place)]}
                     for place, value in enumerate(seen, 1)],
          "grid": list(recipe.grid), "objects": len(scene.objects), "filled": float((label > 0).mean())})
    note = f"seed {seed} index {index}"
    return nifti(image.astype(np.uint8), note), nifti(table[label], note)


def _backend(library: Library) -> str:
    try:
        library.backend("cuda")
    except FdifError:
        return "cpu"
    return "cuda"
