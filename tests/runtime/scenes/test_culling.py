"""Leaving out tiles where an object is proven absent changes nothing: neither image, labels nor counts."""

from __future__ import annotations

import numpy as np
import pytest

from fdif_dsl.compiler.backends.cpu import CpuBackend
from fdif_dsl.compiler.backends.cpu.driver import Profile
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.library import Library, load_library
from fdif_dsl.runtime.recipe import Placement, Recipe
from fdif_dsl.runtime.scenes.render import place
from fdif_dsl.runtime.scenes.sampler import sample_scene

# Small grids show the same edges as large ones, and let hundreds of scenes be compared.
RECIPES = {
    "the paper's objects": (120, {"grid": (32, 32, 32), "objects": 12}),
    "slender grids": (60, {"grid": (11, 48, 25), "objects": 8}),
    "one tile": (40, {"grid": (5, 8, 3), "objects": 6}),
    "far outside": (60, {"grid": (24, 24, 24), "objects": 10,
                         "placement": Placement(translate=3.0, rotation=180, shear=0.4)}),
    "every texture": (60, {"grid": (40, 24, 32), "objects": 10, "displacements": "all", "mappers": "all"}),
}


@pytest.fixture(scope="module")
def lib() -> Library:
    return load_library()


@pytest.mark.parametrize("name", RECIPES)
def test_culling_changes_no_voxel(name: str, lib: Library) -> None:
    count, settings = RECIPES[name]
    if settings.get("displacements") == "all":
        settings = settings | {"displacements": [*lib.displacements], "mappers": [*lib.mappers]}
    recipe = Recipe(**settings)
    with_, without = lib.backend("cpu"), CpuBackend(lib.formulas, culling=False)
    assert isinstance(with_, CpuBackend)
    for index in range(count):
        scene = sample_scene(lib, 11, index, recipe)
        objects, grid = place(scene, lib), Grid(scene.grid)
        found, wanted = with_.render(objects, grid), without.render(objects, grid)
        for part in ("image", "label", "counts"):
            np.testing.assert_array_equal(getattr(found, part), getattr(wanted, part), f"{part} of scene {index}")


def test_most_tiles_are_left_out(lib: Library) -> None:
    backend = lib.backend("cpu")
    assert isinstance(backend, CpuBackend)
    profile = Profile()
    for index in range(4):
        scene = sample_scene(lib, 3, index, Recipe(grid=(64, 64, 64)))
        backend.profile(place(scene, lib), Grid(scene.grid), profile)
    tiles = profile.tiles
    assert tiles.total() == 4 * 20 * 8**3
    assert tiles["skipped"] > 0.6 * tiles.total()
    assert tiles["drawn"] > 0
