"""Displacements and mappers that all objects on a grid share: what the driver reads of them, computed once a grid and
kept. (Those with numbers of an object's own are worked out as shapes are, see objects.py.)"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import astuple
from typing import Any

import numpy as np

from fdif_dsl.compiler.backends.cpu import codegen, driver, layout
from fdif_dsl.compiler.backends.cpu.codegen import Kernel
from fdif_dsl.compiler.backends.cpu.driver import Grey, Sides, Tables, Values
from fdif_dsl.compiler.backends.cpu.prepared import Prepared, pack
from fdif_dsl.compiler.ir.graph import Node
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.passes.intervals import LIMIT
from fdif_dsl.compiler.passes.mapper_limits import empty_from, limits
from fdif_dsl.compiler.passes.schedule import run_voxels

_MOST = 256  # grids and formulas that are kept
_FIELDS = 256 * 2**20  # bytes of all displacements that are kept voxel by voxel
_CHUNK = 1 << 15  # voxels of one call

Slots = Mapping[int, float]
ValuesOf = Callable[[Prepared, tuple[Node, ...], Grid, Slots], dict[Node, Any]]


class Textures:
    """`values` gives the numbers, in float64, of nodes that are computed before any voxel; `address` says where a
    kernel is in memory, `bounds_address` the same of a bounds kernel, 0 where it shall not be used; `tile` has the
    sides of a tile."""

    def __init__(self, values: ValuesOf, address: Callable[[Kernel], int], bounds_address: Callable[[Kernel], int],
                 tile: Sides, threads: int | None) -> None:
        self._values = values
        self._address = address
        self._bounds_address = bounds_address
        self._threads = threads
        self._tile = tile
        self._tables: dict[tuple[int, tuple[int, int, int]], Tables] = {}
        self._greys: dict[tuple[int, tuple[int, int, int]], Grey] = {}
        self._empty_from: dict[int, float] = {}

    def tables(self, prepared: Prepared, grid: Grid, slots: Slots) -> Tables:
        """A displacement's numbers along the axes of a grid, in float64 and then rounded, and its bounds there. What an
        object gives in place of a definition, its `slots`, is for this object alone."""
        if slots:
            return self._make_tables(prepared, grid, slots)
        key = (id(prepared.formula), grid.shape)
        found = self._tables.get(key)
        if found is None:
            if len(self._tables) >= _MOST:
                self._tables.clear()
            found = self._tables[key] = self._make_tables(prepared, grid, slots)
        return found

    def _make_tables(self, prepared: Prepared, grid: Grid, slots: Slots) -> Tables:
        kernel = prepared.tile
        values = self._values(prepared, prepared.table_roots, grid, slots)
        counts = driver.tiles_of(grid, self._tile)
        axes = []
        for k, nodes in enumerate(kernel.axis_values):
            world = np.arange(counts[k] * self._tile[k]) - grid.shape[2 - k] / 2
            inputs = {f"w.{'xyz'[k]}": world}
            rows = [np.broadcast_to(run_voxels(node, values, inputs), world.shape) for node in nodes]
            axes.append(np.array(rows, np.float32).reshape(len(nodes), len(world)))
        numbers = Values.of([values[node] for node in kernel.values])
        field = None if slots or not kernel.dear else self._field(prepared, numbers, axes, grid)
        low, high = (self._bounds_of_levels(prepared, values, grid) if field is None else
                     self._bounds_of_field(prepared, field, grid))
        x, y, z = axes
        return Tables(numbers, (x, y, z), low, high, field)

    def _field(self, prepared: Prepared, numbers: Values, axes: list[np.ndarray], grid: Grid) -> np.ndarray | None:
        """The displacement at every voxel of each tile; None where that would take too much memory."""
        across = driver.tiles_of(grid, self._tile)
        voxels = math.prod(self._tile)
        kept = sum(t.field.nbytes for t in self._tables.values() if t.field is not None)
        if kept + 4 * math.prod(across) * voxels > _FIELDS:
            return None
        field = np.zeros((math.prod(across), voxels), np.float32)
        # Where each voxel lies on its axes, tile after tile.
        tiles = np.indices(across[::-1]).reshape(3, -1, 1) * np.array(self._tile[::-1]).reshape(3, 1, 1)
        inside = np.indices(self._tile[::-1]).reshape(3, 1, -1)
        kernel = driver.prototype(codegen.SIGNATURES["tile"])(self._address(prepared.tile))
        at_once = max(_CHUNK // voxels, 1)

        def work(k: int) -> None:
            chosen = slice(k * at_once, (k + 1) * at_once)
            z, y, x = tiles[:, chosen] + inside
            spread = np.array([row[place.ravel()] for rows, place in zip(axes, (x, y, z), strict=True)
                               for row in rows], np.float32)
            out = field[chosen]
            kernel(spread.ctypes.data, numbers.address, out.ctypes.data, out.size)

        driver.share_out(-(-len(field) // at_once), driver.thread_count(self._threads), work)
        return field

    def _bounds_of_field(self, prepared: Prepared, field: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of a displacement whose values are known, as `_bounds_of_levels` has them: those of the values."""
        across = driver.tiles_of(grid, self._tile)
        known = ~np.isnan(field).any(axis=1) & (self._bounds_address(prepared.bounds) != 0)
        low, high = (np.where(known, ends, beyond).astype(np.float32).reshape(across[::-1])
                     for ends, beyond in ((field.min(axis=1), -np.inf), (field.max(axis=1), np.inf)))
        return _levels(low, np.minimum, np.inf), _levels(high, np.maximum, -np.inf)

    def _bounds_of_levels(self, prepared: Prepared, values: Mapping[Node, Any],
                          grid: Grid) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of a displacement over the boxes of each level, see `driver.Tables`."""
        numbers = pack(prepared.bounds, values)
        # What bounds hold for; a displacement on a grid has no other inputs.
        small = np.abs(pack(prepared.main, values)).max() <= LIMIT
        address = self._bounds_address(prepared.bounds) if small else 0
        across = driver.tiles_of(grid, self._tile)
        low = np.full(across[::-1], -np.inf, np.float32)
        high = np.full(across[::-1], np.inf, np.float32)
        if address:
            # The first and the last voxel of each tile along each axis.
            ends = []
            for side, of, count in zip(grid.shape[::-1], self._tile, across, strict=True):
                first = np.arange(count) * of
                ends += [first - side / 2, np.minimum(first + of, side) - 1 - side / 2]
            boxes = [np.ascontiguousarray(np.broadcast_to(np.expand_dims(end, others), low.shape), np.float32)
                     for end, others in zip(ends, ((0, 1), (0, 1), (0, 2), (0, 2), (1, 2), (1, 2)), strict=True)]
            kernel = driver.prototype(codegen.SIGNATURES["bounds"])(address)
            kernel(*(box.ctypes.data for box in boxes), numbers.ctypes.data, low.ctypes.data, high.ctypes.data,
                   low.size)
        return _levels(low, np.minimum, np.inf), _levels(high, np.maximum, -np.inf)

    def grey(self, prepared: Prepared, grid: Grid, slots: Slots) -> Grey:
        """A mapper's numbers and limits on a grid; `slots` as for `tables`."""
        if slots:
            return self._make_grey(prepared, grid, slots)
        key = (id(prepared.formula), grid.shape)
        found = self._greys.get(key)
        if found is None:
            if len(self._greys) >= _MOST:
                self._greys.clear()
            found = self._greys[key] = self._make_grey(prepared, grid, slots)
        return found

    def _make_grey(self, prepared: Prepared, grid: Grid, slots: Slots) -> Grey:
        kernel = prepared.main
        values = self._values(prepared, kernel.values, grid, slots)
        read = {node: float(values[node]) for node in kernel.values}
        ends = np.array(astuple(limits(prepared.formula, read)))
        if not prepared.endless:
            return Grey(Values.of(list(read.values())), ends)
        numbers = self._values(prepared, prepared.bounds.values, grid, slots)
        found = Values.of([numbers[node] for node in prepared.bounds.values])
        small = (np.abs(found.owner) <= LIMIT).all() and (np.abs(list(read.values())) <= LIMIT).all()
        return Grey(Values.of(list(read.values())), ends, found if small else None)

    def own_limits(self, prepared: Prepared) -> np.ndarray:
        """The limits of a mapper with numbers of an object's own, anew for each object, see `layout.OWN`."""
        key = id(prepared.formula)
        if key not in self._empty_from:
            self._empty_from[key] = empty_from(prepared.formula)
        return np.array([self._empty_from[key], -np.inf, np.nan])


def _levels(finest: np.ndarray, pick: Any, beyond: float) -> np.ndarray:
    """The boxes of each level, the coarsest first, one level after the other."""
    levels = [finest]
    for _ in layout.LEVELS[1:]:
        fine = np.pad(levels[0], [(0, side % 2) for side in levels[0].shape], constant_values=beyond)
        pairs = fine.reshape(*(n for side in fine.shape for n in (side // 2, 2)))
        levels.insert(0, pick.reduce(pairs, axis=(1, 3, 5)))
    return np.concatenate([level.ravel() for level in levels])
