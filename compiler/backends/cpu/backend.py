"""The CPU backend: formulas to kernels, object values in float64, voxels in float32.

Nothing here imports numba: a library whose kernels are cached or come from an artefact starts in
milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fdif_dsl.compiler.backends import Placed, Rendered
from fdif_dsl.compiler.backends.cpu import codegen, driver, layout, loader, sampling, scanner
from fdif_dsl.compiler.backends.cpu.codegen import Kernel
from fdif_dsl.compiler.backends.cpu.driver import Driver, Grey, Job, Profile, Search, Sides, Values
from fdif_dsl.compiler.backends.cpu.objects import Pool, inputs_of
from fdif_dsl.compiler.backends.cpu.prepared import Prepared, pack
from fdif_dsl.compiler.backends.cpu.scalars import ScalarKernel
from fdif_dsl.compiler.backends.cpu.target import CPU
from fdif_dsl.compiler.backends.cpu.textures import Textures
from fdif_dsl.compiler.backends.store import store
from fdif_dsl.compiler.backends.store.refusal import refusal
from fdif_dsl.compiler.backends.store.unit import Unit
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.graph import Node
from fdif_dsl.compiler.ir.grid import NUMBERS as GRID_NUMBERS
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.ir.parameters import missing_grid
from fdif_dsl.compiler.passes.schedule import run_schedule, run_voxels
from fdif_dsl.compiler.support.progress import Progress

_CHUNK = 1 << 16  # points of one call of `evaluate`
_INPUTS = {"shape": ("p.x", "p.y", "p.z"), "displacement": ("w.x", "w.y", "w.z"), "mapper": ("d",)}
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
        self._textures = Textures(lambda prepared, roots, grid: self._values(prepared, roots, {}, grid, np.eye(4)),
                                  self._bounds_address, tile)
        self._ready: set[int] = set()  # formulas whose kernels for sampled scenes are loaded, by identity

    # Kernels ----------------------------------------------------------------------------------

    def units(self, formulas: Sequence[Formula] | None = None) -> list[Unit]:
        """Everything that the formulas may need, each function once. With None it is what all of them need, and the
        scanner, which only some recipes have."""
        chosen = self._formulas if formulas is None else formulas
        prepared = [self._prepare(formula) for formula in chosen]
        kernels = {k.name: k for p in prepared for k in p.kernels}
        scalars = {s.name: s for p in prepared if p.formula.kind == "shape" for s in p.stage.scalars}
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
            if prepared.formula.kind == "displacement":  # on world points: rare, small, and once a grid
                world = dict(zip(("w.x", "w.y", "w.z"), grid.points().T, strict=True))
                found = np.asarray(run_voxels(node.args[0], values, world))
                return np.float64(np.fmin.reduce(found, axis=None, initial=np.inf))
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
        """A mapper's numbers and limits on a grid."""
        return self._textures.grey(self._prepare(mapper), grid)

    def _bounds_address(self, kernel: Kernel) -> int:
        """The address of a bounds kernel; 0 where it shall not be used."""
        return self._addresses[kernel.name] if self._culling else 0

    # What a backend does ----------------------------------------------------------------------

    def evaluate(self, formula: Formula, inputs: Mapping[str, Any], slots: Mapping[int, Any],
                 grid: Grid | None = None, inverse: Any = None) -> np.ndarray:
        """The formula at points: float32 (N,). See `Backend.evaluate`."""
        prepared = self._prepare(formula)
        kernel = prepared.main
        matrix = np.eye(4) if inverse is None else np.asarray(inverse, np.float64)
        with np.errstate(all="ignore"):
            values = pack(kernel, self._values(prepared, kernel.values, slots, grid, matrix))
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

    def _numbers(self, objects: Sequence[Placed], grid: Grid, notes: Profile) -> list[Values]:
        """What the kernels of each object's class read: for `main`, then for `bounds`."""
        known = {name: grid.number(name) for name in GRID_NUMBERS}
        pools: list[Pool] = [{**known, **placed.slots} for placed in objects]
        stages = [self._prepare(placed.shape).stage for placed in objects]
        sampled = [i for i, (stage, placed) in enumerate(zip(stages, objects, strict=True))
                   if stage.given == placed.slots.keys()]
        for k in range(max((len(stages[i].fields) for i in sampled), default=0)):
            chosen = [(i, stages[i].fields[k]) for i in sampled if len(stages[i].fields) > k]
            numbers = self._driver.scalars([self._call(over.numbers, pools[i]) for i, over in chosen])
            searches = [self._search(over.points, over.bounds, found, objects[i].inverse)
                        for (i, over), found in zip(chosen, numbers, strict=True)]
            with notes.stage("deepest"):
                least = self._driver.least(searches, grid, driver.thread_count(self._threads))
            for (i, over), value in zip(chosen, least.tolist(), strict=True):
                pools[i][over.reduction] = value
        found = dict(zip(sampled, self._driver.scalars([self._call(stages[i].numbers, pools[i]) for i in sampled]),
                         strict=True))
        return [found[i] if i in found else self._other_numbers(placed, grid) for i, placed in enumerate(objects)]

    def _other_numbers(self, placed: Placed, grid: Grid) -> Values:
        """The same for an object of which other quantities are given than a sampled scene gives."""
        prepared = self._prepare(placed.shape)
        values = self._values(prepared, prepared.roots, placed.slots, grid, np.asarray(placed.inverse, np.float64))
        return Values.of([values[node] for node in prepared.roots])

    def _call(self, kernel: ScalarKernel, pool: Pool) -> tuple[int, list[float], int]:
        return self._addresses[kernel.name], inputs_of(kernel, pool), kernel.outputs

    def _search(self, points: Kernel, bounds: Kernel, numbers: Values, inverse: Any) -> Search:
        mine, of_bounds = numbers.split(len(points.values))
        return Search(self._addresses[points.name], mine, self._bounds_address(bounds), of_bounds, inverse)

    def _job(self, placed: Placed, numbers: Values, grid: Grid) -> Job:
        shape, mapper = self._prepare(placed.shape), self._prepare(placed.mapper)
        shape_values, bounds_values = numbers.split(len(shape.main.values))
        displacement, tables, dear = 0, None, False
        if placed.displacement is not None:
            texture = self._prepare(placed.displacement)
            dear = texture.tile.dear
            displacement, tables = self._addresses[texture.tile.name], self._textures.tables(texture, grid)
        return Job(
            shape=self._addresses[shape.main.name], shape_values=shape_values, inverse=placed.inverse,
            bounds=self._bounds_address(shape.bounds), bounds_values=bounds_values,
            displacement=displacement, tables=tables, dear=dear, mapper=self._addresses[mapper.main.name],
            grey=self._textures.grey(mapper, grid), label=placed.label)

    def _load_for(self, objects: Sequence[Placed]) -> None:
        """Load what a scene needs in one go, so that what is missing is built side by side."""
        new = [p for p in objects if not self._is_ready(p)]
        if not new:
            return
        if self._stored is None and len({id(p.shape) for p in new}) >= _MANY:
            self.build()  # such a scene is one of many: rather one wait than one after the other
        kernels: list[Kernel] = []
        scalars: list[ScalarKernel] = []
        for placed in new:
            shape = self._prepare(placed.shape)
            schedule = shape.schedule(shape.roots, frozenset(placed.slots))
            kernels += [shape.main, shape.bounds, self._prepare(placed.mapper).main]
            kernels += [kernel for node in schedule.reductions for kernel in shape.field_of(node)]
            if shape.stage.given == placed.slots.keys():
                scalars += shape.stage.scalars
            if placed.displacement is not None:
                texture = self._prepare(placed.displacement)
                kernels += [texture.tile, texture.bounds]
        self._load([*driver.units(self._tile).values(), *(k.unit for k in kernels), *(s.unit for s in scalars)])
        for placed in new:
            if self._prepare(placed.shape).stage.given == placed.slots.keys():
                self._ready.update(id(f) for f in (placed.shape, placed.displacement, placed.mapper) if f)

    def _is_ready(self, placed: Placed) -> bool:
        formulas = (placed.shape, placed.displacement, placed.mapper)
        return all(f is None or id(f) in self._ready for f in formulas) and (
            self._prepare(placed.shape).stage.given == placed.slots.keys())
