"""The kernels, but for the formulas in them: each function here takes what was generated and makes a kernel.

A volume is cut into tiles of 8^3 voxels, x fastest, numbered (z · tiles_y + y) · tiles_x + x; what reaches beyond the
grid is computed and dropped. In order:

    field       once a grid: the offsets of a displacement at all voxels, and the lowest of each tile
    numbers     once an object: what its class computes before any voxel
    search      the least value of a field over the grid, one block an object (what `deepest` needs)
    draw        one class: its objects, the tiles that bounds do not prove empty -> distances, an item a tile
    compose     all objects of a tile, in order -> image and inside bits
    paint       inside bits and counts -> labels

Kernels run one after the other on a stream, so each finds what the ones before it wrote. Here `Any` is an array, in
flat memory, or a number; `at` is a place in one. Results depend neither on the order of blocks nor on the size of one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda
from numba.cuda import types

from fdif_dsl.compiler.backends.cuda import layout, words64
from fdif_dsl.compiler.backends.cuda.words import INF, ZERO, add, f32, fixed, fma, inline, least, select

SIDE, VOXELS, THREADS, BITS = layout.SIDE, layout.VOXELS, layout.THREADS, layout.BITS
COLUMNS, VOLUME_COLUMNS = layout.COLUMNS, layout.VOLUME_COLUMNS
SMALL, ROUNDING = layout.LARGEST, layout.ROUNDING
COORDINATES = 3 * THREADS  # of as many points
WHITE = f32(128)
absolute = words64.abs
uint8, uint16, uint32, int32, int64, float64 = np.uint8, np.uint16, np.uint32, np.int32, np.int64, np.float64


# Places -----------------------------------------------------------------------------------------


@inline
def tiles_along(side: Any) -> Any:
    return (side + (SIDE - 1)) // SIDE


@inline
def start(inverses: Any, row: Any, x: Any, y: Any, z: Any) -> Any:
    """An object coordinate at a world point; in float64, as the steps from there are small."""
    return fixed(inverses, row) * x + (
        fixed(inverses, row + 1) * y + (fixed(inverses, row + 2) * z + fixed(inverses, row + 3)))


@inline
def reach(inverses: Any, row: Any, x: Any, y: Any, z: Any) -> Any:
    """How far an object coordinate gets from its value in the middle of a box of these half-widths."""
    return (absolute(fixed(inverses, row)) * x + absolute(fixed(inverses, row + 1)) * y
            + absolute(fixed(inverses, row + 2)) * z)


@inline
def margin(inverses: Any, row: Any, width: Any, height: Any, depth: Any) -> Any:
    return ROUNDING * (reach(inverses, row, 0.5 * width, 0.5 * height, 0.5 * depth)
                       + absolute(fixed(inverses, row + 3)))


@inline
def step(inverses: Any, row: Any, x: Any, y: Any, z: Any, begin: Any) -> Any:
    """An object coordinate some voxels away from the first voxel of a tile, where it is `begin`."""
    a, b, c = f32(fixed(inverses, row)), f32(fixed(inverses, row + 1)), f32(fixed(inverses, row + 2))
    return fma(a, x, fma(b, y, fma(c, z, begin)))


def in_tile(bounds: Any) -> Any:
    """The function that gives the lower bound of a field over the voxels of a tile."""

    @inline
    def lower(numbers: Any, at: Any, inverses: Any, row: Any, tile: Any, width: Any, height: Any, depth: Any) -> Any:
        across, along = tiles_along(width), tiles_along(height)
        x, y, z = tile % across * SIDE, tile // across % along * SIDE, tile // (across * along) * SIDE
        # Half the way from the first voxel of the tile to its last.
        half_x = 0.5 * (min(SIDE, width - x) - 1)
        half_y = 0.5 * (min(SIDE, height - y) - 1)
        half_z = 0.5 * (min(SIDE, depth - z) - 1)
        wx, wy, wz = x - 0.5 * width + half_x, y - 0.5 * height + half_y, z - 0.5 * depth + half_z
        a = start(inverses, row, wx, wy, wz)
        b = start(inverses, row + 4, wx, wy, wz)
        c = start(inverses, row + 8, wx, wy, wz)
        p = reach(inverses, row, half_x, half_y, half_z) + margin(inverses, row, width, height, depth)
        q = reach(inverses, row + 4, half_x, half_y, half_z) + margin(inverses, row + 4, width, height, depth)
        r = reach(inverses, row + 8, half_x, half_y, half_z) + margin(inverses, row + 8, width, height, depth)
        return bounds(f32(a - p), f32(a + p), f32(b - q), f32(b + q), f32(c - r), f32(c + r), numbers, at)

    return lower


# Kernels of a class -----------------------------------------------------------------------------


def numbers_kernel(compute: Any, own: int) -> Any:
    """`compute(slots, at, grid, reductions, at, out, at)` writes the numbers; the magnitude of the first `own`
    is noted."""

    def kernel(chosen: Any, first: Any, count: Any, objects: Any, slots: Any, grid: Any, reductions: Any, most: Any,
               numbers: Any) -> None:
        i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        if i < count:
            k = chosen[first + i]
            at = objects[k * COLUMNS + layout.NUMBERS]
            compute(slots, objects[k * COLUMNS + layout.SLOTS], grid, reductions, k * most, numbers, at)
            small = 1
            for j in range(own):
                if not absolute(float64(numbers[at + j])) <= SMALL:  # NaN is not
                    small = 0
            objects[k * COLUMNS + layout.OWN] = own
            objects[k * COLUMNS + layout.SMALL] = small

    return kernel


def search_kernel(field: Any, bounds: Any) -> Any:
    """The least value of a field over all voxels of the grid: the very number that looking at each voxel would give.
    NaN is passed over, and nothing at all is infinity."""
    lower = in_tile(bounds)

    def kernel(chosen: Any, first: Any, objects: Any, inverses: Any, width: Any, height: Any, depth: Any, numbers: Any,
               reductions: Any, most: Any, which: Any) -> None:
        keep = cuda.shared.array(THREADS, types.int32)
        kept = cuda.shared.array(1, types.int32)
        best = cuda.shared.array(1, types.float32)
        t, n = cuda.threadIdx.x, cuda.blockDim.x
        k = chosen[first + cuda.blockIdx.x]
        row, at = k * 12, objects[k * COLUMNS + layout.NUMBERS]
        at_bounds = at + objects[k * COLUMNS + layout.OWN]
        bounded = objects[k * COLUMNS + layout.BOUNDED] != 0 and objects[k * COLUMNS + layout.SMALL] != 0
        across, along = tiles_along(width), tiles_along(height)
        tiles = across * along * tiles_along(depth)
        if t == 0:
            best[0] = INF
        cuda.syncthreads()
        # The voxel in the middle of each tile tells how low the field gets at least.
        lowest = INF
        for tile in range(t, tiles, n):
            x = min(tile % across * SIDE + SIDE // 2, width - 1) - 0.5 * width
            y = min(tile // across % along * SIDE + SIDE // 2, height - 1) - 0.5 * height
            z = min(tile // (across * along) * SIDE + SIDE // 2, depth - 1) - 0.5 * depth
            v = field(f32(start(inverses, row, x, y, z)), f32(start(inverses, row + 4, x, y, z)),
                      f32(start(inverses, row + 8, x, y, z)), numbers, at)
            lowest = least(lowest, v)
        cuda.atomic.min(best, 0, lowest)
        cuda.syncthreads()
        for group in range(0, tiles, n):
            if t == 0:
                kept[0] = 0
            cuda.syncthreads()
            tile = group + t
            if tile < tiles:
                needed = True
                if bounded:
                    needed = not lower(numbers, at_bounds, inverses, row, tile, width, height, depth) >= best[0]
                if needed:
                    keep[cuda.atomic.add(kept, 0, 1)] = tile
            cuda.syncthreads()
            for j in range(kept[0]):
                x0 = keep[j] % across * SIDE
                y0 = keep[j] // across % along * SIDE
                z0 = keep[j] // (across * along) * SIDE
                for v in range(t, VOXELS, n):
                    x, y, z = x0 + v % SIDE, y0 + v // SIDE % SIDE, z0 + v // (SIDE * SIDE)
                    if x < width and y < height and z < depth:
                        wx, wy, wz = x - 0.5 * width, y - 0.5 * height, z - 0.5 * depth
                        lowest = least(lowest, field(
                            f32(start(inverses, row, wx, wy, wz)), f32(start(inverses, row + 4, wx, wy, wz)),
                            f32(start(inverses, row + 8, wx, wy, wz)), numbers, at))
            cuda.syncthreads()
            cuda.atomic.min(best, 0, lowest)
            cuda.syncthreads()
        if t == 0:
            reductions[k * most + which] = float64(best[0])

    return kernel


def draw_kernel(value: Any, bounds: Any) -> Any:
    """Distances of the objects chosen[first], chosen[first + 1], ... (one a row of the grid of blocks), displaced, in
    the tiles from `window` to below `beyond` that may hold something of them. A tile of an object that is drawn gets
    the next free place of `distances`, noted in `items`; a distance that is no number is nowhere: infinitely far away.
    """
    lower = in_tile(bounds)

    def kernel(chosen: Any, first: Any, objects: Any, inverses: Any, width: Any, height: Any, depth: Any, numbers: Any,
               fields: Any, field_low: Any, field_first: Any, field_span: Any, empty_from: Any, window: Any,
               beyond: Any, free: Any, items: Any, distances: Any, counts: Any) -> None:
        keep = cuda.shared.array(THREADS, types.int32)
        starts = cuda.shared.array(COORDINATES, types.float32)
        corners = cuda.shared.array(COORDINATES, types.int32)
        kept = cuda.shared.array(1, types.int32)
        base = cuda.shared.array(1, types.int32)
        inside = cuda.shared.array(1, types.int32)
        t, n = cuda.threadIdx.x, cuda.blockDim.x
        k = chosen[first + cuda.blockIdx.y]
        row, object_ = k * 12, k * COLUMNS
        at, displacement = objects[object_ + layout.NUMBERS], objects[object_ + layout.DISPLACEMENT]
        across, along = tiles_along(width), tiles_along(height)
        if t == 0:
            kept[0], inside[0] = 0, 0
        cuda.syncthreads()
        # Neighbours go to different blocks, so that each block gets a fair share of the full ones.
        tile = window + cuda.blockIdx.x + t * cuda.gridDim.x
        if tile < beyond:
            needed = True
            paint = objects[object_ + layout.PAINT]
            small = objects[object_ + layout.SMALL] != 0 and (
                paint < 0 or objects[paint * COLUMNS + layout.SMALL] != 0)
            if small and objects[object_ + layout.BOUNDED] != 0:
                low = lower(numbers, at + objects[object_ + layout.OWN], inverses, row, tile, width, height, depth)
                if displacement >= 0:
                    low += field_low[displacement * field_span + (tile - field_first)]
                needed = not (low > ZERO and low >= empty_from[objects[object_ + layout.MAPPER]])
            if needed:
                j = cuda.atomic.add(kept, 0, 1)
                keep[j] = tile
                corners[3 * j] = tile % across * SIDE
                corners[3 * j + 1] = tile // across % along * SIDE
                corners[3 * j + 2] = tile // (across * along) * SIDE
                x = corners[3 * j] - 0.5 * width
                y = corners[3 * j + 1] - 0.5 * height
                z = corners[3 * j + 2] - 0.5 * depth
                starts[3 * j] = f32(start(inverses, row, x, y, z))
                starts[3 * j + 1] = f32(start(inverses, row + 4, x, y, z))
                starts[3 * j + 2] = f32(start(inverses, row + 8, x, y, z))
        cuda.syncthreads()
        if t == 0 and kept[0] > 0:
            base[0] = add(free, 0, kept[0])
        cuda.syncthreads()
        mine = 0
        for j in range(kept[0]):
            tile = keep[j]
            x0, y0, z0 = corners[3 * j], corners[3 * j + 1], corners[3 * j + 2]
            place = int64(base[0] + j) * VOXELS
            offsets = int64(displacement * field_span + (tile - field_first)) * VOXELS
            for v in range(t, VOXELS, n):
                x, y, z = v % SIDE, v // SIDE % SIDE, v // (SIDE * SIDE)
                dx, dy, dz = f32(x), f32(y), f32(z)
                d = value(step(inverses, row, dx, dy, dz, starts[3 * j]),
                          step(inverses, row + 4, dx, dy, dz, starts[3 * j + 1]),
                          step(inverses, row + 8, dx, dy, dz, starts[3 * j + 2]), numbers, at)
                if displacement >= 0:
                    d += fixed(fields, offsets + v)
                there = x0 + x < width and y0 + y < height and z0 + z < depth and d == d
                d = select(there, d, INF)
                distances[place + v] = d
                if d <= ZERO:
                    mine += 1
            if t == 0:
                items[int64(k) * (beyond - window) + (tile - window)] = base[0] + j
        if mine > 0:
            cuda.atomic.add(inside, 0, mine)
        cuda.syncthreads()
        if t == 0 and inside[0] > 0:
            add(counts, k, int64(inside[0]))

    return kernel


# Kernels of a library ---------------------------------------------------------------------------


def compose_kernel(grey: Any) -> Any:
    """The image and the inside bits of the tiles of a window, one block a tile and volume; `grey(mapper, distance,
    numbers, own, at, inverses, row, x, y, z)` is the intensity: the object's `own` numbers begin at `at`, which is -1
    where it has none, its matrix at `row`, and the last three are the world point. Objects are added in order, so that
    rounding does not depend on chance."""

    def kernel(volumes: Any, objects: Any, width: Any, height: Any, depth: Any, window: Any, beyond: Any, items: Any,
               distances: Any, mapper_numbers: Any, numbers: Any, inverses: Any, words: Any, inside: Any,
               image: Any) -> None:
        volume, tile = cuda.blockIdx.y, window + cuda.blockIdx.x
        first, count = volumes[volume * VOLUME_COLUMNS + layout.FIRST], volumes[volume * VOLUME_COLUMNS + layout.COUNT]
        across, along = tiles_along(width), tiles_along(height)
        tiles = across * along * tiles_along(depth)
        x0 = tile % across * SIDE
        y0 = tile // across % along * SIDE
        z0 = tile // (across * along) * SIDE
        span = beyond - window
        for v in range(cuda.threadIdx.x, VOXELS, cuda.blockDim.x):
            total, bits, word = ZERO, uint32(0), 0
            for j in range(count):
                k = first + j
                if j // BITS > word:
                    inside[(int64(volume * words + word) * tiles + tile) * VOXELS + v] = bits
                    bits, word = uint32(0), j // BITS
                item = items[int64(k) * span + (tile - window)]
                if item >= 0:
                    d = distances[int64(item) * VOXELS + v]
                    paint = objects[k * COLUMNS + layout.PAINT]
                    at = objects[paint * COLUMNS + layout.NUMBERS] if paint >= 0 else -1
                    g = grey(objects[k * COLUMNS + layout.MAPPER], d, mapper_numbers, numbers, at, inverses, k * 12,
                             x0 + v % SIDE - 0.5 * width, y0 + v // SIDE % SIDE - 0.5 * height,
                             z0 + v // (SIDE * SIDE) - 0.5 * depth)
                    total += select(g == g, g, ZERO)
                    if d <= ZERO:
                        bits = uint32(bits | (uint32(1) << uint32(j % BITS)))
            inside[(int64(volume * words + word) * tiles + tile) * VOXELS + v] = bits
            x, y, z = x0 + v % SIDE, y0 + v // SIDE % SIDE, z0 + v // (SIDE * SIDE)
            if x < width and y < height and z < depth:
                total = select(total > ZERO, total, ZERO)
                place = ((int64(volume) * depth + z) * height + y) * width + x
                image[place] = uint8(select(total < WHITE, total, WHITE))

    return kernel


def paint_kernel(wide: bool) -> Any:
    """Labels of uint8, or of uint16 if `wide`, one block a tile and volume: of the objects that hold a voxel the one
    with the fewest voxels in the grid, of equals the later one."""

    def kernel(volumes: Any, objects: Any, width: Any, height: Any, depth: Any, words: Any, inside: Any, counts: Any,
               label: Any) -> None:
        volume, tile = cuda.blockIdx.y, cuda.blockIdx.x
        first = volumes[volume * VOLUME_COLUMNS + layout.FIRST]
        across, along = tiles_along(width), tiles_along(height)
        tiles = across * along * tiles_along(depth)
        x0 = tile % across * SIDE
        y0 = tile // across % along * SIDE
        z0 = tile // (across * along) * SIDE
        for v in range(cuda.threadIdx.x, VOXELS, cuda.blockDim.x):
            x, y, z = x0 + v % SIDE, y0 + v // SIDE % SIDE, z0 + v // (SIDE * SIDE)
            if x < width and y < height and z < depth:
                found, fewest = 0, int64(0)
                for word in range(words):
                    bits = inside[(int64(volume * words + word) * tiles + tile) * VOXELS + v]
                    k = first + word * BITS
                    while bits != uint32(0):
                        if bits & uint32(1) and (found == 0 or counts[k] <= fewest):
                            found, fewest = 1 + objects[k * COLUMNS + layout.LABEL], counts[k]
                        bits = uint32(bits >> uint32(1))
                        k += 1
                place = ((int64(volume) * depth + z) * height + y) * width + x
                value = found - 1 if found > 0 else 0
                if wide:
                    label[place] = uint16(value)
                else:
                    label[place] = uint8(value)

    return kernel


# Kernels of a displacement ----------------------------------------------------------------------
# An offset depends on the grid alone, or on the numbers of one object, and never on where that lies: so it is computed
# once a voxel and then read.


def field_kernel(value: Any) -> Any:
    """The offsets of a displacement from tile `window` on, one block a tile, into `fields` from tile `first` on."""

    def kernel(numbers: Any, at: Any, width: Any, height: Any, depth: Any, window: Any, first: Any,
               fields: Any) -> None:
        tile = window + cuda.blockIdx.x
        across, along = tiles_along(width), tiles_along(height)
        x0 = tile % across * SIDE - 0.5 * width
        y0 = tile // across % along * SIDE - 0.5 * height
        z0 = tile // (across * along) * SIDE - 0.5 * depth
        for v in range(cuda.threadIdx.x, VOXELS, cuda.blockDim.x):
            x, y, z = f32(x0 + v % SIDE), f32(y0 + v // SIDE % SIDE), f32(z0 + v // (SIDE * SIDE))
            fields[int64(first + cuda.blockIdx.x) * VOXELS + v] = value(x, y, z, numbers, at)

    return kernel


def lowest_kernel() -> Any:
    """The least offset in each of `count` tiles from tile `window` on, whose offsets begin with tile `first` of
    `fields`; nothing is known where one is no number."""

    def kernel(fields: Any, width: Any, height: Any, depth: Any, window: Any, first: Any, count: Any,
               field_low: Any) -> None:
        i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        across, along = tiles_along(width), tiles_along(height)
        if i < count:
            tile = window + i
            x0 = tile % across * SIDE
            y0 = tile // across % along * SIDE
            z0 = tile // (across * along) * SIDE
            lowest = INF
            for v in range(VOXELS):
                x, y, z = x0 + v % SIDE, y0 + v // SIDE % SIDE, z0 + v // (SIDE * SIDE)
                if x < width and y < height and z < depth:
                    offset = fields[int64(first + i) * VOXELS + v]
                    lowest = least(lowest, select(offset == offset, offset, -INF))
            field_low[first + i] = lowest

    return kernel


# Kernels of a formula alone ---------------------------------------------------------------------


def points_kernel(value: Any) -> Any:
    """A field at points."""

    def kernel(x: Any, y: Any, z: Any, count: Any, numbers: Any, out: Any) -> None:
        i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        if i < count:
            out[i] = value(x[i], y[i], z[i], numbers, 0)

    return kernel


def grey_kernel(value: Any) -> Any:
    """A mapper at distances."""

    def kernel(d: Any, count: Any, numbers: Any, out: Any) -> None:
        i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        if i < count:
            out[i] = value(d[i], numbers, 0)

    return kernel


def shade_kernel(value: Any) -> Any:
    """A mapper that sees the point, at points and distances."""

    def kernel(x: Any, y: Any, z: Any, wx: Any, wy: Any, wz: Any, d: Any, count: Any, numbers: Any, out: Any) -> None:
        i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        if i < count:
            out[i] = value(x[i], y[i], z[i], wx[i], wy[i], wz[i], d[i], numbers, 0)

    return kernel
