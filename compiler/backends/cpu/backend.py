"""The CPU backend: formulas to kernels, object values in float64, voxels in float32.

Nothing here imports numba: a library whose kernels are cached or come from an artefact starts in
milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fdif_dsl.compiler.backends import Placed, Rendered
from fdif_dsl.compiler.backends.cpu import codegen, driver, layout, loader, sampling, scanner
from fdif_dsl.compiler.backends.cpu.codegen import Kernel
from fdif_dsl.compiler.backends.cpu.driver import (
    NOTHING,
    Bounded,
    Driver,
    Grey,
    Job,
    OwnTables,
    Profile,
    Search,
    Sides,
    Tables,
    Values,
)
from fdif_dsl.compiler.backends.cpu.objects import Pool, inputs_of
from fdif_dsl.compiler.backends.cpu.prepared import Prepared, pack
from fdif_dsl.compiler.backends.cpu.scalars import ScalarKernel
from fdif_dsl.compiler.backends.cpu.target import CPU
from fdif_dsl.compiler.backends.cpu.textures import Textures
from fdif_dsl.compiler.backends.statements import ROWS
from fdif_dsl.compiler.backends.store import store
from fdif_dsl.compiler.backends.store.refusal import refusal
from fdif_dsl.compiler.backends.store.unit import Unit
from fdif_dsl.compiler.ir import fields
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.graph import Node
from fdif_dsl.compiler.ir.grid import NUMBERS as GRID_NUMBERS
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.ir.parameters import missing_grid
from fdif_dsl.compiler.passes.schedule import run_schedule
from fdif_dsl.compiler.support.progress import Progress

_CHUNK = 1 << 16  # points of one call of `evaluate`
_INPUTS = {"points": ("p.x", "p.y", "p.z"), "mapper": ("d",), "shader": ROWS}
_WORLD = ("w.x", "w.y", "w.z")
_MANY = 6  # classes that a scene needs and the backend has not seen, from which on the whole library is built


class CpuBackend:
    """Renders and evaluates with compiled kernels.

    A kernel is built when it is first used, or all at once by `build`. With `directory`, kernels come
    from a folder that `save` wrote and nothing is ever compiled. `threads` is how many to use
    (`driver.thread_count` says what None means). Results depend on neither that nor on `tile`, the voxels that
    are drawn at a time along x, y and z, nor on `culling`, which leaves out tiles where an object is proven absent.
    """

    name = "cpu"

    def __init__(self, formulas: Sequence[Formula] = (), progress: Progress | None = None,
                 directory: Path | str | None = None, threads: int | None = None, tile: Sides = layout.TILE,
                 culling: bool = True) -> None:
        self._formulas = tuple(formulas)
        self._progress = progress
        self._directory = directory
        self._threads = threads
        self._tile = tile
        self._culling = culling
        self._stored = None if directory is None else store.load(CPU, directory)
        # By identity: a formula is as good as its graph, which is not compared by content. The entry
        # keeps the formula alive, so its id is not given to another.
        self._prepared: dict[int, Prepared] = {}
        self._addresses: dict[str, int] = {}
        self._textures = Textures(lambda prepared, roots, grid, slots: self._values(
            prepared, roots, slots, grid, np.eye(4)),
                                  lambda kernel: self._addresses[kernel.name], self._bounds_address, tile, threads)
        self._ready: set[int] = set()  # formulas whose kernels for sampled scenes are loaded, by identity

    # Kernels ----------------------------------------------------------------------------------

    def units(self, formulas: Sequence[Formula] | None = None) -> list[Unit]:
        """Everything that the formulas may need, each function once. With None it is what all of them need, and the
        scanner, which only some recipes have."""
        chosen = self._formulas if formulas is None else formulas
        prepared = [self._prepare(formula) for formula in chosen]
        kernels = {k.name: k for p in prepared for k in p.kernels}
        scalars = {s.name: s for p in prepared if not p.shared for s in p.stage.scalars}
        return [*driver.units(self._tile).values(), *(k.unit for k in kernels.values()),
                *(s.unit for s in scalars.values()), *sampling.sampler_units(chosen),
                *(scanner.scanner_units().values() if formulas is None else ())]

    def build(self, progress: Progress | None = None, formulas: Sequence[Formula] | None = None) -> None:
        """Compile every kernel of the formulas (None: all of them) that the cache lacks; nothing is loaded yet."""
        if self._stored is None:
            store.build(CPU, self.units(formulas), progress or self._progress)

    def addresses(self, units: Sequence[Unit]) -> dict[str, int]:
        """Where functions are in memory, by symbol; those that are missing are built side by side."""
        self._load(units)
        return {unit.symbol: self._addresses[unit.symbol] for unit in units}

    def _load(self, units: Sequence[Unit]) -> None:
        """Have the addresses of these functions, building what is missing."""
        missing = [u for u in {u.symbol: u for u in units}.values() if u.symbol not in self._addresses]
        if not missing:
            return
        if self._stored is None:
            codes = store.build(CPU, missing, self._progress)
        else:
            codes = self._stored
            if any(u.symbol not in codes for u in missing):
                raise refusal(str(self._directory), "E0703", "is older than its sources",
                                      "it lacks a kernel that they need")
        for unit in missing:
            self._addresses[unit.symbol] = loader.address(unit.symbol, codes[unit.symbol])

    def _address(self, kernel: Kernel) -> int:
        name = kernel.name
        if name not in self._addresses:
            self._load([kernel.unit])
        return self._addresses[name]

    @cached_property
    def _driver(self) -> Driver:
        return self._make_driver(measured=False)

    @cached_property
    def _measured_driver(self) -> Driver:
        return self._make_driver(measured=True)

    def _make_driver(self, *, measured: bool) -> Driver:
        functions = driver.units(self._tile, measured)
        self._load(list(functions.values()))
        return Driver({name: self._addresses[unit.symbol] for name, unit in functions.items()}, self._tile)

    def _prepare(self, formula: Formula) -> Prepared:
        found = self._prepared.get(id(formula))
        if found is None:
            for key in formula.fields:  # which the kernels will look for
                loader.provide(fields.symbol(key), fields.baked(key).memory)
            found = self._prepared.setdefault(id(formula), Prepared(formula))
        return found

    # The object stage -------------------------------------------------------------------------

    def _values(self, prepared: Prepared, roots: tuple[Node, ...], slots: Mapping[int, Any], grid: Grid | None,
                inverse: np.ndarray) -> dict[Node, Any]:
        """The earlier stages of a formula in float64: the roots and what they come from."""
        schedule = prepared.schedule(roots, frozenset(slots))
        if schedule.needs_grid and grid is None:
            raise missing_grid(prepared.formula)

        def reduce(node: Node, values: dict[Node, Any]) -> Any:
            assert grid is not None
            points, bounds = prepared.field_of(node)
            self._load([points.unit, bounds.unit])
            read = self._values(prepared, prepared.field_roots(node), slots, grid, inverse)
            numbers = Values.of([read[n] for n in prepared.field_roots(node)])
            search = self._search(points, bounds, numbers, inverse)
            return np.float64(self._driver.least([search], grid, driver.thread_count(self._threads))[0])

        numbers = {slot: np.float64(value) for slot, value in slots.items()}
        return run_schedule(prepared.formula, schedule, numbers, grid=grid, reduce=reduce)

    def values(self, formula: Formula, roots: tuple[Node, ...], slots: Mapping[int, Any], grid: Grid | None,
               inverse: np.ndarray) -> dict[Node, Any]:
        """The numbers, in float64, of nodes that are computed before any voxel, when these slots are given."""
        return self._values(self._prepare(formula), roots, slots, grid, inverse)

    def grey(self, mapper: Formula, grid: Grid) -> Grey:
        """The numbers and limits on a grid of a mapper that all objects share."""
        return self._textures.grey(self._prepare(mapper), grid, {})

    def _bounds_address(self, kernel: Kernel) -> int:
        """The address of a bounds kernel; 0 where it shall not be used."""
        return self._addresses[kernel.name] if self._culling else 0

    # What a backend does ----------------------------------------------------------------------

    def evaluate(self, formula: Formula, inputs: Mapping[str, Any], slots: Mapping[int, Any],
                 grid: Grid | None = None, inverse: Any = None) -> np.ndarray:
        """The formula at points: float32 (N,). See `Backend.evaluate`."""
        names = self.inputs(formula)
        return self.filled(formula, slots, grid, inverse)(*(inputs[name] for name in names))

    def inputs(self, formula: Formula) -> tuple[str, ...]:
        """The names of what a formula is evaluated at, in the order in which `filled` takes them."""
        return _WORLD if formula.kind == "displacement" else _INPUTS[self._prepare(formula).main.kind]

    def filled(self, formula: Formula, slots: Mapping[int, Any], grid: Grid | None = None,
               inverse: Any = None) -> Callable[..., np.ndarray]:
        """The formula with the numbers of one object, for who asks it many times: a function of arrays (N,)."""
        kernel = self._prepare(formula).main
        matrix = np.eye(4) if inverse is None else np.asarray(inverse, np.float64)
        with np.errstate(all="ignore"):
            values = pack(kernel, self._values(self._prepare(formula), kernel.values, slots, grid, matrix))
        function = driver.prototype(codegen.SIGNATURES[kernel.kind])(self._address(kernel))

        def at(*inputs: Any) -> np.ndarray:
            with np.errstate(all="ignore"):
                arrays = [np.ascontiguousarray(one, np.float32) for one in inputs]
            n = len(arrays[0])
            if any(a.shape != (n,) for a in arrays):
                raise ValueError("the inputs must be arrays of one length")
            out = np.empty(n, np.float32)

            def work(k: int) -> None:
                first, count = k * _CHUNK, min(_CHUNK, n - k * _CHUNK)
                parts = [a[first : first + count] for a in arrays]
                if kernel.kind == "shader":  # which takes them as one array
                    parts = [np.concatenate(parts)]
                function(*(part.ctypes.data for part in parts), values.ctypes.data, out.ctypes.data + 4 * first, count)

            driver.share_out(-(-n // _CHUNK), driver.thread_count(self._threads), work)
            return out

        return at

    def render(self, objects: Sequence[Placed], grid: Grid) -> Rendered:
        """Compose the objects into a volume. See `Backend.render`."""
        return self._render(objects, grid, self._driver, None)

    def profile(self, objects: Sequence[Placed], grid: Grid, profile: Profile) -> Rendered:
        """The same, and `profile` notes where the time went and what became of the tiles."""
        return self._render(objects, grid, self._measured_driver, profile)

    def _render(self, objects: Sequence[Placed], grid: Grid, driver_: Driver, profile: Profile | None) -> Rendered:
        self._load_for(objects)
        notes = profile or Profile()
        already = notes.seconds["deepest"]
        with np.errstate(all="ignore"), notes.stage("objects"):
            numbers = self._numbers(objects, grid, notes)
            jobs = [self._job(placed, found, grid) for placed, found in zip(objects, numbers, strict=True)]
        notes.seconds["objects"] -= notes.seconds["deepest"] - already
        return driver_.render(jobs, grid, driver.thread_count(self._threads), profile)

    def _numbers(self, objects: Sequence[Placed], grid: Grid, notes: Profile) -> list[dict[str, Values]]:
        """What the kernels of each object read, by kind of formula: for each kernel of `Prepared.drawing`. Formulas
        whose numbers all objects share are left out."""
        known = {name: grid.number(name) for name in GRID_NUMBERS}
        found: list[dict[str, Values]] = [{} for _ in objects]
        sampled: list[tuple[int, Prepared, Pool]] = []
        for i, placed in enumerate(objects):
            for formula, slots in placed.parts:
                prepared = self._prepare(formula)
                if prepared.shared:
                    continue
                if prepared.given == slots.keys():
                    sampled.append((i, prepared, {**known, **slots}))
                else:
                    inverse = np.asarray(placed.inverse, np.float64)
                    values = self._values(prepared, prepared.roots, slots, grid, inverse)
                    found[i][formula.kind] = Values.of([values[node] for node in prepared.roots])
        for k in range(max((len(prepared.stage.fields) for _, prepared, _ in sampled), default=0)):
            chosen = [(i, prepared.stage.fields[k], pool) for i, prepared, pool in sampled
                      if len(prepared.stage.fields) > k]
            numbers = self._driver.scalars([self._call(over.numbers, pool) for _, over, pool in chosen])
            searches = [self._search(over.points, over.bounds, values, objects[i].inverse)
                        for (i, over, _), values in zip(chosen, numbers, strict=True)]
            with notes.stage("deepest"):
                least = self._driver.least(searches, grid, driver.thread_count(self._threads))
            for (_, over, pool), value in zip(chosen, least.tolist(), strict=True):
                pool[over.reduction] = value
        results = self._driver.scalars([self._call(prepared.stage.numbers, pool) for _, prepared, pool in sampled])
        for (i, prepared, _), of_kernels in zip(sampled, results, strict=True):
            found[i][prepared.formula.kind] = of_kernels
        return found

    def _call(self, kernel: ScalarKernel, pool: Pool) -> tuple[int, list[float], int]:
        return self._addresses[kernel.name], inputs_of(kernel, pool), kernel.outputs

    def _search(self, points: Kernel, bounds: Kernel, numbers: Values, inverse: Any) -> Search:
        return Search(self._bounded(points, bounds, numbers), inverse)

    def _bounded(self, main: Kernel, bounds: Kernel, numbers: Values) -> Bounded:
        mine, of_bounds = numbers.split(len(main.values))
        return Bounded(self._addresses[main.name], mine, self._bounds_address(bounds), of_bounds)

    def _job(self, placed: Placed, numbers: Mapping[str, Values], grid: Grid) -> Job:
        """The job of an object; `numbers` as `_numbers` gives them."""
        shape, mapper = self._prepare(placed.shape), self._prepare(placed.mapper)
        displacement: tuple[int, Tables | OwnTables] | None = None
        reach = None
        if placed.displacement is not None:
            texture = self._prepare(placed.displacement)
            tiles, dear = math.prod(driver.tiles_of(grid, self._tile)), texture.tile.dear
            tables: Tables | OwnTables
            if texture.shared:
                tables = self._textures.tables(texture, grid, placed.displacement_slots)
                if dear and tables.field is None:
                    reach = np.array([tables.low[-tiles:], tables.high[-tiles:]])
            else:
                tables = self._own_tables(texture, numbers["displacement"], grid)
                if dear:
                    reach = np.repeat(np.array([[-np.inf], [np.inf]], np.float32), tiles, axis=1)
            displacement = self._addresses[texture.tile.name], tables
        if mapper.shared:
            grey = self._textures.grey(mapper, grid, placed.mapper_slots)
            shades, limits = Bounded(self._addresses[mapper.main.name], grey.values), grey.limits
            if grey.range_values is not None:
                shades = shades._replace(bounds=self._bounds_address(mapper.bounds), bounds_values=grey.range_values)
        else:
            shades = self._bounded(mapper.main, mapper.bounds, numbers["mapper"])
            limits = self._textures.own_limits(mapper)
        return Job(self._bounded(shape.main, shape.bounds, numbers["shape"]), placed.inverse, displacement, shades,
                   limits, own=not mapper.shared, sees=mapper.formula.sees, label=placed.label, reach=reach)

    def _own_tables(self, texture: Prepared, numbers: Values, grid: Grid) -> OwnTables:
        """The displacement of one object, whose tables the driver works out."""
        kernels = iter(texture.axes)
        values, rest = numbers.split(len(texture.tile.values))
        axes = []
        for nodes in texture.tile.axis_values:
            if not nodes:
                axes.append(Bounded(0, NOTHING))
                continue
            kernel = next(kernels)
            mine, rest = rest.split(len(kernel.values))
            axes.append(Bounded(self._addresses[kernel.name], mine))
        counts = tuple(map(len, texture.tile.axis_values))
        sides = [of * n for of, n in zip(self._tile, driver.tiles_of(grid, self._tile), strict=True)]
        bounds = Bounded(self._bounds_address(texture.bounds), rest)
        return OwnTables.of(values, numbers.length - rest.length, axes, counts, bounds, sides)

    def _load_for(self, objects: Sequence[Placed]) -> None:
        """Load what a scene needs in one go, so that what is missing is built side by side."""
        new = [p for p in objects if not self._is_ready(p)]
        if not new:
            return
        if self._stored is None and len({id(p.shape) for p in new}) >= _MANY:
            self.build()  # such a scene is one of many: rather one wait than one after the other
        kernels: list[Kernel] = []
        scalars: list[ScalarKernel] = []
        for formula, slots in (part for placed in new for part in placed.parts):
            prepared = self._prepare(formula)
            if prepared.shared:
                kernels += prepared.on_grid
                continue
            schedule = prepared.schedule(prepared.roots, frozenset(slots))
            kernels += prepared.drawing
            kernels += [kernel for node in schedule.reductions for kernel in prepared.field_of(node)]
            if prepared.given == slots.keys():
                scalars += prepared.stage.scalars
        self._load([*driver.units(self._tile).values(), *(k.unit for k in kernels), *(s.unit for s in scalars)])
        self._ready.update(id(formula) for placed in new for formula, slots in placed.parts
                           if self._prepare(formula).given == slots.keys())

    def _is_ready(self, placed: Placed) -> bool:
        return all(id(formula) in self._ready and self._prepare(formula).given == slots.keys()
                   for formula, slots in placed.parts)
