"""The scene driver: fills the job table and shares the work out to threads. Never imports numba.

The work is done by the functions of driver_kernels.py, called through ctypes, which releases Python's
lock; a small pool of Python threads takes objects or tiles from a shared counter. There is no other
threading layer, so a forked process simply makes a pool of its own.
"""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import math
import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fdif_dsl.compiler.backends import Rendered
from fdif_dsl.compiler.backends.cpu import layout
from fdif_dsl.compiler.backends.store.unit import Unit
from fdif_dsl.compiler.ir.grid import Grid

_SIGNATURES = {"run_scalars": "qnn", "cull_objects": "qfq", "least_values": "qfqq", "draw": "qf", "label": "qf"}
_C_TYPES: dict[str, Any] = dict.fromkeys("dfq", ctypes.c_void_p) | {"n": ctypes.c_int64}

Sides = tuple[int, int, int]


@cache
def units(tile: Sides = layout.TILE, measured: bool = False) -> dict[str, Unit]:
    """The driver's own functions for a size of tile, compiled and kept like any kernel; with `measured`, they count
    clock ticks too."""
    source = Path(__file__).with_name("driver_kernels.py").read_text(encoding="utf-8")
    source = source.replace("SIDES = layout.TILE\n", f"SIDES = {tile}\n")
    source = source.replace("MEASURED = False\n", f"MEASURED = {measured}\n")
    # The numbers of the layout are part of its meaning.
    digest = hashlib.sha256(source.encode() + Path(layout.__file__).read_bytes()).hexdigest()[:24]
    return {name: Unit(f"{name}_{digest}", source, name, signature) for name, signature in _SIGNATURES.items()}


def prototype(signature: str) -> Any:
    """The ctypes function type of a signature; calling one releases Python's lock."""
    return ctypes.CFUNCTYPE(None, *(_C_TYPES[letter] for letter in signature))


_here = threading.local()


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside the block, what this thread renders is rendered on it alone."""
    before = getattr(_here, "alone", False)
    _here.alone = True
    try:
        yield
    finally:
        _here.alone = before


def thread_count(requested: int | None = None) -> int:
    """Threads to use: one inside `one_thread`; else as asked for, else `FDIF_THREADS`, else the CPUs this process may
    run on."""
    if getattr(_here, "alone", False):
        return 1
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

    def several() -> None:
        while (k := next(counter)) < count:
            work(k)

    together(min(threads, count), several)


def together(threads: int, work: Callable[[], None]) -> None:
    """Call `work()` on so many threads, the caller's among them."""
    if threads < 2:
        work()
        return
    # A pool does not survive a fork: each process has its own.
    key = (os.getpid(), threads)
    pool = _pools.get(key)
    if pool is None:
        pool = _pools.setdefault(key, ThreadPoolExecutor(threads - 1, thread_name_prefix="fdif"))
    futures = [pool.submit(work) for _ in range(threads - 1)]
    try:
        work()
    finally:
        for future in futures:
            future.result()


class Values(NamedTuple):
    """What a kernel reads of earlier stages: `length` float32 numbers at `address`, in memory that `owner` keeps."""

    owner: np.ndarray
    address: int
    length: int

    @classmethod
    def of(cls, numbers: Sequence[Any]) -> Values:
        array = np.array(numbers if len(numbers) else [0], np.float32)  # so that it has an address
        return cls(array, array.ctypes.data, len(numbers))

    def split(self, count: int) -> tuple[Values, Values]:
        """The first `count` numbers, and the others."""
        return (Values(self.owner, self.address, count),
                Values(self.owner, self.address + 4 * count, self.length - count))


_NO_AXES = (0,) * 10  # entries of the job table that only `OwnTables` has
_NO_TABLES = (0,) * 10 + _NO_AXES
NOTHING = Values(np.empty(0, np.float32), 0, 0)


@dataclass(frozen=True)
class Tables:
    """A displacement on one grid that all objects share: `values`; what it reads of each axis, float32 (values, voxels
    of the axis filled up to whole tiles); and its bounds over the boxes of each level, float32, level after level,
    z y x. One that is dear may have been worked out: `field`, float32 (tiles, voxels of a tile)."""

    values: Values
    axes: tuple[np.ndarray, np.ndarray, np.ndarray]
    low: np.ndarray
    high: np.ndarray
    field: np.ndarray | None = None

    @cached_property
    def columns(self) -> tuple[int, ...]:
        """Its entries in the job table."""
        return (self.values.address, *(axis.ctypes.data for axis in self.axes), *self.rows,
                self.low.ctypes.data, self.high.ctypes.data, *_NO_AXES)

    @cached_property
    def rows(self) -> tuple[int, ...]:
        """How many values it reads of each axis."""
        return tuple(map(len, self.axes))


@dataclass(frozen=True)
class Grey:
    """A mapper on one grid that all objects share: `values`, and `limits` float64 (3,), see `layout.LIMITS`; and
    what its range kernel reads, None where it has none."""

    values: Values
    limits: np.ndarray
    range_values: Values | None = None


class Bounded(NamedTuple):
    """A kernel by its address, with what it reads; and the same of the kernel that bounds it in boxes, 0 where there
    is none or it is not to be used."""

    kernel: int
    values: Values
    bounds: int = 0
    bounds_values: Values = NOTHING

    @property
    def columns(self) -> tuple[int, ...]:
        """Its entries in a table."""
        return self.kernel, self.values.address, self.values.length, self.bounds, self.bounds_values.address


class OwnTables(NamedTuple):
    """A displacement with numbers of one object: `values`, how many of them there are with those of the kernels of its
    axes, the kernels that work out the tables, which have so many `rows` for each axis, and its bounds kernel. The
    tables, one axis after the other, and the coordinates along one axis have their place in `memory`."""

    values: Values
    numbers: int
    axes: Sequence[Bounded]
    rows: tuple[int, ...]
    bounds: Bounded
    memory: np.ndarray
    sides: Sequence[int]

    @classmethod
    def of(cls, values: Values, numbers: int, axes: Sequence[Bounded], rows: tuple[int, ...], bounds: Bounded,
           sides: Sequence[int]) -> OwnTables:
        """`sides` are those of the grid, filled up to whole tiles."""
        size = sum(row * side for row, side in zip(rows, sides, strict=True)) + max(sides)
        return cls(values, numbers, axes, rows, bounds, np.empty(size, np.float32), sides)

    @property
    def columns(self) -> tuple[int, ...]:
        """Its entries in the job table."""
        places = [self.memory.ctypes.data]
        for row, side in zip(self.rows, self.sides, strict=True):
            places.append(places[-1] + 4 * row * side)
        x, y, z = self.axes
        return (self.values.address, *places[:3], *self.rows, 0, 0, self.numbers, x.kernel, y.kernel, z.kernel,
                x.values.address, y.values.address, z.values.address, places[3], self.bounds.kernel,
                self.bounds.values.address)


@dataclass(frozen=True)
class Job:
    """One object, ready for the driver. `inverse` is the float64 (3 or 4, 4) matrix from world to object coordinates;
    without a bounds kernel of the shape every tile is drawn. A displacement is a tile kernel and its tables. `limits`
    are those of `Grey`, or the object's `own`, which the driver may change. Whether the mapper `sees` the point decides
    the kind of its kernel. A displacement that is dear and has no `field` is computed only where the object can be or
    shine: `reach`, float32 (2, tiles), has the least and the most of it in each tile, which the driver works out for
    `OwnTables`."""

    shape: Bounded
    inverse: np.ndarray
    displacement: tuple[int, Tables | OwnTables] | None
    mapper: Bounded
    limits: np.ndarray
    own: bool
    sees: bool
    label: int
    reach: np.ndarray | None = None

    @property
    def faint(self) -> bool:
        """Whether bounds of its grey level may do where it is not: it is drawn by its distance alone, and shines
        all over any grid or is displaced at some expense."""
        return self.mapper.bounds != 0 and not self.sees and (self.limits[0] > layout.LARGEST or self.reach is not None)


@dataclass(frozen=True)
class Search:
    """A field whose least value on the grid is wanted, and the matrix to its coordinates."""

    field: Bounded
    inverse: np.ndarray


@dataclass
class Profile:
    """Where the time of volumes went, in seconds by stage, and what became of their tiles, an object at a time."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    tiles: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - start


@dataclass
class Driver:
    """The compiled functions, by their addresses."""

    addresses: Mapping[str, int]
    tile: Sides = layout.TILE
    _functions: dict[str, Any] = field(init=False, repr=False)
    # Memory of the inside bits from the last volume: touching fresh pages would cost as much as drawing.
    _kept: list[np.ndarray] = field(init=False, repr=False, default_factory=list)

    def __post_init__(self) -> None:
        self._functions = {name: prototype(_SIGNATURES[name])(address) for name, address in self.addresses.items()}

    def render(self, jobs: Sequence[Job], grid: Grid, threads: int, profile: Profile | None = None) -> Rendered:
        """Compose the objects, as the reference says. A profile wants a driver that is `measured`."""
        wide = any(job.label > 255 for job in jobs)
        image = np.empty(grid.shape, np.uint8)
        label = np.empty(grid.shape, np.uint16 if wide else np.uint8)
        if grid.voxels == 0:
            return Rendered(image, label, np.zeros(len(jobs), np.int64))
        table, tiles = self._header(grid, len(jobs))
        words = -(-math.prod(self.tile) // layout.BITS)
        inside = self._take(tiles * len(jobs) * words)
        state = np.zeros((tiles, len(jobs)), np.uint8)
        eighths = np.empty((tiles, len(jobs)), np.uint8)
        counts = np.zeros((tiles, len(jobs)), np.int32)
        inverses = np.array([job.inverse[:3] for job in jobs], np.float64)
        for column, array in ((layout.INVERSES, inverses), (layout.IMAGE, image), (layout.LABEL, label),
                              (layout.INSIDE, inside), (layout.STATE, state), (layout.EIGHTHS, eighths),
                              (layout.COUNTS, counts)):
            table[column] = array.ctypes.data
        table[layout.WIDE_LABEL] = wide
        table[layout.HEADER :] = [entry for job in jobs for entry in _columns(job)]
        voxels = math.prod(self.tile)
        spread = max((sum(job.displacement[1].rows) for job in jobs if job.displacement), default=0)
        table[layout.KEPT] = kept = len(jobs) * any(job.faint for job in jobs)
        shades = np.empty((2, tiles, kept), np.float32)
        table[layout.DIM], table[layout.BRIGHT] = shades.ctypes.data, shades.ctypes.data + shades.strides[0]

        def cull() -> None:
            self._call("cull_objects", table, _scratch(18 * layout.CHUNK),
                       np.empty(2 * tiles + layout.CHUNK, np.int64))

        def draw() -> None:
            records = kept + max(kept, 1)
            self._call("draw", table, _scratch(
                (12 + spread + records) * voxels + words * layout.BITS + self._place + 2 * (voxels + kept)))

        def paint() -> None:
            self._call("label", table, _scratch(words * layout.BITS))

        notes = profile or Profile()
        ticks = np.zeros((tiles if profile else 0, 2), np.int64)
        table[layout.CYCLES] = ticks.ctypes.data
        with notes.stage("intervals"):
            together(min(threads, len(jobs)), cull)
        with notes.stage("drawing"):
            together(min(threads, -(-tiles // layout.TILES_AT_ONCE)), draw)
        total = counts.sum(axis=0, dtype=np.int64)
        # The fewest voxels win, so they are painted last; of equals the later object.
        order = np.argsort(-total, kind="stable")
        table[layout.ORDER] = order.ctypes.data
        with notes.stage("labels"):
            together(min(threads, -(-tiles // layout.TILES_AT_ONCE)), paint)
        if profile:
            kernels, drawing = ticks.sum(axis=0).tolist()
            share = kernels / max(drawing, 1)
            spent = profile.seconds.pop("drawing")
            profile.seconds["kernels"] += spent * share
            profile.seconds["composition"] += spent * (1 - share)
            for name, code in (("skipped", layout.SKIP), ("drawn", layout.VISIT), ("filled", layout.FILL),
                               ("faint", layout.FAINT)):
                profile.tiles[name] += int(np.count_nonzero(state == code))
        self._kept.append(inside)
        return Rendered(image, label, total)

    def scalars(self, calls: Sequence[tuple[int, list[float], int]]) -> list[Values]:
        """The results of scalar kernels; a call is an address, the arguments, and how many results there are."""
        tasks = np.empty((len(calls), layout.SCALAR_COLUMNS), np.int64)
        given = np.array([number for _, numbers, _ in calls for number in numbers], np.float64)
        counts = [count for _, _, count in calls]
        starts = np.array(list(itertools.accumulate(counts, initial=0)), np.int64)
        results, rounded = np.empty(starts[-1] + 1, np.float64), np.empty(starts[-1] + 1, np.float32)
        base = rounded.ctypes.data
        inputs = np.array(list(itertools.accumulate((len(numbers) for _, numbers, _ in calls), initial=0)), np.int64)
        tasks[:, layout.SCALAR] = [address for address, _, _ in calls]
        tasks[:, layout.GIVEN] = given.ctypes.data + 8 * inputs[:-1]
        tasks[:, layout.RESULTS] = results.ctypes.data + 8 * starts[:-1]
        tasks[:, layout.ROUNDED] = base + 4 * starts[:-1]
        tasks[:, layout.ROUNDED_COUNT] = counts
        self._functions["run_scalars"](tasks.ctypes.data, 0, len(calls))
        return [Values(rounded, base + 4 * start, count) for start, count in zip(starts.tolist(), counts, strict=False)]

    def least(self, searches: Sequence[Search], grid: Grid, threads: int) -> np.ndarray:
        """The least value of each field over all voxels, float32; NaN is passed over, and nothing at all is +inf."""
        table, tiles = self._header(grid, len(searches))
        out = np.full(len(searches), np.inf, np.float32)
        matrices = np.array([s.inverse[:3] for s in searches], np.float64)
        tasks = np.array([
            (*s.field.columns, matrices.ctypes.data + i * matrices.strides[0], out.ctypes.data + 4 * i)
            for i, s in enumerate(searches)], np.int64)

        def search() -> None:
            scratch = _scratch(16 * layout.CHUNK + 4 * math.prod(self.tile) + self._place)
            self._call("least_values", table, scratch, np.empty(2 * (tiles + layout.CHUNK), np.int64), tasks)

        if grid.voxels:
            together(min(threads, len(searches)), search)
        return out

    @property
    def _place(self) -> int:
        """Numbers that a tile's place takes, see PLACE in driver_kernels.py."""
        x, y, z = self.tile
        return x + 5 * y * z + x * y * z

    def _call(self, name: str, *arrays: np.ndarray) -> None:
        self._functions[name](*(array.ctypes.data for array in arrays))

    def _header(self, grid: Grid, objects: int) -> tuple[np.ndarray, int]:
        """The job table without objects, and how many tiles the grid has."""
        table = np.zeros(layout.HEADER + objects * layout.COLUMNS, np.int64)
        across = tiles_of(grid, self.tile)
        table[[layout.WIDTH, layout.HEIGHT, layout.DEPTH]] = grid.shape[::-1]
        table[[layout.TILES_X, layout.TILES_Y, layout.TILES_Z]] = across
        table[layout.OBJECTS] = objects
        return table, math.prod(across)

    def _take(self, size: int) -> np.ndarray:
        """Memory for `size` words, whatever is in it."""
        try:
            found = self._kept.pop()  # another thread may have taken the last
        except IndexError:
            found = np.empty(0, np.uint64)
        return found if size <= len(found) < 4 * size + 4096 else np.empty(size, np.uint64)


def tiles_of(grid: Grid, tile: Sides = layout.TILE) -> tuple[int, int, int]:
    """How many tiles cover the grid along x, y and z."""
    x, y, z = (-(-side // of) for side, of in zip(grid.shape[::-1], tile, strict=True))
    return x, y, z


def _scratch(size: int) -> np.ndarray:
    """Float32 memory that begins at a cache line: vector loads across two lines take twice as long."""
    memory = np.empty(size + 16, np.float32)
    return memory[-memory.ctypes.data % 64 // 4 :]


def _columns(job: Job) -> Sequence[int]:
    """The entries of an object in the job table."""
    displacement: tuple[int, ...] = _NO_TABLES
    field, reach = None, (0, 0)
    if job.displacement is not None:
        kernel, tables = job.displacement
        displacement = kernel, *tables.columns
        field = tables.field if isinstance(tables, Tables) else None
    if job.reach is not None:
        reach = job.reach.ctypes.data, job.reach.ctypes.data + job.reach.strides[0]
    return (*job.shape.columns, *displacement, *job.mapper.columns, job.limits.ctypes.data, job.own, job.sees,
            job.label, *reach, 0 if field is None else field.ctypes.data)
