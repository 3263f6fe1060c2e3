"""Where the time of a volume goes, and what becomes of its tiles.

Measured apart from the rest, with a driver that also counts clock ticks, so that no other figure pays for it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fdif_dsl.compiler.backends.cpu import CpuBackend
from fdif_dsl.compiler.backends.cpu.driver import Profile
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.runtime.bench.measure import Advance
from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.scenes.render import place
from fdif_dsl.runtime.scenes.sampler import sample_scene

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library

STAGES = {
    "sampling": "drawing the scene",
    "objects": "values of objects",
    "deepest": "the walls of onions",
    "intervals": "bounds of tiles",
    "kernels": "kernels of voxels",
    "composition": "composing the image",
    "labels": "labels",
    "rest": "all the rest",
}
TILES = {"skipped": "proven empty", "filled": "proven inside", "drawn": "drawn"}

Shares = dict[str, float]


def measure_shares(lib: Library, recipe: Recipe, seed: int, count: int, advance: Advance) -> tuple[Shares, Shares]:
    """The share of each stage in the time of `count` volumes, and of each fate among their tiles."""
    # Of its own, as a compiled library has no measured driver.
    backend = CpuBackend(lib.formulas)
    _run(lib, backend, recipe, seed, count, Profile(), advance)  # loads kernels
    profile = Profile()
    start = time.perf_counter()
    _run(lib, backend, recipe, seed, count, profile, advance)
    passed = time.perf_counter() - start
    seconds: dict[str, float] = {**profile.seconds, "rest": passed - sum(profile.seconds.values())}
    return _shares(seconds, STAGES), _shares(profile.tiles, TILES)


def _run(lib: Library, backend: CpuBackend, recipe: Recipe, seed: int, count: int, profile: Profile,
         advance: Advance) -> None:
    for index in range(count):
        with profile.stage("sampling"):
            scene = sample_scene(lib, seed, index, recipe)
        backend.profile(place(scene, lib), Grid(scene.grid), profile)
        advance(1)


def _shares(amounts: Mapping[str, float], names: Mapping[str, str]) -> Shares:
    total = sum(amounts.values())
    return {name: amounts.get(name, 0) / total if total else 0.0 for name in names}
