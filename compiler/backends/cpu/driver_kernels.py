"""The scene driver as it is compiled: plain functions over addresses, see layout.py.

A tile is a small box of voxels, computed at one go. Its voxels lie one after the other, x fastest; a tile that
reaches beyond the grid is computed whole, and what lies beyond is dropped. Every voxel is computed by the
same operations wherever it lies in a tile, so that neither threads nor the size of the tiles nor culling change a bit.
Here `Any` is a pointer.
"""

from __future__ import annotations

from typing import Any

from fdif_dsl.compiler.backends.cpu import addresses, layout
from fdif_dsl.compiler.backends.cpu.addresses import (
    call_bounds,
    call_mapper,
    call_points,
    call_range,
    call_scalars,
    cycles,
    float32_at,
    float64_at,
    float64_of,
    fma64,
    inside_word,
    int32_at,
    int64_at,
    int64_of,
    paint_word,
    shift,
    take,
    uint8_at,
    uint8_of,
    uint16_at,
    uint16_of,
    uint64_at,
)
from fdif_dsl.compiler.backends.cpu.prelude import (
    INF,
    ZERO,
    f32,
    fma,
    inline,
    least,
    most,
    select,
    uint8,
    uint64,
)

SIDES = layout.TILE
MEASURED = False
X, Y, Z = SIDES
LINES = Y * Z
VOXELS = X * Y * Z
# A displacement that is dear is computed for the voxels of some runs along x, in whole groups: its loop of vectors has
# no rest then, which would go one voxel at a time.
RUN = X // 2 if X % 2 == 0 else X
RUNS = VOXELS // RUN
GROUP = 16
copy_line, fill_line, ramp_line = addresses.copy_line(X), addresses.fill_line(X), addresses.ramp_line(X)
copy_run, fill_run, ramp_run = addresses.copy_line(RUN), addresses.fill_line(RUN), addresses.ramp_line(RUN)
# A tile whose sides are even is drawn by eighths, where an object can be in some of them only.
DIVIDED = X % 2 == 0 and Y % 2 == 0 and Z % 2 == 0
QUARTERED = X % 4 == 0 and Y % 4 == 0 and Z % 4 == 0
WHOLE = 255  # all eighths
MOST_EIGHTHS = 6  # drawn on their own; of more, the tile is drawn at one go
UNLIKELY = f32(5)  # eighths are looked at where the bounds of a tile reach so many times as far outside as inside
BITS = layout.BITS
WORDS = (VOXELS + BITS - 1) // BITS
FILLED = WORDS * BITS  # voxels of a tile, filled up to whole words: what is beyond the tile is outside
# Float32 numbers of what a tile knows of its place: x of a line, a number for each line, minus infinity or
# infinity for each voxel on or beyond the grid, and as float64 y and z of each line.
PLACE = X + LINES + VOXELS + 4 * LINES
CHUNK = layout.CHUNK
POINTS = max(VOXELS, CHUNK)  # that are looked at in one go for the least value of a field
COARSEST = layout.LEVELS[0]
WHITE = f32(128)
# A margin around boxes in object coordinates, relative to the largest sum of magnitudes: more than float32 rounds.
ROUNDING = 1e-6
SMALL = layout.LARGEST
LEAST_POSITIVE = 2.0**-149  # of float32
# Grey levels: what is known so closely, along a run or all over a tile, is rarely needed better.
FAINT, FAINT_TILE = f32(0.25), f32(0.06)
KNOWN, MOVED, UNKNOWN = 0, 1, 2  # what a tile knows of an object: its grey levels; distances before displacement; none
ALL = 2**64 - 1  # bits of a word
PACK = 1 << 16  # box positions are three numbers below this in one


# Coordinates ------------------------------------------------------------------------------------


@inline
def line_start(inverse: Any, k: int, y: float, z: float) -> Any:
    """Object coordinate k at world (0, y, z). In float64; the steps from there along x are small."""
    return f32(fma64(inverse[4 * k + 1], y, fma64(inverse[4 * k + 2], z, inverse[4 * k + 3])))


@inline
def place_tile(table: Any, tx: int, ty: int, tz: int, place: Any) -> bool:
    """World coordinates of a tile, into `place`, see PLACE; whether it reaches beyond the grid."""
    width, height, depth = table[layout.WIDTH], table[layout.HEIGHT], table[layout.DEPTH]
    xs, beyond = place, shift(place, X + LINES)
    world = shift(place, X + LINES + VOXELS)
    ys, zs = float64_of(world), shift(float64_of(world), LINES)
    for i in range(X):
        xs[i] = f32(tx * X + i - 0.5 * width)
    for r in range(LINES):
        ys[r] = ty * Y + r % Y - 0.5 * height
        zs[r] = tz * Z + r // Y - 0.5 * depth
    if (tx + 1) * X <= width and (ty + 1) * Y <= height and (tz + 1) * Z <= depth:
        return False
    for r in range(LINES):
        outside = ty * Y + r % Y >= height or tz * Z + r // Y >= depth
        for i in range(X):
            beyond[r * X + i] = INF if outside or tx * X + i >= width else -INF
    return True


@inline
def start_lines(inverse: Any, k: int, place: Any) -> None:
    """Object coordinate k at x = 0 of each line of a tile, into its `place`."""
    starts, world = shift(place, X), shift(place, X + LINES + VOXELS)
    ys, zs = float64_of(world), shift(float64_of(world), LINES)
    b, c, d = inverse[4 * k + 1], inverse[4 * k + 2], inverse[4 * k + 3]
    for r in range(LINES):
        starts[r] = f32(fma64(b, ys[r], fma64(c, zs[r], d)))


@inline
def coordinate(inverse: Any, k: int, place: Any, out: Any) -> None:
    """Object coordinate k of the voxels of a tile."""
    xs, starts, step = place, shift(place, X), f32(inverse[4 * k])
    start_lines(inverse, k, place)
    for r in range(LINES):
        ramp_line(shift(out, r * X), starts[r], step, xs)


@inline
def coordinate_of_runs(inverse: Any, k: int, place: Any, runs: Any, count: int, out: Any) -> None:
    """The same for the voxels of some runs, one run after the other."""
    xs, starts, step = place, shift(place, X), f32(inverse[4 * k])
    start_lines(inverse, k, place)
    for j in range(count):
        first = runs[j] * RUN
        ramp_run(shift(out, j * RUN), starts[first // X], step, shift(xs, first % X))


@inline
def runs_of_eighths(bits: int, runs: Any) -> int:
    """The runs of those eighths of a tile whose bits are set, into `runs`, and how many; all of them, of which none is
    written, where as good as all bits are set."""
    count = 0
    for e in range(8):
        count += (bits >> e) & 1
    if count > MOST_EIGHTHS:
        return RUNS
    count = 0
    for e in range(8):
        if (bits >> e) & 1:
            first = ((e >> 2) * (Z // 2) * Y + ((e >> 1) & 1) * (Y // 2)) * 2 + (e & 1)
            for r in range(LINES // 4):
                runs[count] = first + (r // (Y // 2) * Y + r % (Y // 2)) * 2
                count += 1
    return count


@inline
def world_coordinates(place: Any, wx: Any, wy: Any, wz: Any) -> None:
    """World coordinates of the voxels of a tile."""
    world = shift(place, X + LINES + VOXELS)
    ys, zs = float64_of(world), shift(float64_of(world), LINES)
    for r in range(LINES):
        copy_line(shift(wx, r * X), place)
        fill_line(shift(wy, r * X), f32(ys[r]))
        fill_line(shift(wz, r * X), f32(zs[r]))


@inline
def blank(place: Any, values: Any) -> None:
    """Infinity for the voxels of a tile that lie beyond the grid."""
    beyond = shift(place, X + LINES)
    for i in range(VOXELS):
        values[i] = most(values[i], beyond[i])


# Numbers of an object ---------------------------------------------------------------------------


def run_scalars(tasks: Any, first: int, last: int) -> None:
    """Calls first <= t < last of scalar kernels."""
    for t in range(first, last):
        task = shift(tasks, t * layout.SCALAR_COLUMNS)
        results, rounded = float64_at(task[layout.RESULTS]), float32_at(task[layout.ROUNDED])
        call_scalars(task[layout.SCALAR], float64_at(task[layout.GIVEN]), results)
        for i in range(task[layout.ROUNDED_COUNT]):
            rounded[i] = f32(results[i])


# Boxes ------------------------------------------------------------------------------------------


@inline
def coarsest_boxes(table: Any, boxes: Any) -> int:
    """Fill the list with the boxes of the first level; their number."""
    count = 0
    for z in range(0, table[layout.TILES_Z], COARSEST):
        for y in range(0, table[layout.TILES_Y], COARSEST):
            for x in range(0, table[layout.TILES_X], COARSEST):
                boxes[count] = (z * PACK + y) * PACK + x
                count += 1
    return count


@inline
def push_children(table: Any, box: int, side: int, boxes: Any, count: int) -> int:
    """Add the boxes of side `side` / 2 that a box is made of; the new length of the list."""
    half = side // 2
    for child in range(8):
        x = box % PACK + half * (child & 1)
        y = box // PACK % PACK + half * ((child >> 1) & 1)
        z = box // (PACK * PACK) + half * (child >> 2)
        if x < table[layout.TILES_X] and y < table[layout.TILES_Y] and z < table[layout.TILES_Z]:
            boxes[count] = (z * PACK + y) * PACK + x
            count += 1
    return count


@inline
def part_of(box: int, eighth: int) -> int:
    """An eighth of a box, in halves of what the box's place is in."""
    x, y, z = box % PACK, box // PACK % PACK, box // (PACK * PACK)
    return ((2 * z + (eighth >> 2)) * PACK + 2 * y + ((eighth >> 1) & 1)) * PACK + 2 * x + (eighth & 1)


@inline
def is_on_grid(table: Any, box: int, parts: int) -> Any:
    """Whether a box whose place is in so many parts of a tile's sides has a voxel of the grid."""
    return (box % PACK * X < parts * table[layout.WIDTH] and box // PACK % PACK * Y < parts * table[layout.HEIGHT]
            and box // (PACK * PACK) * Z < parts * table[layout.DEPTH])


@inline
def bounds_of_boxes(table: Any, kernel: int, values: int, inverse: Any, parts: int, side: int, boxes: Any, n: int,
                    scratch: Any) -> None:
    """Lower and upper bounds of a field over n boxes, into the first two rows of CHUNK numbers of `scratch`. Places and
    `side` of the boxes are in `parts` of a tile's sides: 1, 2 or 4 of them make one."""
    low, high = scratch, shift(scratch, CHUNK)
    for k in range(3):
        a, b, c, d = inverse[4 * k], inverse[4 * k + 1], inverse[4 * k + 2], inverse[4 * k + 3]
        width, height, depth = table[layout.WIDTH], table[layout.HEIGHT], table[layout.DEPTH]
        margin = ROUNDING * 0.5 * (abs(a) * width + abs(b) * height + abs(c) * depth + 2 * abs(d))
        lows, highs = shift(scratch, (2 + 2 * k) * CHUNK), shift(scratch, (3 + 2 * k) * CHUNK)
        for j in range(n):
            box = boxes[j]
            x, y, z = box % PACK * X // parts, box // PACK % PACK * Y // parts, box // (PACK * PACK) * Z // parts
            # Half the way from the first voxel of the box to its last.
            half_x = 0.5 * (min(side * X // parts, width - x) - 1)
            half_y = 0.5 * (min(side * Y // parts, height - y) - 1)
            half_z = 0.5 * (min(side * Z // parts, depth - z) - 1)
            middle = (a * (x - 0.5 * width + half_x) + b * (y - 0.5 * height + half_y)
                      + c * (z - 0.5 * depth + half_z) + d)
            reach = abs(a) * half_x + abs(b) * half_y + abs(c) * half_z + margin
            lows[j], highs[j] = f32(middle - reach), f32(middle + reach)
    call_bounds(kernel, shift(scratch, 2 * CHUNK), shift(scratch, 3 * CHUNK), shift(scratch, 4 * CHUNK),
                shift(scratch, 5 * CHUNK), shift(scratch, 6 * CHUNK), shift(scratch, 7 * CHUNK),
                float32_at(values), low, high, n)


@inline
def world_of_boxes(table: Any, parts: int, side: int, boxes: Any, n: int, ends: Any) -> None:
    """The least and the greatest world coordinates of n boxes, in six rows of CHUNK numbers."""
    width, height, depth = table[layout.WIDTH], table[layout.HEIGHT], table[layout.DEPTH]
    for j in range(n):
        box = boxes[j]
        x, y, z = box % PACK * X // parts, box // PACK % PACK * Y // parts, box // (PACK * PACK) * Z // parts
        ends[j], ends[CHUNK + j] = f32(x - 0.5 * width), f32(min(x + side * X // parts, width) - 1 - 0.5 * width)
        ends[2 * CHUNK + j] = f32(y - 0.5 * height)
        ends[3 * CHUNK + j] = f32(min(y + side * Y // parts, height) - 1 - 0.5 * height)
        ends[4 * CHUNK + j] = f32(z - 0.5 * depth)
        ends[5 * CHUNK + j] = f32(min(z + side * Z // parts, depth) - 1 - 0.5 * depth)


@inline
def are_small(values: Any, count: int) -> bool:
    """Whether what a kernel reads is of a magnitude for which bounds hold."""
    small = True
    for i in range(count):
        small = small and abs(values[i]) <= SMALL  # NaN is not
    return small


@inline
def is_small(table: Any, inverse: Any, values: Any, count: int) -> bool:
    """Whether what a points kernel reads, and every object coordinate of the grid, is of a magnitude for which bounds
    hold."""
    if not are_small(values, count):
        return False
    for k in range(3):
        sum_ = (abs(inverse[4 * k]) * table[layout.WIDTH] + abs(inverse[4 * k + 1]) * table[layout.HEIGHT]
                + abs(inverse[4 * k + 2]) * table[layout.DEPTH] + abs(inverse[4 * k + 3]))
        if not sum_ <= SMALL:
            return False
    return True


@inline
def is_endless(object_: Any) -> Any:
    """Whether an object shines all over any grid, by its distance alone, and bounds of its grey level are known."""
    return (object_[layout.RANGE] != 0 and object_[layout.SEES] == 0
            and float64_at(object_[layout.LIMITS])[0] > SMALL)


@inline
def bound_object(table: Any, object_: Any, inverse: Any, parts: int, side: int, level_start: int, across: int,
                 along: int, boxes: Any, n: int, grey: bool, scratch: Any) -> None:
    """Bounds of an object's distance over n boxes, into the fifteenth and the next row of `scratch`; and where `grey`,
    those of its grey level into the two rows after. What is known of a displacement that all objects share begins at
    `level_start`, for boxes of this size or else for tiles."""
    lows, highs = shift(scratch, 14 * CHUNK), shift(scratch, 15 * CHUNK)
    displaced = object_[layout.COORDINATES] != 0
    bounds_of_boxes(table, object_[layout.BOUNDS], object_[layout.BOUNDS_VALUES], inverse, parts, side, boxes, n,
                    scratch)
    for j in range(n):
        lows[j], highs[j] = scratch[j], scratch[CHUNK + j]
    if object_[layout.OFFSET_LOW] != 0:
        of = side * parts
        for j in range(n):
            x, y, z = boxes[j] % PACK, boxes[j] // PACK % PACK, boxes[j] // (PACK * PACK)
            place = level_start + (z // of * along + y // of) * across + x // of
            lows[j] += float32_at(object_[layout.OFFSET_LOW])[place]
            highs[j] += float32_at(object_[layout.OFFSET_HIGH])[place]
    if displaced or object_[layout.OWN] != 0:
        world_of_boxes(table, parts, side, boxes, n, shift(scratch, 8 * CHUNK))
    if displaced:
        add_offsets(object_, scratch, lows, highs, n)
        if side == 1 and parts == 1 and object_[layout.REACH] != 0:
            for j in range(n):
                x, y, z = boxes[j] % PACK, boxes[j] // PACK % PACK, boxes[j] // (PACK * PACK)
                place = (z * table[layout.TILES_Y] + y) * table[layout.TILES_X] + x
                float32_at(object_[layout.REACH])[place] = scratch[16 * CHUNK + j]
                float32_at(object_[layout.REACH_HIGH])[place] = scratch[17 * CHUNK + j]
    if grey:  # the rows from the third to `highs` are what a range kernel is given
        call_range(object_[layout.RANGE], shift(scratch, 2 * CHUNK), float32_at(object_[layout.RANGE_VALUES]),
                   shift(scratch, 16 * CHUNK), shift(scratch, 17 * CHUNK), CHUNK)


def cull_objects(table: Any, scratch: Any, lists: Any) -> None:
    """Which tiles need drawing, for one object after the other that no other thread has taken. `scratch` holds
    18 CHUNK numbers, `lists` two lists of as many boxes as there are tiles, and CHUNK boxes."""
    objects = table[layout.OBJECTS]
    tiles_x, tiles_y, tiles_z = table[layout.TILES_X], table[layout.TILES_Y], table[layout.TILES_Z]
    tiles = tiles_x * tiles_y * tiles_z
    state, eighths = uint8_at(table[layout.STATE]), uint8_at(table[layout.EIGHTHS])
    while True:
        k = take(shift(table, layout.CULLING), 1)
        if k >= objects:
            break
        object_ = shift(table, layout.HEADER + k * layout.COLUMNS)
        inverse = shift(float64_at(table[layout.INVERSES]), 12 * k)
        own, displaced = object_[layout.OWN] != 0, object_[layout.COORDINATES] != 0
        if displaced:
            make_tables(table, object_)
        limits = float64_at(object_[layout.LIMITS])
        shines = is_endless(object_)
        bounded = object_[layout.BOUNDS] != 0 and is_small(
            table, inverse, float32_at(object_[layout.SHAPE_VALUES]), object_[layout.SHAPE_COUNT])
        if bounded and displaced:
            bounded = are_small(float32_at(object_[layout.TABLE_VALUES]), object_[layout.OWN_COUNT])
        if bounded and own:
            bounded = are_small(float32_at(object_[layout.MAPPER_VALUES]), object_[layout.MAPPER_COUNT])
        if not bounded:
            if own:
                limits[0] = INF
            for t in range(tiles):
                state[t * objects + k] = uint8(layout.VISIT)
                eighths[t * objects + k] = uint8(WHOLE)
            continue
        empty_from, constant_to = limits[0], limits[1]
        lows, highs = shift(scratch, 14 * CHUNK), shift(scratch, 15 * CHUNK)
        boxes, children = lists, shift(lists, tiles)
        count = coarsest_boxes(table, boxes)
        side = COARSEST
        level_start = finest = 0
        while side >= 1:
            across, along = (tiles_x + side - 1) // side, (tiles_y + side - 1) // side
            ahead = 0
            for start in range(0, count, CHUNK):
                n = min(CHUNK, count - start)
                bound_object(table, object_, inverse, 1, side, level_start, across, along, shift(boxes, start), n,
                             own or (shines and side == 1), scratch)
                for j in range(n):
                    box = boxes[start + j]
                    low, high = lows[j], highs[j]
                    x, y, z = box % PACK, box // PACK % PACK, box // (PACK * PACK)
                    empty = low > ZERO and low >= empty_from
                    # Where one end is infinite there may be NaN, which is outside.
                    full = high <= constant_to and low > -INF
                    if own and scratch[16 * CHUNK + j] == scratch[17 * CHUNK + j]:
                        grey = scratch[16 * CHUNK + j]
                        empty = empty or (low > ZERO and grey == ZERO)
                        if high <= ZERO and low > -INF and abs(grey) < INF:
                            if limits[2] != limits[2]:
                                limits[2] = grey
                            full = limits[2] == grey
                    if empty:
                        continue
                    dim, bright = scratch[16 * CHUNK + j], scratch[17 * CHUNK + j]
                    if side == 1 and shines and low > ZERO and bright - dim <= FAINT_TILE:
                        place = ((z * tiles_y + y) * tiles_x + x) * objects + k
                        state[place] = uint8(layout.FAINT)
                        float32_at(table[layout.DIM])[place] = dim
                        float32_at(table[layout.BRIGHT])[place] = bright
                    elif full or side == 1:
                        if DIVIDED and not full and not shines and UNLIKELY * low + high > ZERO:
                            children[ahead] = box
                            ahead += 1
                        for w in range(z, min(z + side, tiles_z)):
                            for v in range(y, min(y + side, tiles_y)):
                                for u in range(x, min(x + side, tiles_x)):
                                    place = ((w * tiles_y + v) * tiles_x + u) * objects + k
                                    state[place] = uint8(layout.FILL if full else layout.VISIT)
                                    eighths[place] = uint8(WHOLE)
                    else:
                        ahead = push_children(table, box, side, children, ahead)
            finest = level_start
            level_start += across * along * ((tiles_z + side - 1) // side)
            boxes, children, count = children, boxes, ahead
            side //= 2
        if DIVIDED:
            cull_eighths(table, k, boxes, count, shift(lists, 2 * tiles), finest, scratch)


@inline
def cull_eighths(table: Any, k: int, tiles: Any, count: int, boxes: Any, finest: int, scratch: Any) -> None:
    """Which eighths of some tiles need drawing, for one object. Bounds of what all objects share, which are known of
    whole tiles, begin at `finest`; `boxes` has room for CHUNK."""
    object_ = shift(table, layout.HEADER + k * layout.COLUMNS)
    inverse = shift(float64_at(table[layout.INVERSES]), 12 * k)
    tiles_x, tiles_y, objects = table[layout.TILES_X], table[layout.TILES_Y], table[layout.OBJECTS]
    state, eighths = uint8_at(table[layout.STATE]), uint8_at(table[layout.EIGHTHS])
    own = object_[layout.OWN] != 0
    empty_from = float64_at(object_[layout.LIMITS])[0]
    lows = shift(scratch, 14 * CHUNK)
    at_once = CHUNK // 8
    for start in range(0, count, at_once):
        n = 8 * min(at_once, count - start)
        for j in range(n):
            boxes[j] = part_of(tiles[start + j // 8], j % 8)
        bound_object(table, object_, inverse, 2, 1, finest, tiles_x, tiles_y, boxes, n, own, scratch)
        for i in range(n // 8):
            tile = tiles[start + i]
            t = (tile // (PACK * PACK) * tiles_y + tile // PACK % PACK) * tiles_x + tile % PACK
            bits = 0
            for e in range(8):
                j = 8 * i + e
                dark = own and scratch[16 * CHUNK + j] == ZERO and scratch[17 * CHUNK + j] == ZERO
                empty = lows[j] > ZERO and (dark or lows[j] >= empty_from)
                if not empty and is_on_grid(table, boxes[j], 2):
                    bits |= 1 << e
            if bits == 0:
                state[t * objects + k] = uint8(layout.SKIP)
            # What a mapper sees of points is that of the whole tile.
            eighths[t * objects + k] = uint8(WHOLE if object_[layout.SEES] != 0 else bits)


@inline
def make_tables(table: Any, object_: Any) -> None:
    """Work out the tables of a displacement with numbers of the object's own."""
    at = float32_at(object_[layout.COORDINATES])
    for axis in range(3):
        if object_[layout.AXIS_X + axis] != 0:
            side = table[layout.WIDTH + axis]
            count = table[layout.TILES_X + axis] * SIDES[axis]
            for i in range(count):
                at[i] = f32(i - 0.5 * side)
            call_mapper(object_[layout.AXIS_X + axis], at, float32_at(object_[layout.AXIS_VALUES_X + axis]),
                        float32_at(object_[layout.TABLE_X + axis]), count)


@inline
def add_offsets(object_: Any, scratch: Any, lows: Any, highs: Any, n: int) -> None:
    """Displace the bounds of n boxes, whose ends in the world begin with the ninth row of `scratch`."""
    low, high = shift(scratch, 16 * CHUNK), shift(scratch, 17 * CHUNK)
    call_bounds(object_[layout.OFFSET_BOUNDS], shift(scratch, 8 * CHUNK), shift(scratch, 9 * CHUNK),
                shift(scratch, 10 * CHUNK), shift(scratch, 11 * CHUNK), shift(scratch, 12 * CHUNK),
                shift(scratch, 13 * CHUNK), float32_at(object_[layout.OFFSET_BOUNDS_VALUES]), low, high, n)
    for j in range(n):
        lows[j] += low[j]
        highs[j] += high[j]


# The least value of a field ---------------------------------------------------------------------


@inline
def field_in_tile(table: Any, task: Any, box: int, scratch: Any) -> Any:
    """The least value of a field over the voxels of a tile. NaN is passed over."""
    tx, ty, tz = box % PACK, box // PACK % PACK, box // (PACK * PACK)
    px, py, pz = scratch, shift(scratch, VOXELS), shift(scratch, 2 * VOXELS)
    values, place = shift(scratch, 3 * VOXELS), shift(scratch, 4 * VOXELS)
    inverse = float64_at(task[layout.FIELD_INVERSE])
    partial = place_tile(table, tx, ty, tz, place)
    coordinate(inverse, 0, place, px)
    coordinate(inverse, 1, place, py)
    coordinate(inverse, 2, place, pz)
    call_points(task[layout.FIELD], px, py, pz, float32_at(task[layout.FIELD_VALUES]), values, VOXELS)
    if partial:
        blank(place, values)
    return least_of(values, px, VOXELS, INF)


@inline
def least_of(values: Any, room: Any, n: int, best: Any) -> Any:
    """The least of `best` and n numbers, which do not keep their values; there is as much `room`. NaN is passed
    over."""
    for i in range(n):
        room[i] = least(INF, values[i])
    while n > 1:  # from one place to the other: what goes back to where it comes from would be stored by masks
        half = (n + 1) // 2
        for i in range(n - half):
            values[i] = least(room[i], room[i + half])
        for i in range(n - half, half):
            values[i] = room[i]
        values, room, n = room, values, half
    return least(best, room[0])


@inline
def field_at(table: Any, task: Any, x: int, y: int, z: int, j: int, points: Any) -> None:
    """Coordinates at a voxel, into the j-th place of three rows of POINTS numbers; beyond the grid, those of its last
    voxel."""
    inverse = float64_at(task[layout.FIELD_INVERSE])
    width, height, depth = table[layout.WIDTH], table[layout.HEIGHT], table[layout.DEPTH]
    wx = f32(min(x, width - 1) - 0.5 * width)
    wy, wz = min(y, height - 1) - 0.5 * height, min(z, depth - 1) - 0.5 * depth
    for k in range(3):
        points[k * POINTS + j] = fma(f32(inverse[4 * k]), wx, line_start(inverse, k, wy, wz))


@inline
def field_of(task: Any, points: Any, n: int, best: Any) -> Any:
    """The least of `best` and the field at n points, which `field_at` has placed."""
    values = shift(points, 3 * POINTS)
    call_points(task[layout.FIELD], points, shift(points, POINTS), shift(points, 2 * POINTS),
                float32_at(task[layout.FIELD_VALUES]), values, n)
    return least_of(values, points, n, best)


@inline
def field_in_middles(table: Any, task: Any, parts: int, side: int, boxes: Any, n: int, points: Any, best: Any) -> Any:
    """The least of `best` and the field in the middle of each of n boxes: as low as it gets at least."""
    for j in range(n):
        x, y, z = boxes[j] % PACK, boxes[j] // PACK % PACK, boxes[j] // (PACK * PACK)
        field_at(table, task, (2 * x + side) * X // (2 * parts), (2 * y + side) * Y // (2 * parts),
                 (2 * z + side) * Z // (2 * parts), j, points)
    return field_of(task, points, n, best)


@inline
def boxes_below(table: Any, task: Any, parts: int, side: int, boxes: Any, n: int, best: Any, scratch: Any) -> int:
    """Those of n boxes where the field may be below `best`, into the same list; and how many."""
    bounds_of_boxes(table, task[layout.FIELD_BOUNDS], task[layout.FIELD_BOUNDS_VALUES],
                    float64_at(task[layout.FIELD_INVERSE]), parts, side, boxes, n, scratch)
    count = 0
    for j in range(n):
        if not scratch[j] >= best:
            boxes[count] = boxes[j]
            count += 1
    return count


@inline
def push_parts(table: Any, boxes: Any, first: int, last: int, parts: int, out: Any) -> int:
    """The eighths of boxes first <= j < last, whose sides are `1 / parts` of a tile's; how many lie on the grid."""
    count = 0
    for j in range(first, last):
        for child in range(8):
            box = part_of(boxes[j], child)
            if is_on_grid(table, box, 2 * parts):
                out[count] = box
                count += 1
    return count


@inline
def field_in_parts(table: Any, task: Any, tiles: Any, n: int, halves: Any, best: Any, scratch: Any) -> Any:
    """The least of `best` and the field over n tiles, of which only those eighths of eighths are looked at voxel by
    voxel where it may be below. `halves` has room for two times CHUNK boxes."""
    quarters = shift(halves, CHUNK)
    points = shift(scratch, 12 * CHUNK)
    for i in range(0, n, CHUNK // 8):
        some = push_parts(table, tiles, i, min(i + CHUNK // 8, n), 1, halves)
        best = field_in_middles(table, task, 2, 1, halves, some, points, best)
        some = boxes_below(table, task, 2, 1, halves, some, best, scratch)
        for j in range(0, some, CHUNK // 8):
            few = push_parts(table, halves, j, min(j + CHUNK // 8, some), 2, quarters)
            few = boxes_below(table, task, 4, 1, quarters, few, best, scratch)
            count = 0
            for q in range(few):
                box = quarters[q]
                for v in range(VOXELS // 64):
                    x, y, z = v % (X // 4), v // (X // 4) % (Y // 4), v // (X // 4 * (Y // 4))
                    field_at(table, task, box % PACK * (X // 4) + x, box // PACK % PACK * (Y // 4) + y,
                             box // (PACK * PACK) * (Z // 4) + z, count, points)
                    count += 1
            if count > 0:
                best = field_of(task, points, count, best)
    return best


def least_values(table: Any, scratch: Any, lists: Any, tasks: Any) -> None:
    """The least value of each field over all voxels of the grid, by branch and bound: the very number that looking at
    each voxel would give. `scratch` holds a tile's arrays, `lists` two lists as in `cull_objects`, and two times
    CHUNK boxes."""
    tiles = table[layout.TILES_X] * table[layout.TILES_Y] * table[layout.TILES_Z]
    while True:
        t = take(shift(table, layout.CULLING), 1)
        if t >= table[layout.OBJECTS]:
            break
        task = shift(tasks, t * layout.FIELD_COLUMNS)
        bounded = task[layout.FIELD_BOUNDS] != 0 and is_small(
            table, float64_at(task[layout.FIELD_INVERSE]), float32_at(task[layout.FIELD_VALUES]),
            task[layout.FIELD_COUNT])
        boxes, children, some = lists, shift(lists, tiles), shift(lists, 2 * tiles)
        points = shift(scratch, 12 * CHUNK)
        best = INF
        count = coarsest_boxes(table, boxes)
        side = COARSEST
        while side >= 1:
            ahead = 0
            for start in range(0, count, CHUNK):
                n = min(CHUNK, count - start)
                here = shift(boxes, start)
                best = field_in_middles(table, task, 1, side, here, n, points, best)
                if bounded:
                    n = boxes_below(table, task, 1, side, here, n, best, scratch)
                for j in range(n):
                    if side > 1:
                        ahead = push_children(table, here[j], side, children, ahead)
                    else:
                        children[ahead] = here[j]
                        ahead += 1
            boxes, children, count = children, boxes, ahead
            side //= 2
        # Bounds once more, as `best` has got lower since: a chunk at a time.
        for start in range(0, count, CHUNK):
            n = min(CHUNK, count - start)
            here = shift(boxes, start)
            if bounded:
                n = boxes_below(table, task, 1, 1, here, n, best, scratch)
            if bounded and QUARTERED:
                best = field_in_parts(table, task, here, n, some, best, scratch)
            else:
                for j in range(n):
                    best = least(best, field_in_tile(table, task, here[j], points))
        float32_at(task[layout.FIELD_OUT])[0] = best


# Drawing ----------------------------------------------------------------------------------------


@inline
def spread_tables(object_: Any, tx: int, ty: int, tz: int, spread: Any, width: int, height: int, depth: int) -> None:
    """What a displacement reads of the axes, a number for each voxel of a tile and value."""
    out = spread
    for k in range(object_[layout.VALUES_X]):
        row = shift(float32_at(object_[layout.TABLE_X]), k * width + tx * X)
        for r in range(LINES):
            copy_line(shift(out, r * X), row)
        out = shift(out, VOXELS)
    for k in range(object_[layout.VALUES_Y]):
        row = shift(float32_at(object_[layout.TABLE_Y]), k * height + ty * Y)
        for r in range(LINES):
            fill_line(shift(out, r * X), row[r % Y])
        out = shift(out, VOXELS)
    for k in range(object_[layout.VALUES_Z]):
        row = shift(float32_at(object_[layout.TABLE_Z]), k * depth + tz * Z)
        for r in range(LINES):
            fill_line(shift(out, r * X), row[r // Y])
        out = shift(out, VOXELS)


@inline
def runs_in_reach(distance: Any, low: Any, empty_from: Any, runs: Any) -> int:
    """The runs of a tile with a voxel that the object may reach, or shine at, once displaced by `low` or more: their
    numbers, into `runs`, and how many. Of the others the distance becomes infinity."""
    count = 0
    for r in range(RUNS):
        run = shift(distance, r * RUN)
        runs[count] = r
        reached = False
        for i in range(RUN):
            moved = run[i] + low
            reached |= not (moved > ZERO and moved >= empty_from)  # NaN is not
        if reached:
            count += 1
        else:
            fill_run(run, INF)
    return count


@inline
def runs_not_faint(object_: Any, t: int, distance: Any, kept: Any, runs: Any, rows: Any) -> int:
    """The runs of a tile where the displacement is needed, as `runs_in_reach` has them. Along the others the object is
    outside, and the first two of the `rows` bound its grey levels to within `FAINT`. The distances before displacement
    are kept."""
    low, high = float32_at(object_[layout.REACH])[t], float32_at(object_[layout.REACH_HIGH])[t]
    dim, bright = rows, shift(rows, VOXELS)
    near, far = shift(rows, 2 * VOXELS), shift(rows, 3 * VOXELS)
    for i in range(VOXELS):
        kept[i] = distance[i]
        near[i], far[i] = distance[i] + low, distance[i] + high
    # Of its rows, a mapper that does not see the point reads the thirteenth and the next.
    call_range(object_[layout.RANGE], shift(near, -12 * VOXELS), float32_at(object_[layout.RANGE_VALUES]), dim, bright,
               VOXELS)
    count = 0
    for r in range(RUNS):
        runs[count] = r
        needed = False
        for i in range(r * RUN, r * RUN + RUN):
            needed |= not (near[i] > ZERO and bright[i] - dim[i] <= FAINT)  # NaN is needed
        if needed:
            count += 1
        else:
            fill_run(shift(distance, r * RUN), INF)
    return count


@inline
def whole_groups(chosen: Any, count: int, size: int) -> int:
    """The last of what was chosen again and again, until its voxels, `size` each, are whole groups, or a tile; how many
    there are then."""
    last = chosen[count - 1] if count > 0 else 0
    while count * size % GROUP != 0 and count * size < VOXELS:
        chosen[count] = last
        count += 1
    return count


@inline
def displace_runs(object_: Any, tx: int, ty: int, tz: int, distance: Any, runs: Any, count: int, value: Any,
                  spread: Any, width: int, height: int, depth: int) -> None:
    """Displace some runs of a tile: `value` and `spread` hold what a tile kernel is given of those alone."""
    for j in range(count):
        copy_run(shift(value, j * RUN), shift(distance, runs[j] * RUN))
    out = spread
    for k in range(object_[layout.VALUES_X]):
        row = shift(float32_at(object_[layout.TABLE_X]), k * width + tx * X)
        for j in range(count):
            copy_run(shift(out, j * RUN), shift(row, runs[j] * RUN % X))
        out = shift(out, count * RUN)
    for k in range(object_[layout.VALUES_Y]):
        row = shift(float32_at(object_[layout.TABLE_Y]), k * height + ty * Y)
        for j in range(count):
            fill_run(shift(out, j * RUN), row[runs[j] * RUN // X % Y])
        out = shift(out, count * RUN)
    for k in range(object_[layout.VALUES_Z]):
        row = shift(float32_at(object_[layout.TABLE_Z]), k * depth + tz * Z)
        for j in range(count):
            fill_run(shift(out, j * RUN), row[runs[j] * RUN // (X * Y)])
        out = shift(out, count * RUN)
    call_mapper(object_[layout.TABLES], spread, float32_at(object_[layout.TABLE_VALUES]), value, count * RUN)
    for j in range(count):
        copy_run(shift(distance, runs[j] * RUN), shift(value, j * RUN))


@inline
def displace_voxels(object_: Any, tx: int, ty: int, tz: int, distance: Any, voxels: Any, count: int, value: Any,
                    spread: Any, width: int, height: int, depth: int) -> None:
    """The displaced distances at some voxels of a tile, into `value`; `spread` as for `displace_runs`."""
    for j in range(count):
        value[j] = distance[voxels[j]]
    out = spread
    for k in range(object_[layout.VALUES_X]):
        row = shift(float32_at(object_[layout.TABLE_X]), k * width + tx * X)
        for j in range(count):
            out[j] = row[voxels[j] % X]
        out = shift(out, count)
    for k in range(object_[layout.VALUES_Y]):
        row = shift(float32_at(object_[layout.TABLE_Y]), k * height + ty * Y)
        for j in range(count):
            out[j] = row[voxels[j] // X % Y]
        out = shift(out, count)
    for k in range(object_[layout.VALUES_Z]):
        row = shift(float32_at(object_[layout.TABLE_Z]), k * depth + tz * Z)
        for j in range(count):
            out[j] = row[voxels[j] // (X * Y)]
        out = shift(out, count)
    call_mapper(object_[layout.TABLES], spread, float32_at(object_[layout.TABLE_VALUES]), value, count)


@inline
def byte_of(v: Any) -> Any:
    """A grey level as it is stored."""
    v = select(v > ZERO, v, ZERO)
    return uint8(select(v < WHITE, v, WHITE))


@inline
def doubtful_voxels(total: Any, highest: Any, voxels: Any) -> int:
    """The voxels whose byte depends on which of the two sums is taken, into `voxels`; and how many."""
    doubtful = False
    for i in range(VOXELS):
        doubtful |= byte_of(total[i]) != byte_of(highest[i])
    if not doubtful:
        return 0
    count = 0
    for r in range(LINES):
        doubtful = False
        for i in range(r * X, r * X + X):
            doubtful |= byte_of(total[i]) != byte_of(highest[i])
        if doubtful:
            for i in range(r * X, r * X + X):
                if byte_of(total[i]) != byte_of(highest[i]):
                    voxels[count] = i
                    count += 1
    return count


@inline
def distances_at(table: Any, k: int, place: Any, voxels: Any, count: int, room: Any, out: Any) -> None:
    """The distances of an object, before displacement, at some voxels of a tile, into their places in `out`; `room` is
    of four numbers for each voxel of a tile."""
    object_ = shift(table, layout.HEADER + k * layout.COLUMNS)
    inverse = shift(float64_at(table[layout.INVERSES]), 12 * k)
    world = shift(place, X + LINES + VOXELS)
    ys, zs = float64_of(world), shift(float64_of(world), LINES)
    for axis in range(3):
        along = shift(room, axis * VOXELS)
        for j in range(count):
            line = voxels[j] // X
            along[j] = fma(f32(inverse[4 * axis]), place[voxels[j] % X],
                           line_start(inverse, axis, ys[line], zs[line]))
    found = shift(room, 3 * VOXELS)
    call_points(object_[layout.SHAPE], room, shift(room, VOXELS), shift(room, 2 * VOXELS),
                float32_at(object_[layout.SHAPE_VALUES]), found, count)
    for j in range(count):
        out[voxels[j]] = found[j]


@inline
def add_exactly(table: Any, shown: Any, many: int, t: int, voxels: Any, count: int, place: Any, kept: Any, greys: Any,
                room: Any, spread: Any, total: Any) -> None:
    """The sum of grey levels at some voxels of tile t, the faint ones worked out; `room` as for `distances_at`."""
    tiles_x, tiles_y, tiles_z = table[layout.TILES_X], table[layout.TILES_Y], table[layout.TILES_Z]
    tx, ty, tz = t % tiles_x, t // tiles_x % tiles_y, t // (tiles_x * tiles_y)
    value, of_voxels = room, shift(room, VOXELS)
    for j in range(many):
        k, known = shown[j] // 3, shown[j] % 3
        if known == KNOWN:
            continue
        object_ = shift(table, layout.HEADER + k * layout.COLUMNS)
        distance = shift(kept, k * VOXELS)
        if known == UNKNOWN:
            distances_at(table, k, place, voxels, count, room, distance)
        if object_[layout.OFFSETS] != 0:
            offsets = shift(float32_at(object_[layout.OFFSETS]), t * VOXELS)
            for i in range(count):
                value[i] = distance[voxels[i]] + offsets[voxels[i]]
        elif object_[layout.TABLES] != 0:
            displace_voxels(object_, tx, ty, tz, distance, voxels, count, value, spread, tiles_x * X, tiles_y * Y,
                            tiles_z * Z)
        else:
            for i in range(count):
                value[i] = distance[voxels[i]]
        call_mapper(object_[layout.MAPPER], value, float32_at(object_[layout.MAPPER_VALUES]), of_voxels, count)
        for i in range(count):
            greys[k * VOXELS + voxels[i]] = of_voxels[i]
    for i in range(count):
        sum_ = ZERO
        for j in range(many):
            v = greys[shown[j] // 3 * VOXELS + voxels[i]]
            sum_ = sum_ + select(v == v, v, ZERO)
        total[voxels[i]] = sum_


@inline
def put_tile(table: Any, tx: int, ty: int, tz: int, values: Any, out: Any) -> None:
    """A tile's values into the grid's, but for those that lie beyond it."""
    width, height, depth = table[layout.WIDTH], table[layout.HEIGHT], table[layout.DEPTH]
    wide, high, deep = min(X, width - tx * X), min(Y, height - ty * Y), min(Z, depth - tz * Z)
    for w in range(deep):
        for u in range(high):
            line = shift(out, ((tz * Z + w) * height + ty * Y + u) * width + tx * X)
            row = shift(values, (w * Y + u) * X)
            if wide == X:
                copy_line(line, row)
            else:
                for i in range(wide):
                    line[i] = row[i]


@inline
def draw_tiles(table: Any, first: int, last: int, scratch: Any) -> None:
    """Tiles first <= t < last of the image, the inside bits and the counts."""
    width, height, depth = table[layout.WIDTH], table[layout.HEIGHT], table[layout.DEPTH]
    tiles_x, tiles_y, tiles_z = table[layout.TILES_X], table[layout.TILES_Y], table[layout.TILES_Z]
    objects = table[layout.OBJECTS]
    # The first seven are what a shader is given.
    px, py, pz = scratch, shift(scratch, VOXELS), shift(scratch, 2 * VOXELS)
    wx, wy, wz = shift(scratch, 3 * VOXELS), shift(scratch, 4 * VOXELS), shift(scratch, 5 * VOXELS)
    distance = shift(scratch, 6 * VOXELS)
    total = shift(distance, FILLED)
    # Where objects may be faint, `total` is the least that the sum of grey levels can be, and `highest` the most.
    highest, place = shift(total, VOXELS), shift(total, 2 * VOXELS)
    rows = shift(place, PLACE)
    records = table[layout.KEPT]
    chosen = int64_of(shift(rows, 4 * VOXELS))  # runs, and later voxels
    shown = shift(chosen, VOXELS)
    kept = shift(rows, 4 * VOXELS + 2 * (VOXELS + records))
    greys = shift(kept, records * VOXELS)
    spread = shift(greys, max(records, 1) * VOXELS)
    image = uint8_at(table[layout.IMAGE])
    for t in range(first, last):
        tx, ty, tz = t % tiles_x, t // tiles_x % tiles_y, t // (tiles_x * tiles_y)
        wide, high, deep = min(X, width - tx * X), min(Y, height - ty * Y), min(Z, depth - tz * Z)
        partial = place_tile(table, tx, ty, tz, place)
        counts = shift(int32_at(table[layout.COUNTS]), t * objects)
        state = shift(uint8_at(table[layout.STATE]), t * objects)
        eighths = shift(uint8_at(table[layout.EIGHTHS]), t * objects)
        world_known = False
        apart, many = False, 0
        began = cycles() if MEASURED else 0
        in_kernels = 0
        for i in range(VOXELS):
            total[i] = ZERO
        for k in range(objects):
            todo = state[k]
            if todo == layout.SKIP:
                continue
            object_ = shift(table, layout.HEADER + k * layout.COLUMNS)
            inside = shift(uint64_at(table[layout.INSIDE]), (t * objects + k) * WORDS)
            value = shift(greys, k * VOXELS) if records != 0 else greys
            faint, exact = False, 0
            if todo == layout.FAINT:
                if not apart:
                    apart = True
                    for i in range(VOXELS):
                        highest[i] = total[i]
                dimmest = float32_at(table[layout.DIM])[t * objects + k]
                brightest = float32_at(table[layout.BRIGHT])[t * objects + k]
                for i in range(VOXELS):
                    total[i] = total[i] + dimmest
                    highest[i] = highest[i] + brightest
                shown[many] = 3 * k + UNKNOWN
                many += 1
                continue
            if todo == layout.FILL:
                count = wide * high * deep
                for i in range(WORDS):
                    inside[i] = uint64(ALL)
            else:
                inverse = shift(float64_at(table[layout.INVERSES]), 12 * k)
                some = runs_of_eighths(eighths[k], chosen) if DIVIDED else RUNS
                if some < RUNS:
                    coordinate_of_runs(inverse, 0, place, chosen, some, px)
                    coordinate_of_runs(inverse, 1, place, chosen, some, py)
                    coordinate_of_runs(inverse, 2, place, chosen, some, pz)
                else:
                    coordinate(inverse, 0, place, px)
                    coordinate(inverse, 1, place, py)
                    coordinate(inverse, 2, place, pz)
                before = cycles() if MEASURED else 0
                call_points(object_[layout.SHAPE], px, py, pz, float32_at(object_[layout.SHAPE_VALUES]),
                            value if some < RUNS else distance, some * RUN)
                in_kernels += cycles() - before if MEASURED else 0
                if some < RUNS:
                    for i in range(VOXELS):
                        distance[i] = INF
                    for j in range(some):
                        copy_run(shift(distance, chosen[j] * RUN), shift(value, j * RUN))
                if object_[layout.OFFSETS] != 0:
                    offsets = shift(float32_at(object_[layout.OFFSETS]), t * VOXELS)
                    for i in range(VOXELS):
                        distance[i] = distance[i] + offsets[i]
                elif object_[layout.REACH] != 0:
                    before = cycles() if MEASURED else 0
                    empty_from = f32(float64_at(object_[layout.LIMITS])[0])
                    if is_endless(object_):
                        exact = runs_not_faint(object_, t, distance, shift(kept, k * VOXELS), chosen, rows)
                        faint = exact < RUNS
                    else:
                        exact = runs_in_reach(distance, float32_at(object_[layout.REACH])[t], empty_from, chosen)
                    if exact > 0:
                        displace_runs(object_, tx, ty, tz, distance, chosen, whole_groups(chosen, exact, RUN), value,
                                      spread, tiles_x * X, tiles_y * Y, tiles_z * Z)
                    in_kernels += cycles() - before if MEASURED else 0
                elif object_[layout.TABLES] != 0 and some < RUNS:
                    before = cycles() if MEASURED else 0
                    displace_runs(object_, tx, ty, tz, distance, chosen, some, value, spread, tiles_x * X, tiles_y * Y,
                                  tiles_z * Z)
                    in_kernels += cycles() - before if MEASURED else 0
                elif object_[layout.TABLES] != 0:
                    spread_tables(object_, tx, ty, tz, spread, tiles_x * X, tiles_y * Y, tiles_z * Z)
                    before = cycles() if MEASURED else 0
                    call_mapper(object_[layout.TABLES], spread, float32_at(object_[layout.TABLE_VALUES]), distance,
                                VOXELS)
                    in_kernels += cycles() - before if MEASURED else 0
                if partial:
                    blank(place, distance)
                for i in range(VOXELS, FILLED):
                    distance[i] = INF
                count = 0
                for i in range(WORDS):
                    count += inside_word(shift(distance, i * BITS), shift(inside, i))
            counts[k] = count
            limits = float64_at(object_[layout.LIMITS])
            if todo == layout.FILL:
                grey = f32(limits[2])
                for i in range(VOXELS):
                    value[i] = grey
            elif count == 0 and not limits[0] > LEAST_POSITIVE:
                continue
            else:
                before = cycles() if MEASURED else 0
                if object_[layout.SEES] != 0:
                    if not world_known:
                        world_coordinates(place, wx, wy, wz)
                        world_known = True
                    call_mapper(object_[layout.MAPPER], scratch, float32_at(object_[layout.MAPPER_VALUES]), value,
                                VOXELS)
                else:
                    call_mapper(object_[layout.MAPPER], distance, float32_at(object_[layout.MAPPER_VALUES]), value,
                                VOXELS)
                in_kernels += cycles() - before if MEASURED else 0
            if faint:
                dim, bright = rows, shift(rows, VOXELS)
                for j in range(exact):
                    copy_run(shift(dim, chosen[j] * RUN), shift(value, chosen[j] * RUN))
                    copy_run(shift(bright, chosen[j] * RUN), shift(value, chosen[j] * RUN))
                if not apart:
                    apart = True
                    for i in range(VOXELS):
                        highest[i] = total[i]
                for i in range(VOXELS):
                    v, w = dim[i], bright[i]
                    value[i] = v
                    total[i] = total[i] + select(v == v, v, ZERO)
                    highest[i] = highest[i] + select(w == w, w, ZERO)
            else:
                for i in range(VOXELS):
                    v = value[i]
                    total[i] = total[i] + select(v == v, v, ZERO)
                if apart:
                    for i in range(VOXELS):
                        v = value[i]
                        highest[i] = highest[i] + select(v == v, v, ZERO)
            if records != 0:
                shown[many] = 3 * k + (MOVED if faint else KNOWN)
                many += 1
        if apart:
            count = doubtful_voxels(total, highest, chosen)
            if count > 0:
                before = cycles() if MEASURED else 0
                add_exactly(table, shown, many, t, chosen, whole_groups(chosen, count, 1), place, kept, greys, px,
                            spread, total)
                in_kernels += cycles() - before if MEASURED else 0
        grey_levels = uint8_of(distance)
        for i in range(VOXELS):
            grey_levels[i] = byte_of(total[i])
        put_tile(table, tx, ty, tz, grey_levels, image)
        if MEASURED:
            int64_at(table[layout.CYCLES])[2 * t] = in_kernels
            int64_at(table[layout.CYCLES])[2 * t + 1] = cycles() - began


@inline
def label_tiles(table: Any, first: int, last: int, labels: Any, out: Any) -> None:
    """Tiles first <= t < last of the labels, from the inside bits: objects in painting order. `labels` has room for
    the words of a tile, `out` is the whole grid's."""
    tiles_x, tiles_y = table[layout.TILES_X], table[layout.TILES_Y]
    objects = table[layout.OBJECTS]
    order = int64_at(table[layout.ORDER])
    for t in range(first, last):
        counts = shift(int32_at(table[layout.COUNTS]), t * objects)
        for i in range(VOXELS):
            labels[i] = 0
        for j in range(objects):
            k = order[j]
            if counts[k] != 0:
                inside = shift(uint64_at(table[layout.INSIDE]), (t * objects + k) * WORDS)
                class_ = table[layout.HEADER + k * layout.COLUMNS + layout.CLASS]
                for i in range(WORDS):
                    paint_word(shift(labels, i * BITS), shift(inside, i), class_)
        put_tile(table, t % tiles_x, t // tiles_x % tiles_y, t // (tiles_x * tiles_y), labels, out)


def draw(table: Any, scratch: Any) -> None:
    """Draw tiles as long as there are some that no other thread has taken."""
    tiles = table[layout.TILES_X] * table[layout.TILES_Y] * table[layout.TILES_Z]
    while True:
        first = take(shift(table, layout.DRAWING), layout.TILES_AT_ONCE)
        if first >= tiles:
            break
        draw_tiles(table, first, min(first + layout.TILES_AT_ONCE, tiles), scratch)


def label(table: Any, scratch: Any) -> None:
    """The same for labels."""
    tiles = table[layout.TILES_X] * table[layout.TILES_Y] * table[layout.TILES_Z]
    while True:
        first = take(shift(table, layout.LABELLING), layout.TILES_AT_ONCE)
        if first >= tiles:
            break
        last = min(first + layout.TILES_AT_ONCE, tiles)
        if table[layout.WIDE_LABEL] != 0:
            label_tiles(table, first, last, uint16_of(scratch), uint16_at(table[layout.LABEL]))
        else:
            label_tiles(table, first, last, uint8_of(scratch), uint8_at(table[layout.LABEL]))
