"""The scene driver as it is compiled: plain functions over addresses, see layout.py.

A tile is some rows of one plane, the same whatever the number of threads, so that every voxel is
computed by the same instructions however the planes are shared out. Here `Any` is a pointer.
"""

from __future__ import annotations

from typing import Any

from fdif_dsl.compiler.backends.cpu import layout
from fdif_dsl.compiler.backends.cpu.addresses import (
    call_mapper,
    call_points,
    float32_at,
    float64_at,
    int64_at,
    shift,
    uint8_at,
    uint16_at,
    uint32_at,
)
from fdif_dsl.compiler.backends.cpu.prelude import INF, ZERO, f32, inline, least, select, uint8, uint16, uint32

WHITE = f32(128)


@inline
def world_row(width: int, out: Any) -> None:
    """World x of the voxels of a row."""
    for i in range(width):
        out[i] = f32(i - width * 0.5)


@inline
def coordinate(inverse: Any, k: int, xs: Any, width: int, y: float, rows: int, z: float, out: Any) -> None:
    """One object coordinate of the voxels of a tile that begins at world (y, z): row k of the matrix. The
    row's own part is summed in float64; the steps along it are small, since x = 0 is its middle."""
    step = f32(inverse[4 * k])
    for r in range(rows):
        start = f32(inverse[4 * k + 1] * (y + r) + inverse[4 * k + 2] * z + inverse[4 * k + 3])
        row = shift(out, r * width)
        for i in range(width):
            row[i] = start + step * xs[i]


def render_planes(table: Any, first: int, last: int, scratch: Any) -> None:
    """Planes first <= z < last of the image, the inside bits and the counts."""
    width, height, rows, objects = table[layout.WIDTH], table[layout.HEIGHT], table[layout.ROWS], table[layout.OBJECTS]
    words = (objects + layout.BITS - 1) // layout.BITS
    tiles_of_plane = (height + rows - 1) // rows
    tile = rows * width
    px, py, pz = scratch, shift(scratch, tile), shift(scratch, 2 * tile)
    distance, value, total = shift(scratch, 3 * tile), shift(scratch, 4 * tile), shift(scratch, 5 * tile)
    xs = shift(scratch, 6 * tile)
    world_row(width, xs)
    for plane in range(first, last):
        z = plane - table[layout.DEPTH] * 0.5
        for t in range(tiles_of_plane):
            row = t * rows
            here = min(rows, height - row)
            n = here * width
            voxel = (plane * height + row) * width
            y = row - height * 0.5
            counts = shift(int64_at(table[layout.COUNTS]), (plane * tiles_of_plane + t) * objects)
            for i in range(n):
                total[i] = ZERO
            for k in range(objects):
                object_ = shift(table, layout.HEADER + k * layout.COLUMNS)
                inverse = shift(float64_at(table[layout.INVERSES]), 12 * k)
                coordinate(inverse, 0, xs, width, y, here, z, px)
                coordinate(inverse, 1, xs, width, y, here, z, py)
                coordinate(inverse, 2, xs, width, y, here, z, pz)
                call_points(object_[layout.SHAPE], px, py, pz, float32_at(object_[layout.SHAPE_VALUES]), distance, n)
                if object_[layout.ROW] != 0:
                    at_z = shift(float32_at(object_[layout.TABLE_Z]), plane * object_[layout.VALUES_Z])
                    for r in range(here):
                        at_y = shift(float32_at(object_[layout.TABLE_Y]), (row + r) * object_[layout.VALUES_Y])
                        call_points(object_[layout.ROW], float32_at(object_[layout.TABLE_X]), at_y, at_z,
                                    float32_at(object_[layout.ROW_VALUES]), shift(distance, r * width), width)
                # A distance that is no number is nowhere: infinitely far away.
                count = 0
                for i in range(n):
                    d = distance[i]
                    distance[i] = select(d == d, d, INF)
                    count += d <= ZERO
                counts[k] = count
                if count != 0:
                    inside = shift(uint32_at(table[layout.INSIDE]), voxel * words + (k // layout.BITS) * n)
                    bit = uint32(1 << (k % layout.BITS))
                    for i in range(n):
                        inside[i] = inside[i] | select(distance[i] <= ZERO, bit, uint32(0))
                if count != 0 or object_[layout.EMPTY_OUTSIDE] == 0:
                    call_mapper(object_[layout.MAPPER], distance, float32_at(object_[layout.MAPPER_VALUES]), value, n)
                    for i in range(n):
                        v = value[i]
                        total[i] = total[i] + select(v == v, v, ZERO)
            image = shift(uint8_at(table[layout.IMAGE]), voxel)
            for i in range(n):
                v = total[i]
                v = select(v > ZERO, v, ZERO)
                image[i] = uint8(select(v < WHITE, v, WHITE))


def label_planes(table: Any, first: int, last: int) -> None:
    """Planes first <= z < last of the labels, from the inside bits: objects in painting order."""
    width, height, rows, objects = table[layout.WIDTH], table[layout.HEIGHT], table[layout.ROWS], table[layout.OBJECTS]
    words = (objects + layout.BITS - 1) // layout.BITS
    tiles_of_plane = (height + rows - 1) // rows
    order = int64_at(table[layout.ORDER])
    for plane in range(first, last):
        for t in range(tiles_of_plane):
            row = t * rows
            n = min(rows, height - row) * width
            voxel = (plane * height + row) * width
            counts = shift(int64_at(table[layout.COUNTS]), (plane * tiles_of_plane + t) * objects)
            label = shift(uint16_at(table[layout.LABEL]), voxel)
            for i in range(n):
                label[i] = uint16(0)
            for j in range(objects):
                k = order[j]
                if counts[k] != 0:
                    inside = shift(uint32_at(table[layout.INSIDE]), voxel * words + (k // layout.BITS) * n)
                    bit = uint32(1 << (k % layout.BITS))
                    class_ = uint16(table[layout.HEADER + k * layout.COLUMNS + layout.CLASS])
                    for i in range(n):
                        label[i] = select((inside[i] & bit) != 0, class_, label[i])


def least_of_planes(table: Any, first: int, last: int, scratch: Any, kernel: int, values: int, inverse: int,
                    out: Any) -> None:
    """The least value of a field over each plane first <= z < last, into `out[z]`. NaN is passed over."""
    width, height, rows = table[layout.WIDTH], table[layout.HEIGHT], table[layout.ROWS]
    tile = rows * width
    px, py, pz = scratch, shift(scratch, tile), shift(scratch, 2 * tile)
    value, lowest = shift(scratch, 3 * tile), shift(scratch, 4 * tile)
    xs = shift(scratch, 6 * tile)
    world_row(width, xs)
    for plane in range(first, last):
        # One minimum for each place in a tile: lanes side by side need no order of reduction.
        for i in range(tile):
            lowest[i] = INF
        for t in range((height + rows - 1) // rows):
            here = min(rows, height - t * rows)
            y, z = t * rows - height * 0.5, plane - table[layout.DEPTH] * 0.5
            coordinate(float64_at(inverse), 0, xs, width, y, here, z, px)
            coordinate(float64_at(inverse), 1, xs, width, y, here, z, py)
            coordinate(float64_at(inverse), 2, xs, width, y, here, z, pz)
            call_points(kernel, px, py, pz, float32_at(values), value, here * width)
            for i in range(here * width):
                lowest[i] = least(lowest[i], value[i])
        result = INF
        for i in range(tile):
            result = least(result, lowest[i])
        out[plane] = result
