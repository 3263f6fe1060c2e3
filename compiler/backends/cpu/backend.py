"""The CPU backend: formulas to kernels, object values in float64, voxels in float32.

Nothing here imports numba: a library whose kernels are cached or come from an artefact starts in
milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fdif_dsl.compiler.backends import Placed, Rendered
from fdif_dsl.compiler.backends.cpu import codegen, driver, machine, store
from fdif_dsl.compiler.backends.cpu.codegen import Kernel
from fdif_dsl.compiler.backends.cpu.driver import Driver, Job, Tables
from fdif_dsl.compiler.backends.cpu.machine import Unit
from fdif_dsl.compiler.backends.cpu.outside import adds_nothing_outside
from fdif_dsl.compiler.backends.cpu.store import Built
from fdif_dsl.compiler.formula import Formula
from fdif_dsl.compiler.grid import Grid
from fdif_dsl.compiler.ir import Node, one_evaluation
from fdif_dsl.compiler.parameters import missing_grid, missing_quantities
from fdif_dsl.compiler.passes.rates import Rate, infer_rates
from fdif_dsl.compiler.progress import Progress
from fdif_dsl.compiler.refusal import refusal
from fdif_dsl.compiler.schedule import Schedule, make_schedule, run_schedule, run_voxels

_CHUNK = 1 << 16  # points of one call of `evaluate`
_INPUTS = {"shape": ("p.x", "p.y", "p.z"), "displacement": ("w.x", "w.y", "w.z"), "mapper": ("d",)}
_MOST_TABLES = 256


@dataclass(eq=False)
class _Prepared:
    """What is known of a formula; made when it is first used."""

    formula: Formula
    fields: dict[Node, Kernel] = field(default_factory=dict)
    _schedules: dict[tuple[int, frozenset[int]], Schedule] = field(default_factory=dict)

    @cached_property
    def main(self) -> Kernel:
        """The kernel that computes the result at points or distances."""
        result = self.formula.result
        return codegen.mapper_kernel(result) if self.formula.kind == "mapper" else codegen.points_kernel(result)

    @cached_property
    def row(self) -> Kernel:
        return codegen.row_kernel(self.formula.result)

    @cached_property
    def empty_outside(self) -> bool:
        return adds_nothing_outside(self.formula.result)

    def field_of(self, reduction: Node) -> Kernel:
        """The kernel of what a reduction ranges over."""
        if reduction not in self.fields:
            self.fields[reduction] = codegen.points_kernel(reduction.args[0])
        return self.fields[reduction]

    def schedule(self, roots: tuple[Node, ...], given: frozenset[int]) -> Schedule:
        key = (id(roots), given)  # the roots belong to one of the kernels above
        found = self._schedules.get(key)
        if found is None:
            found = make_schedule(self.formula, roots, given)
            if found.missing:
                raise missing_quantities(self.formula, found.missing)
            self._schedules[key] = found
        return found

    @cached_property
    def row_roots(self) -> tuple[Node, ...]:
        """What the tables of a row kernel are made from."""
        rates = infer_rates(one_evaluation(self.formula.result))
        return tuple(n for n, rate in rates.items() if rate in (Rate.GRID, Rate.OBJECT))


class CpuBackend:
    """Renders and evaluates with compiled kernels.

    A kernel is built when it is first used, or all at once by `build`. With `directory`, kernels come
    from a folder that `save` wrote and nothing is ever compiled. `threads` is how many to use
    (`driver.thread_count` says what None means); results do not depend on it.
    """

    name = "cpu"

    def __init__(self, formulas: Sequence[Formula] = (), progress: Progress | None = None,
                 directory: Path | str | None = None, threads: int | None = None) -> None:
        self._formulas = tuple(formulas)
        self._progress = progress
        self._directory = directory
        self._threads = threads
        self._stored = None if directory is None else store.load(directory)
        # By identity: a formula is as good as its graph, which is not compared by content. The entry
        # keeps the formula alive, so its id is not given to another.
        self._prepared: dict[int, _Prepared] = {}
        self._addresses: dict[str, int] = {}
        self._tables: dict[tuple[int, tuple[int, int, int]], Tables] = {}
        self._mapper_values: dict[tuple[int, tuple[int, int, int]], np.ndarray] = {}

    # Kernels ----------------------------------------------------------------------------------

    def units(self, formulas: Sequence[Formula] | None = None) -> list[Unit]:
        """Everything that the formulas (None: all of them) may need, each function once."""
        chosen = self._formulas if formulas is None else formulas
        kernels = {k.name: k for formula in chosen for k in codegen.kernels_of(formula)}
        return [*driver.units().values(), *(_unit(k) for k in kernels.values())]

    def build(self, progress: Progress | None = None, formulas: Sequence[Formula] | None = None) -> None:
        """Compile every kernel of the formulas (None: all of them) that the cache lacks; nothing is loaded yet."""
        if self._stored is None:
            store.build(self.units(formulas), progress or self._progress)

    def save(self, directory: Path | str, progress: Progress | None = None, old: Path | None = None) -> Built:
        """Write the formulas' object code as an artefact: see `store.save`."""
        return store.save(directory, self.units(), progress or self._progress, old)

    def _load(self, units: Sequence[Unit]) -> None:
        """Have the addresses of these functions, building what is missing."""
        missing = [u for u in {u.symbol: u for u in units}.values() if u.symbol not in self._addresses]
        if not missing:
            return
        if self._stored is None:
            codes = store.build(missing, self._progress)
        else:
            codes = self._stored
            if any(u.symbol not in codes for u in missing):
                raise refusal(str(self._directory), "E0703", "is older than its sources",
                                      "it lacks a kernel that they need")
        for unit in missing:
            self._addresses[unit.symbol] = machine.address(unit.symbol, codes[unit.symbol])

    def _address(self, kernel: Kernel) -> int:
        name = kernel.name
        if name not in self._addresses:
            self._load([_unit(kernel)])
        return self._addresses[name]

    @cached_property
    def _driver(self) -> Driver:
        functions = driver.units()
        self._load(list(functions.values()))
        return Driver(**{name: self._addresses[unit.symbol] for name, unit in functions.items()})

    def _prepare(self, formula: Formula) -> _Prepared:
        found = self._prepared.get(id(formula))
        if found is None:
            found = self._prepared.setdefault(id(formula), _Prepared(formula))
        return found

    # The object stage -------------------------------------------------------------------------

    def _values(self, prepared: _Prepared, roots: tuple[Node, ...], slots: Mapping[int, Any], grid: Grid | None,
                inverse: np.ndarray) -> dict[Node, Any]:
        """The earlier stages of a formula in float64: the roots and what they come from."""
        schedule = prepared.schedule(roots, frozenset(slots))
        if schedule.needs_grid and grid is None:
            raise missing_grid(prepared.formula)

        def reduce(node: Node, values: dict[Node, Any]) -> Any:
            assert grid is not None
            if prepared.formula.kind == "displacement":  # on world points: rare, small, and once a grid
                world = dict(zip(("w.x", "w.y", "w.z"), grid.points().T, strict=True))
                found = np.asarray(run_voxels(node.args[0], values, world))
                return np.float64(np.fmin.reduce(found, axis=None, initial=np.inf))
            kernel = prepared.field_of(node)
            threads = driver.thread_count(self._threads)
            return np.float64(self._driver.least(self._address(kernel), _pack(kernel, values), inverse, grid, threads))

        numbers = {slot: np.float64(value) for slot, value in slots.items()}
        return run_schedule(prepared.formula, schedule, numbers, grid=grid, reduce=reduce)

    def _tables_of(self, prepared: _Prepared, grid: Grid) -> Tables:
        """A displacement's numbers along the axes of a grid, in float64 and then rounded."""
        key = (id(prepared.formula), grid.shape)
        found = self._tables.get(key)
        if found is None:
            kernel = prepared.row
            values = self._values(prepared, prepared.row_roots, {}, grid, np.eye(4))
            axes = []
            for name, nodes in zip("xyz", kernel.axis_values, strict=True):
                world = grid.axis(name)
                inputs = {f"w.{name}": world}
                rows = [np.broadcast_to(run_voxels(node, values, inputs), world.shape) for node in nodes]
                axes.append(np.array(rows, np.float32).reshape(len(nodes), len(world)))
            x, y, z = axes
            found = Tables(_pack(kernel, values), x, np.ascontiguousarray(y.T), np.ascontiguousarray(z.T))
            if len(self._tables) >= _MOST_TABLES:
                self._tables.clear()
            self._tables[key] = found
        return found

    def _mapper_values_of(self, prepared: _Prepared, grid: Grid) -> np.ndarray:
        key = (id(prepared.formula), grid.shape)
        found = self._mapper_values.get(key)
        if found is None:
            kernel = prepared.main
            found = _pack(kernel, self._values(prepared, kernel.values, {}, grid, np.eye(4)))
            if len(self._mapper_values) >= _MOST_TABLES:
                self._mapper_values.clear()
            self._mapper_values[key] = found
        return found

    # What a backend does ----------------------------------------------------------------------

    def evaluate(self, formula: Formula, inputs: Mapping[str, Any], slots: Mapping[int, Any],
                 grid: Grid | None = None, inverse: Any = None) -> np.ndarray:
        """The formula at points: float32 (N,). See `Backend.evaluate`."""
        prepared = self._prepare(formula)
        kernel = prepared.main
        matrix = np.eye(4) if inverse is None else np.asarray(inverse, np.float64)
        with np.errstate(all="ignore"):
            values = _pack(kernel, self._values(prepared, kernel.values, slots, grid, matrix))
            arrays = [np.ascontiguousarray(inputs[name], np.float32) for name in _INPUTS[formula.kind]]
        n = len(arrays[0])
        if any(a.shape != (n,) for a in arrays):
            raise ValueError("the inputs must be arrays of one length")
        out = np.empty(n, np.float32)
        function = driver.prototype(codegen.SIGNATURES[kernel.kind])(self._address(kernel))
        data = [a.ctypes.data for a in arrays]

        def work(k: int) -> None:
            first = k * _CHUNK
            function(*(d + 4 * first for d in data), values.ctypes.data, out.ctypes.data + 4 * first,
                     min(_CHUNK, n - first))

        driver.share_out(-(-n // _CHUNK), driver.thread_count(self._threads), work)
        return out

    def render(self, objects: Sequence[Placed], grid: Grid) -> Rendered:
        """Compose the objects into a volume. See `Backend.render`."""
        self._load_for(objects, grid)
        with np.errstate(all="ignore"):
            jobs = [self._job(placed, grid) for placed in objects]
        return self._driver.render(jobs, grid, driver.thread_count(self._threads))

    def _job(self, placed: Placed, grid: Grid) -> Job:
        shape, mapper = self._prepare(placed.shape), self._prepare(placed.mapper)
        inverse = np.asarray(placed.inverse, np.float64)
        values = self._values(shape, shape.main.values, placed.slots, grid, inverse)
        row, tables = 0, None
        if placed.displacement is not None:
            displacement = self._prepare(placed.displacement)
            row, tables = self._address(displacement.row), self._tables_of(displacement, grid)
        return Job(
            shape=self._address(shape.main), shape_values=_pack(shape.main, values), inverse=inverse,
            row=row, tables=tables,
            mapper=self._address(mapper.main), mapper_values=self._mapper_values_of(mapper, grid),
            empty_outside=mapper.empty_outside, label=placed.label)

    def _load_for(self, objects: Sequence[Placed], grid: Grid) -> None:
        """Load what a scene needs in one go, so that what is missing is built side by side."""
        kernels: list[Kernel] = []
        for placed in objects:
            shape = self._prepare(placed.shape)
            schedule = shape.schedule(shape.main.values, frozenset(placed.slots))
            kernels += [shape.main, self._prepare(placed.mapper).main, *(map(shape.field_of, schedule.reductions))]
            if placed.displacement is not None:
                kernels.append(self._prepare(placed.displacement).row)
        if any(k.name not in self._addresses for k in kernels):
            self._load([*driver.units().values(), *map(_unit, kernels)])


def _unit(kernel: Kernel) -> Unit:
    return Unit(kernel.name, kernel.source, "kernel", codegen.SIGNATURES[kernel.kind])


def _pack(kernel: Kernel, values: Mapping[Node, Any]) -> np.ndarray:
    """The array `f` of a kernel; one number at least, so that it has an address."""
    return np.array([values[node] for node in kernel.values] or [0], np.float32)
