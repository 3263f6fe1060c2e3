"""What is measured: the recipe as it is, and the recipe with more or less voxels, objects and threads."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from fdif_dsl.compiler.backends.cpu.driver import thread_count
from fdif_dsl.compiler.ir.grid import MAX_SIDE
from fdif_dsl.runtime.recipe import OBJECTS, Recipe
from fdif_dsl.runtime.settings.checks import VOXELS

_SIDES = (1 / 2, 3 / 4, 1, 3 / 2, 2)
_COUNTS = (1 / 4, 1 / 2, 1, 2, 4)
_MOST_VOLUMES = 50  # a point of a curve is a ratio to another on the same volumes, so few are enough
_VARIABLE = "FDIF_THREADS"


@dataclass(frozen=True)
class Setup:
    """The volumes 0 to `volumes` - 1 of a recipe with this grid (D, H, W) and these objects, on `threads` threads."""

    grid: tuple[int, int, int]
    objects: int | tuple[int, int]
    threads: int
    volumes: int

    def recipe(self, base: Recipe) -> Recipe:
        # Without the patch of its training, which need not fit into a smaller grid.
        return replace(base, grid=self.grid, objects=self.objects, training=replace(base.training, patch=None))


@dataclass(frozen=True)
class Plan:
    """`whole` is the recipe as it is; `base` the same on the fewer volumes of the curves `voxels`, `objects` and
    `threads`, each from little to much."""

    whole: Setup
    base: Setup
    voxels: tuple[Setup, ...]
    objects: tuple[Setup, ...]
    threads: tuple[Setup, ...]

    @property
    def setups(self) -> tuple[Setup, ...]:
        """All of them, each once."""
        return tuple(dict.fromkeys((self.whole, self.base, *self.voxels, *self.objects, *self.threads)))


def make_plan(recipe: Recipe, count: int) -> Plan:
    """The setups for `count` volumes of a recipe. Sizes that a recipe may not have are left out."""
    whole = Setup(recipe.grid, recipe.objects, thread_count(), count)
    base = replace(whole, volumes=max(1, min(_MOST_VOLUMES, count // 4)))
    grids = [_grid(recipe.grid, factor) for factor in _SIDES]
    objects = [_objects(recipe.objects, factor) for factor in _COUNTS]
    return Plan(
        whole, base,
        tuple(replace(base, grid=g) for g in dict.fromkeys(grids) if max(g) <= MAX_SIDE and math.prod(g) <= VOXELS),
        tuple(replace(base, objects=n) for n in dict.fromkeys(objects) if _most(n) <= OBJECTS),
        tuple(replace(base, threads=n) for n in _threads(cpus())))


def cpus() -> int:
    """The CPUs that this process may run on, whatever `FDIF_THREADS` says."""
    before = os.environ.pop(_VARIABLE, None)
    try:
        return thread_count()
    finally:
        if before is not None:
            os.environ[_VARIABLE] = before


@contextmanager
def on_threads(threads: int) -> Iterator[None]:
    """Renders with so many threads inside the block."""
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = str(threads)
    try:
        yield
    finally:
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before


def _grid(grid: tuple[int, int, int], factor: float) -> tuple[int, int, int]:
    d, h, w = (max(1, round(side * factor)) for side in grid)
    return d, h, w


def _objects(objects: int | tuple[int, int], factor: float) -> int | tuple[int, int]:
    if isinstance(objects, int):
        return max(min(objects, 1), round(objects * factor))  # none stay none
    least, most = objects
    return round(least * factor), max(min(most, 1), round(most * factor))


def _most(objects: int | tuple[int, int]) -> int:
    return objects if isinstance(objects, int) else objects[1]


def _threads(most: int) -> list[int]:
    """1, 2, 4, ... and the most."""
    return sorted({*(1 << k for k in range(most.bit_length())), most})
