"""Random scenes: every number is a function of (seed, volume index, object number, draw number).

So volume 123456 is the same in any worker and any order, and one more object changes nothing about the
others. An object's first sixteen draws choose its class, displacement, mapper and affine; the priors of its
class take the ones after, and those of its displacement and its mapper have ranges of their own
(`sampling.FIRST_DRAWS`). They are drawn by compiled code, about a microsecond an object, to the bit as
`sampler_definition.py` says.
"""

from __future__ import annotations

import ctypes
import math
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fdif_dsl.compiler.backends.cpu import CpuBackend, sampling
from fdif_dsl.compiler.backends.cpu.sampling import OWN_DRAWS, prior_kernel, sampler_unit
from fdif_dsl.compiler.backends.cpu.scalars import ScalarKernel
from fdif_dsl.compiler.backends.store.unit import Unit
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.ir.priors import scene_quantities
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.recipe import Recipe, as_recipe, resolve
from fdif_dsl.runtime.scenes.groups import with_groups
from fdif_dsl.runtime.scenes.philox import uniforms
from fdif_dsl.runtime.scenes.placing import put_inside
from fdif_dsl.runtime.scenes.sampler_definition import drawn_parameters, seen_closer
from fdif_dsl.runtime.scenes.scene import Scene, SceneObject

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library

_WORD = 0xFFFFFFFF
_MOST_RECIPES = 64
_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)  # a call releases Python's lock


def sample_scene(lib: Library, seed: int, index: int, recipe: str | Path | Recipe = "paper") -> Scene:
    """Scene number `index` of the data set `seed`.

    `seed` is from 0 to 2^64 - 1, `index` from 0 to 2^63 - 1. Raises `FdifError` for another one, and where
    the recipe names what the library lacks.
    """
    check_number("seed", seed, 2**64)
    check_number("index", index, 2**63)
    seed, index = int(seed), int(index)
    recipe = as_recipe(recipe)
    sampler = _sampler(lib, recipe)
    scene = sampler.scene(seed, index)
    if recipe.groups:
        return with_groups(scene, sampler.choices, seed, index)
    return put_inside(scene, lib, recipe.placement, seed, index) if recipe.placement.inside else scene


@dataclass(frozen=True)
class Drawn:
    """Objects of several scenes, one scene after the other: `counts` says how many each has. `shape`, `displacement`
    and `mapper` are positions among the recipe's choices. From `start` of an object on, `values` has the 16 numbers of
    its affine, row by row, and then those of the quantities of these three, slot by slot; `slots` (objects, 3) says
    where those of each begin."""

    counts: np.ndarray
    shape: np.ndarray
    displacement: np.ndarray
    mapper: np.ndarray
    values: np.ndarray
    start: np.ndarray
    slots: np.ndarray

    @property
    def affines(self) -> np.ndarray:
        """(objects, 4, 4), from object to world coordinates."""
        return self.values[self.start[:, None] + np.arange(sampling.AFFINE)].reshape(-1, 4, 4)


def draw_objects(lib: Library, seed: int, indices: Sequence[int], recipe: str | Path | Recipe) -> Drawn | None:
    """The objects of the scenes that `sample_scene` gives for these indices, without an object in Python for each; None
    where the recipe has a class that Python has to draw, has groups, or places objects one after the other. Raises as
    `sample_scene` does."""
    check_number("seed", seed, 2**64)
    for index in indices:
        check_number("index", index, 2**63)
    recipe = as_recipe(recipe)
    sampler = _sampler(lib, recipe)
    fast = sampler.compiled and not recipe.placement.inside and not recipe.groups
    return sampler.drawn(int(seed), [int(i) for i in indices]) if fast else None


def check_number(what: str, value: int, end: int) -> None:
    """Raises `FdifError` unless `value` is a whole number from 0 to below `end`, a power of two."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value < end:
        raise FdifError(Diagnostic("E0904", f"{value!r} is no {what}",
                                   hint=f"it is a whole number from 0 to 2^{end.bit_length() - 1} - 1"))


class _Sampler:
    """Draws the scenes of one recipe from one library, with compiled code."""

    def __init__(self, lib: Library, recipe: Recipe) -> None:
        self.choices = choices = resolve(recipe, lib)
        self.grid = Grid(recipe.grid)
        self.classes, self.displacements, self.mappers = kinds = [
            [_Choice(formula) for formula in formulas]
            for formulas in (choices.shapes, choices.displacements, choices.mappers)]
        drawn = [choice for kind in kinds for choice in kind if choice.kernel]
        addresses = _addresses(lib, [sampler_unit(), *(c.kernel.unit for c in drawn if c.kernel)])
        self.draw = _FUNCTION(addresses[sampler_unit().symbol])
        self.kept: list[Any] = []  # arrays whose addresses stand in the job
        self.job = np.zeros(sampling.JOB, np.int64)
        self.job[sampling.LEAST], self.job[sampling.MOST] = recipe.object_range
        self.job[sampling.SHAPES : sampling.MAPPERS + 1] = [len(kind) for kind in kinds]
        for k, kind in enumerate(kinds):
            table = np.array([self._row(choice, addresses) for choice in kind], np.int64)
            self.kept.append(table)
            self.job[sampling.TABLES + k] = table.ctypes.data
        self.most = recipe.object_range[1]
        self.widths = [np.array([choice.numbers if choice.kernel else 0 for choice in kind]) for kind in kinds]
        self.longest = sampling.AFFINE + sum(int(widths.max()) for widths in self.widths)
        self.memory = sampling.memory_size(
            max((c.formula.draws for c in drawn if c.formula), default=0),
            max((len(c.kernel.inputs) for c in drawn if c.kernel), default=0))
        p = recipe.placement
        self.grid_scale = p.grid_scale
        self.numbers = np.array([*(self.grid.number(name) for name in sampling.GRID),
                                 p.shift, math.radians(p.rotation), p.shear])

    def _row(self, choice: _Choice, addresses: dict[str, int]) -> list[int]:
        """Its columns in the table of the sampler."""
        kernel, row = choice.kernel, [0] * sampling.COLUMNS
        if kernel is not None and choice.formula is not None:
            sources = np.array([sampling.place_of(what) for what in kernel.inputs], np.int64)
            self.kept.append(sources)
            row[sampling.KERNEL], row[sampling.SOURCES] = addresses[kernel.name], sources.ctypes.data
            row[sampling.DRAWS], row[sampling.INPUTS] = choice.formula.draws, len(kernel.inputs)
            row[sampling.OUTPUTS] = kernel.outputs
        return row

    @property
    def compiled(self) -> bool:
        """Whether compiled code draws every class of the recipe."""
        return all(class_.kernel for class_ in self.classes)

    def drawn(self, seed: int, indices: Sequence[int]) -> Drawn:
        whole = np.empty(sampling.JOB + 3 * self.most * len(indices), np.int64)
        real = np.empty(self.memory + self.longest * self.most * len(indices))
        job, memory, numbers = whole.ctypes.data, real.ctypes.data, self.numbers.ctypes.data
        whole[: sampling.JOB] = self.job
        chosen, values, counts = 0, 0, []
        for index in indices:
            whole[sampling.KEY_LOW : sampling.INDEX_HIGH + 1] = seed & _WORD, seed >> 32, index & _WORD, index >> 32
            whole[sampling.MEMORY : sampling.VALUES + 1] = (
                memory, job + 8 * (sampling.JOB + 3 * chosen), memory + 8 * (self.memory + values))
            self.draw(job, numbers)
            count, end = whole[sampling.OBJECTS : sampling.END + 1].tolist()
            counts.append(count)
            chosen, values = chosen + count, values + end
        shape, displacement, mapper = whole[sampling.JOB : sampling.JOB + 3 * chosen].reshape(-1, 3).T
        start, slots = self._starts(shape, displacement, mapper)
        found = real[self.memory : self.memory + values]
        self._see_closer(found, start)
        return Drawn(np.array(counts), shape, displacement, mapper, found, start, slots)

    def scene(self, seed: int, index: int) -> Scene:
        # One array of each kind, as it is the address of an array that takes time.
        whole = np.empty(sampling.JOB + 3 * self.most, np.int64)
        real = np.empty(self.memory + self.longest * self.most)
        job, memory = whole.ctypes.data, real.ctypes.data
        whole[: sampling.JOB] = self.job
        whole[sampling.KEY_LOW : sampling.INDEX_HIGH + 1] = seed & _WORD, seed >> 32, index & _WORD, index >> 32
        whole[sampling.MEMORY : sampling.VALUES + 1] = memory, job + 8 * sampling.JOB, memory + 8 * self.memory
        self.draw(job, self.numbers.ctypes.data)
        count, end = whole[sampling.OBJECTS : sampling.END + 1].tolist()
        if self.grid_scale != 1:
            start, _ = self._starts(*whole[sampling.JOB : sampling.JOB + 3 * count].reshape(-1, 3).T)
            self._see_closer(real[self.memory : self.memory + end], start)
        chosen = whole[sampling.JOB : sampling.JOB + 3 * count].tolist()
        values = real[self.memory : self.memory + end].tolist()
        objects = []
        at = 0
        for i in range(count):
            of_shape, of_displacement, of_mapper = chosen[3 * i : 3 * i + 3]
            shape, displacement = self.classes[of_shape], self.displacements[of_displacement]
            mapper = self.mappers[of_mapper]
            affine = (tuple(values[at : at + 4]), tuple(values[at + 4 : at + 8]), tuple(values[at + 8 : at + 12]),
                      tuple(values[at + 12 : at + 16]))
            at += sampling.AFFINE
            if shape.kernel is not None:
                params = shape.parameters(values, at)
                at += shape.numbers
            else:
                assert shape.formula is not None
                draws = uniforms(seed, index, i, OWN_DRAWS, shape.formula.draws)[0]
                params = drawn_parameters(shape.formula, self.grid, list(draws), np.array(affine))
            offset: dict[str, Any] = {}
            shade: dict[str, Any] = {}
            if displacement.kernel is not None:
                offset = displacement.parameters(values, at)
                at += displacement.numbers
            if mapper.kernel is not None:
                shade = mapper.parameters(values, at)
                at += mapper.numbers
            objects.append(SceneObject(shape.name, params, affine, displacement.name, mapper.name, offset, shade))
        return Scene(self.grid.shape, tuple(objects), f"volume {index} of seed {seed}")

    def _starts(self, shape: np.ndarray, displacement: np.ndarray,
                mapper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the numbers of each object begin, for objects of these choices, and those of each of the three."""
        widths = np.stack([of[chosen] for of, chosen in zip(self.widths, (shape, displacement, mapper), strict=True)])
        whole = sampling.AFFINE + widths.sum(axis=0)
        start = np.asarray(np.cumsum(whole) - whole)
        return start, (start + sampling.AFFINE + np.cumsum(widths, axis=0) - widths).T

    def _see_closer(self, values: np.ndarray, start: np.ndarray) -> None:
        """Has the affines among `values` show the part of the grid that the recipe wants seen."""
        if self.grid_scale != 1:
            places = start[:, None] + np.arange(sampling.AFFINE)
            affines = values[places].reshape(-1, 4, 4)
            values[places] = seen_closer(affines, self.grid, self.grid_scale).reshape(-1, sampling.AFFINE)


class _Choice:
    """A shape, displacement or mapper to choose, and how its parameters lie in what the compiled code writes: not at
    all without a kernel. A shape has none where a prior needs a scan of the grid, as that is drawn in Python; a
    displacement or mapper has none where it has no random quantities. No displacement is one without a formula."""

    def __init__(self, formula: Formula | None) -> None:
        self.formula = formula
        self.name: Any = None if formula is None else formula.name
        quantities = () if formula is None else scene_quantities(formula)
        self.kernel: ScalarKernel | None = None
        if formula is not None and (formula.kind == "shape" or quantities):
            self.kernel = prior_kernel(formula)
        self.numbers = 0
        self.layout: list[tuple[str, int, int, int | None]] = []
        for q in quantities:
            self.layout.append((q.name, self.numbers, q.width, q.length))
            self.numbers += len(q.slots)

    def parameters(self, values: list[float], at: int) -> dict[str, Any]:
        """As JSON has them."""
        assert self.formula is not None
        params: dict[str, Any] = self.formula.integers.copy()
        for name, offset, width, length in self.layout:
            first = at + offset
            if length is None:
                params[name] = values[first] if width == 1 else values[first : first + width]
            elif width == 1:
                params[name] = values[first : first + length]
            else:
                params[name] = [values[k : k + width] for k in range(first, first + width * length, width)]
        return params


_samplers: weakref.WeakKeyDictionary[Library, dict[Recipe, _Sampler]] = weakref.WeakKeyDictionary()


def _sampler(lib: Library, recipe: Recipe) -> _Sampler:
    known = _samplers.setdefault(lib, {})
    found = known.get(recipe)
    if found is None:
        if len(known) >= _MOST_RECIPES:
            known.clear()
        found = known[recipe] = _Sampler(lib, recipe)
    return found


def _addresses(lib: Library, units: Sequence[Unit]) -> dict[str, int]:
    """Where the functions are in memory, built first if need be."""
    backend = lib.backend("cpu")
    assert isinstance(backend, CpuBackend)
    return backend.addresses(units)
