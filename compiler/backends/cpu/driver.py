"""The scene driver: fills the job table and shares planes out to threads. Never imports numba.

The work is done by the functions of driver_kernels.py, called through ctypes, which releases Python's
lock; a small pool of Python threads takes slabs of planes from a shared counter. There is no other
threading layer, so a forked process simply makes a pool of its own.
"""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from fdif_dsl.compiler.backends import Rendered
from fdif_dsl.compiler.backends.cpu import layout
from fdif_dsl.compiler.backends.cpu.machine import Unit
from fdif_dsl.compiler.grid import Grid

_SLAB = 8192  # voxels in one call, at least: the call itself then costs nothing
_SIGNATURES = {"render_planes": "qnnf", "label_planes": "qnn", "least_of_planes": "qnnfnnnf"}
_C_TYPES: dict[str, Any] = {"q": ctypes.c_void_p, "f": ctypes.c_void_p, "n": ctypes.c_int64}


@cache
def units() -> dict[str, Unit]:
    """The driver's own functions, compiled and kept like any kernel."""
    source = Path(__file__).with_name("driver_kernels.py").read_text(encoding="utf-8")
    digest = hashlib.sha256(source.encode()).hexdigest()[:24]
    return {name: Unit(f"{name}_{digest}", source, name, signature) for name, signature in _SIGNATURES.items()}


def prototype(signature: str) -> Any:
    """The ctypes function type of a signature; calling one releases Python's lock."""
    return ctypes.CFUNCTYPE(None, *(_C_TYPES[letter] for letter in signature))


def thread_count(requested: int | None = None) -> int:
    """Threads to use: as asked for, else `FDIF_THREADS`, else the CPUs this process may run on."""
    if requested is None:
        text = os.environ.get("FDIF_THREADS", "")
        if text.strip().isdecimal():
            requested = int(text)
        elif hasattr(os, "sched_getaffinity"):
            requested = len(os.sched_getaffinity(0))
        else:
            requested = os.cpu_count() or 1
    return max(1, requested)


_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


def share_out(count: int, threads: int, work: Callable[[int], None]) -> None:
    """Call `work(k)` for each k < count on `threads` threads, the caller's among them."""
    counter = itertools.count()

    def take() -> None:
        while (k := next(counter)) < count:
            work(k)

    helpers = min(threads, count) - 1
    if helpers < 1:
        take()
        return
    # A pool does not survive a fork: each process has its own.
    key = (os.getpid(), helpers)
    pool = _pools.get(key)
    if pool is None:
        pool = _pools.setdefault(key, ThreadPoolExecutor(helpers, thread_name_prefix="fdif"))
    futures = [pool.submit(take) for _ in range(helpers)]
    try:
        take()
    finally:
        for future in futures:
            future.result()


@dataclass(frozen=True)
class Tables:
    """A displacement on one grid: `values` float32 (k,), and what it reads of each axis: `x` float32
    (values, W), `y` (H, values), `z` (D, values)."""

    values: np.ndarray
    x: np.ndarray
    y: np.ndarray
    z: np.ndarray


@dataclass(frozen=True)
class Job:
    """One object, ready for the driver: kernel addresses with their float32 values. `inverse` is the
    float64 (3 or 4, 4) matrix from world to object coordinates."""

    shape: int
    shape_values: np.ndarray
    inverse: np.ndarray
    row: int
    tables: Tables | None
    mapper: int
    mapper_values: np.ndarray
    empty_outside: bool
    label: int


@dataclass
class Driver:
    """The compiled functions, by their addresses."""

    render_planes: int
    label_planes: int
    least_of_planes: int
    _functions: dict[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._functions = {name: prototype(signature)(getattr(self, name)) for name, signature in _SIGNATURES.items()}

    def render(self, jobs: Sequence[Job], grid: Grid, threads: int) -> Rendered:
        """Compose the objects, as the reference says."""
        image = np.empty(grid.shape, np.uint8)
        label = np.empty(grid.shape, np.uint16)
        if grid.voxels == 0:
            return Rendered(image, label, np.zeros(len(jobs), np.int64))
        table, rows = _header(grid, len(jobs))
        words = -(-len(jobs) // layout.BITS)
        inside = np.zeros(words * grid.voxels, np.uint32)
        counts = np.empty((grid.shape[0] * -(-grid.shape[1] // rows), len(jobs)), np.int64)
        inverses = np.array([job.inverse[:3] for job in jobs], np.float64)
        for column, array in ((layout.INVERSES, inverses), (layout.IMAGE, image), (layout.LABEL, label),
                              (layout.INSIDE, inside), (layout.COUNTS, counts)):
            table[column] = array.ctypes.data
        _fill_objects(table[layout.HEADER :].reshape(len(jobs), layout.COLUMNS), jobs)
        self._share("render_planes", grid, threads, table)
        total = counts.sum(axis=0)
        # The fewest voxels win, so they are painted last; of equals the later object.
        order = np.argsort(-total, kind="stable")
        table[layout.ORDER] = order.ctypes.data
        self._share("label_planes", grid, threads, table)
        return Rendered(image, label, total)

    def least(self, kernel: int, values: np.ndarray, inverse: np.ndarray, grid: Grid, threads: int) -> float:
        """The least value of a field over all voxels; NaN is passed over, and nothing at all is +inf."""
        table, _ = _header(grid, 0)
        out = np.full(grid.shape[0], np.inf, np.float32)
        matrix = np.ascontiguousarray(inverse[:3], np.float64)
        self._share("least_of_planes", grid, threads, table, kernel, values.ctypes.data, matrix.ctypes.data,
                    out.ctypes.data)
        return float(out.min(initial=np.inf))

    def _share(self, name: str, grid: Grid, threads: int, table: np.ndarray, *more: int) -> None:
        depth, height, width = grid.shape
        slab = max(1, _SLAB // max(1, height * width))
        scratch = int(table[layout.ROWS]) * width * layout.SCRATCH + width
        function, address = self._functions[name], table.ctypes.data

        def work(k: int) -> None:
            first, last = k * slab, min((k + 1) * slab, depth)
            if name == "label_planes":
                function(address, first, last)
            else:
                memory = np.empty(scratch, np.float32)
                function(address, first, last, memory.ctypes.data, *more)

        share_out(-(-depth // slab), threads, work)


def _header(grid: Grid, objects: int) -> tuple[np.ndarray, int]:
    depth, height, width = grid.shape
    rows = max(1, min(height, layout.TILE // max(1, width)))
    table = np.zeros(layout.HEADER + objects * layout.COLUMNS, np.int64)
    table[[layout.WIDTH, layout.HEIGHT, layout.DEPTH]] = width, height, depth
    table[layout.ROWS], table[layout.OBJECTS] = rows, objects
    return table, rows


def _fill_objects(table: np.ndarray, jobs: Sequence[Job]) -> None:
    for row, job in zip(table, jobs, strict=True):
        row[layout.SHAPE], row[layout.SHAPE_VALUES] = job.shape, job.shape_values.ctypes.data
        row[layout.MAPPER], row[layout.MAPPER_VALUES] = job.mapper, job.mapper_values.ctypes.data
        row[layout.EMPTY_OUTSIDE], row[layout.CLASS] = job.empty_outside, job.label
        if job.tables is not None:
            row[layout.ROW], row[layout.ROW_VALUES] = job.row, job.tables.values.ctypes.data
            row[layout.TABLE_X], row[layout.TABLE_Y] = job.tables.x.ctypes.data, job.tables.y.ctypes.data
            row[layout.TABLE_Z] = job.tables.z.ctypes.data
            row[layout.VALUES_Y], row[layout.VALUES_Z] = job.tables.y.shape[1], job.tables.z.shape[1]
