"""From a scene to a volume as the recipe's scanner shows it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fdif_dsl.compiler.backends.cpu import CpuBackend
from fdif_dsl.runtime.recipe import Recipe, Scanner, as_recipe
from fdif_dsl.runtime.recipe.meaning import Meaning
from fdif_dsl.runtime.scanner import compiled
from fdif_dsl.runtime.scanner.draws import Acquisition, draw
from fdif_dsl.runtime.scenes.render import Volume, as_tensor, class_table, labelled, render, render_numbered
from fdif_dsl.runtime.scenes.sampler import check_number
from fdif_dsl.runtime.scenes.scene import Scene

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library


def scan(scene: Scene, lib: Library, recipe: str | Path | Recipe, seed: int, index: int, backend: str = "cpu",
         meaning: Meaning | None = None) -> Volume:
    """The volume of a scene as the scanner of a recipe shows it, with the numbers that it has for this seed and index.
    Without a scanner it is what `render` gives, and its labels and counts are that always.

    The image is a NumPy array or, for the backends `torch` and `cuda`, a tensor. Its grey levels are clamped between 0
    and 128 after `paint` and before `gamma`, and in the end rounded to the nearest. Raises as `render` does, and for
    numbers that are no seed and no index.
    """
    check_number("seed", seed, 2**64)
    check_number("index", index, 2**63)
    what = draw_acquisition(lib, as_recipe(recipe).scanner, scene.grid, len(scene.objects), seed, index)
    if what is None:
        return render(scene, lib, backend, meaning)
    if not what.by_object:
        volume = render(scene, lib, backend, meaning)
        label = volume.label if len(volume.label.shape) == 3 else volume.label[0]
        return replace(volume, image=_image(lib, what, volume.image, label))
    table = class_table(scene, lib) if meaning is None else meaning.table(scene.objects)
    volume = render_numbered(scene, lib, backend)
    return replace(labelled(volume, table), image=_image(lib, what, volume.image, volume.label))


def prepare(lib: Library, recipe: Recipe) -> None:
    """Compiles what the scanner of a recipe needs, where it has one and that is not in the cache or the library."""
    if recipe.scanner.used:
        compiled.functions_of(_host(lib))


def draw_acquisition(lib: Library, scanner: Scanner, grid: tuple[int, int, int], objects: int, seed: int,
                     index: int) -> Acquisition | None:
    """What the scanner does to the volume of a seed and an index, with so many objects; None where nothing happens."""
    if not scanner.used:
        return None
    seed, index = int(seed), int(index)  # not of NumPy, whose sums overflow
    return draw(scanner, grid, objects, seed, index, partial(compiled.uniforms, _host(lib), seed, index))


def _host(lib: Library) -> CpuBackend:
    backend = lib.backend("cpu")
    assert isinstance(backend, CpuBackend)
    return backend


def _image(lib: Library, what: Acquisition, image: Any, numbers: Any) -> Any:
    if isinstance(image, np.ndarray):
        return compiled.scanned(_host(lib), what, image, numbers)
    from fdif_dsl.runtime.scanner import tensors

    return tensors.scanned(what, as_tensor(image), as_tensor(numbers))
