"""The scanner as it is compiled, see scanner.py. What it means is in `runtime/scanner/tensors.py`, in plain torch.

Each slice is computed by one thread, and each of its voxels by the same operations, so that the number of threads
changes nothing. Products and sums are fused where `blend` says so and nowhere else. Here `Any` is a pointer or a
number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types

from fdif_dsl.compiler.backends.cpu import scanner
from fdif_dsl.compiler.backends.cpu.addresses import float32_at, int64_at, shift, take, uint8_at, uint8_of, uint16_at
from fdif_dsl.compiler.backends.cpu.prelude import (
    ZERO,
    cos,
    exp,
    f32,
    insert_function,
    intrinsic,
    jit,
    select,
    sin,
    sqrt,
    uint8,
)

# No liberties with arithmetic here.
inline: Callable[[Any], Any] = jit(
    error_model="numpy", forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
int32, uint64, float64 = np.int32, np.uint64, np.float64

GROUP = scanner.GROUP
LANES = GROUP // 4
WHITE, HALF, ONE, TWO = f32(128), f32(0.5), f32(1), f32(2)
TURN = f32(2 * np.pi)


@intrinsic
def blend(context: Any, weight: Any, value: Any, total: Any) -> Any:
    """weight · value + total, rounded once where the processor has an instruction for it."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.FloatType(), [ir.FloatType()] * 3)
        return builder.call(insert_function(builder.module, kind, "llvm.fmuladd.f32"), args)

    number = types.float32
    return number(number, number, number), generate


@intrinsic
def bits_of(context: Any, number: Any) -> Any:
    """The bits of a float32, as an int32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(32))

    return types.int32(types.float32), generate


@intrinsic
def number_of(context: Any, bits: Any) -> Any:
    """The float32 with these bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), generate


# Numbers ----------------------------------------------------------------------------------------

LN_2 = f32(np.log(2))
THIRD, FIFTH, SEVENTH, NINTH = f32(1 / 3), f32(1 / 5), f32(1 / 7), f32(1 / 9)
SQRT_HALF, FRACTION = int32(0x3F3504F3), int32(23)  # the bits of sqrt(1/2); bits of a fraction


@inline
def log(x: Any) -> Any:
    """The natural logarithm of a normal positive number m·2^e with m around 1, by ln m = 2 artanh((m - 1)/(m + 1))."""
    bits = bits_of(x)
    exponent = int32(int32(bits - SQRT_HALF) >> FRACTION)
    m = number_of(int32(bits - int32(exponent << FRACTION)))
    s = (m - ONE) / (m + ONE)
    z = s * s
    series = ONE + z * (THIRD + z * (FIFTH + z * (SEVENTH + z * NINTH)))
    return f32(exponent) * LN_2 + TWO * s * series


# Philox4x32-10, as in `runtime/scenes/philox.py`. With signed numbers in it, numba would make floats of a sum.
MULTIPLY_A, MULTIPLY_C = uint64(0xD2511F53), uint64(0xCD9E8D57)
WEYL_LOW, WEYL_HIGH = uint64(0x9E3779B9), uint64(0xBB67AE85)
WORD, BITS = uint64(0xFFFFFFFF), uint64(32)
UNIT = 2.0**-32


@inline
def philox(job: Any, object_: int, block: int) -> Any:
    """The four random words of a block."""
    a, b = uint64(block), uint64(object_)
    c, d = uint64(job[scanner.INDEX_LOW]), uint64(job[scanner.INDEX_HIGH])
    low, high = uint64(job[scanner.KEY_LOW]), uint64(job[scanner.KEY_HIGH])
    for _ in range(10):
        first, second = a * MULTIPLY_A, c * MULTIPLY_C
        a, b, c, d = (second >> BITS) ^ b ^ low, second & WORD, (first >> BITS) ^ d ^ high, first & WORD
        low, high = (low + WEYL_LOW) & WORD, (high + WEYL_HIGH) & WORD
    return a, b, c, d


def draw_uniforms(job: Any, out: Any, object_: int, first: int, last: int) -> None:
    """The uniform random numbers of blocks first <= k < last of an object, four each."""
    for k in range(first, last):
        a, b, c, d = philox(job, object_, k)
        four = shift(out, 4 * (k - first))
        four[0] = (float64(a) + 0.5) * UNIT
        four[1] = (float64(b) + 0.5) * UNIT
        four[2] = (float64(c) + 0.5) * UNIT
        four[3] = (float64(d) + 0.5) * UNIT


DROPPED, STEP = uint64(9), f32(2.0**-23)  # 23 bits and a half are all that a float32 holds


@inline
def unit(word: Any) -> Any:
    """A random word as a number between 0 and 1, neither of them."""
    return (f32(int32(word >> DROPPED)) + HALF) * STEP


@inline
def draw_normals(job: Any, object_: int, block: int, out: Any, memory: Any) -> None:
    """A group of normal random numbers by Box and Muller, from as many blocks as there are lanes: words 0 and 1 of
    block k make numbers k and LANES + k, words 2 and 3 those after. `memory` has room for a group."""
    for k in range(LANES):
        a, b, c, d = philox(job, object_, block + k)
        memory[k] = unit(a)
        memory[LANES + k] = unit(b)
        memory[2 * LANES + k] = unit(c)
        memory[3 * LANES + k] = unit(d)
    for half in range(2):
        given, made = shift(memory, 2 * half * LANES), shift(out, 2 * half * LANES)
        for k in range(LANES):
            radius = sqrt(-TWO * log(given[k]))
            angle = TURN * given[LANES + k]
            made[k] = radius * cos(angle)
            made[LANES + k] = radius * sin(angle)


# Smooth fields ----------------------------------------------------------------------------------


@inline
def field_slice(field: Any, z: int, width: int, height: int, rows: Any, out: Any) -> None:
    """A slice of a field. `rows` has room for its rows."""
    points = field[scanner.ROWS]
    values = shift(float32_at(field[scanner.VALUES]), int64_at(field[scanner.CELL_Z])[z] * points * width)
    after, weight = shift(values, points * width), float32_at(field[scanner.WEIGHT_Z])[z]
    for i in range(points * width):
        rows[i] = values[i] + weight * (after[i] - values[i])
    for y in range(height):
        row = shift(rows, int64_at(field[scanner.CELL_Y])[y] * width)
        next_, weight = shift(row, width), float32_at(field[scanner.WEIGHT_Y])[y]
        line = shift(out, y * width)
        for i in range(width):
            line[i] = row[i] + weight * (next_[i] - row[i])


# Matrices along an axis -------------------------------------------------------------------------


@inline
def weighted_sum(weights: Any, taps: int, values: Any, step: int, count: int, out: Any) -> None:
    """The sum of `taps` lines of `count` numbers, `step` apart, each by its weight; four lines at a time, as what is
    added up has to be read and written each time."""
    for i in range(count):
        out[i] = ZERO
    t = 0
    while t + 4 <= taps:
        a, b, c, d = weights[t], weights[t + 1], weights[t + 2], weights[t + 3]
        first, second = shift(values, t * step), shift(values, (t + 1) * step)
        third, fourth = shift(values, (t + 2) * step), shift(values, (t + 3) * step)
        for i in range(count):
            out[i] = blend(d, fourth[i], blend(c, third[i], blend(b, second[i], blend(a, first[i], out[i]))))
        t += 4
    while t < taps:
        a, first = weights[t], shift(values, t * step)
        for i in range(count):
            out[i] = blend(a, first[i], out[i])
        t += 1


@inline
def mix_lines(matrix: Any, side: int, length: int, values: Any, out: Any) -> None:
    """A matrix times `side` lines of `length` numbers."""
    taps, first = matrix[scanner.TAPS], int64_at(matrix[scanner.FIRST])
    weights = float32_at(matrix[scanner.WEIGHTS])
    for r in range(side):
        weighted_sum(shift(weights, r * taps), taps, shift(values, first[r] * length), length, length,
                     shift(out, r * length))


PATCH = 16  # sides of what is transposed at a time, so that it stays in the first-level cache


@inline
def transpose(values: Any, rows: int, columns: int, out: Any) -> None:
    for r in range(0, rows, PATCH):
        for c in range(0, columns, PATCH):
            for i in range(r, min(r + PATCH, rows)):
                for k in range(c, min(c + PATCH, columns)):
                    out[k * rows + i] = values[i * columns + k]


# The two calls ----------------------------------------------------------------------------------


@inline
def paint(job: Any, number: Any, plane: Any, voxels: int) -> None:
    """Gives each object, and the background, its own grey level."""
    last = job[scanner.PAINTED] - 1
    keep = float32_at(job[scanner.PAINT])
    add = shift(keep, last + 1)
    for i in range(voxels):
        n = min(int(number[i]), last)
        plane[i] = plane[i] * keep[n] + add[n]


@inline
def add_behind(number: Any, texture: Any, plane: Any, voxels: int) -> None:
    """Adds the texture where no object is."""
    for i in range(voxels):
        plane[i] = plane[i] + select(number[i] == 0, texture[i], ZERO)


def compose(job: Any, scratch: Any, numbers: Any) -> None:
    """Slices, as long as there are some that no other thread has taken: grey levels, and matrices along x and y."""
    width, height, depth = job[scanner.WIDTH], job[scanner.HEIGHT], job[scanner.DEPTH]
    voxels, stride = width * height, job[scanner.STRIDE]
    plane, other, third = scratch, shift(scratch, stride), shift(scratch, 2 * stride)
    rows = shift(scratch, 3 * stride)
    along_x, along_y = shift(job, scanner.AXES), shift(job, scanner.AXES + scanner.COLUMNS)
    texture = shift(job, scanner.TEXTURE)
    while True:
        z = take(shift(job, scanner.NEXT), 1)
        if z >= depth:
            break
        image = shift(uint8_at(job[scanner.IMAGE]), z * voxels)
        narrow, wide = uint8_at(job[scanner.NUMBER]), uint16_at(job[scanner.NUMBER])
        for i in range(voxels):
            plane[i] = f32(image[i])
        if job[scanner.PAINT] != 0:
            if job[scanner.WIDE_NUMBER] != 0:
                paint(job, shift(wide, z * voxels), plane, voxels)
            else:
                paint(job, shift(narrow, z * voxels), plane, voxels)
        if texture[scanner.VALUES] != 0:
            field_slice(texture, z, width, height, rows, other)
            if job[scanner.WIDE_NUMBER] != 0:
                add_behind(shift(wide, z * voxels), other, plane, voxels)
            else:
                add_behind(shift(narrow, z * voxels), other, plane, voxels)
        inverted = numbers[scanner.INVERT] != 0
        for i in range(voxels):
            x = plane[i]
            x = select(x > ZERO, x, ZERO)
            x = select(x < WHITE, x, WHITE)
            plane[i] = select(inverted, WHITE - x, x)
        out = shift(float32_at(job[scanner.PLANES]), z * stride)
        if along_x[scanner.WEIGHTS] != 0:
            transpose(plane, height, width, other)
            mix_lines(along_x, width, height, other, third)
            transpose(third, width, height, plane)
        if along_y[scanner.WEIGHTS] != 0:
            mix_lines(along_y, height, width, plane, out)
        else:
            for i in range(voxels):
                out[i] = plane[i]


def finish(job: Any, scratch: Any, numbers: Any) -> None:
    """Slices, as long as there are some that no other thread has taken: the matrix along z, bias, noise and gamma."""
    width, height, depth = job[scanner.WIDTH], job[scanner.HEIGHT], job[scanner.DEPTH]
    voxels, stride = width * height, job[scanner.STRIDE]
    gain, rows = scratch, shift(scratch, 3 * stride)
    memory = shift(rows, shift(job, scanner.BIAS)[scanner.ROWS] * width)
    value, one, two = memory, shift(memory, GROUP), shift(memory, 2 * GROUP)
    drawn = shift(memory, 3 * GROUP)
    bytes_ = uint8_of(shift(memory, 4 * GROUP))
    along_z, bias = shift(job, scanner.AXES + 2 * scanner.COLUMNS), shift(job, scanner.BIAS)
    taps = along_z[scanner.TAPS]
    gaussian, rician, gamma = f32(numbers[scanner.GAUSSIAN]), f32(numbers[scanner.RICIAN]), f32(numbers[scanner.GAMMA])
    groups = stride // GROUP
    while True:
        z = take(shift(job, scanner.NEXT + 1), 1)
        if z >= depth:
            break
        if bias[scanner.VALUES] != 0:
            field_slice(bias, z, width, height, rows, gain)
        for g in range(groups):
            planes = shift(float32_at(job[scanner.PLANES]), g * GROUP)
            if along_z[scanner.WEIGHTS] != 0:
                weighted_sum(shift(float32_at(along_z[scanner.WEIGHTS]), z * taps), taps,
                             shift(planes, int64_at(along_z[scanner.FIRST])[z] * stride), stride, GROUP, value)
            else:
                plane = shift(planes, z * stride)
                for i in range(GROUP):
                    value[i] = plane[i]
            if bias[scanner.VALUES] != 0:
                its = shift(gain, g * GROUP)
                for i in range(GROUP):
                    value[i] = value[i] * its[i]
            place = z * groups + g
            if gaussian != ZERO:
                draw_normals(job, scanner.GAUSSIAN_NOISE, place * LANES, one, drawn)
                for i in range(GROUP):
                    value[i] = value[i] + gaussian * one[i]
            if rician != ZERO:
                draw_normals(job, scanner.RICIAN_NOISE, 2 * place * LANES, one, drawn)
                draw_normals(job, scanner.RICIAN_NOISE, (2 * place + 1) * LANES, two, drawn)
                for i in range(GROUP):
                    real, imaginary = value[i] + rician * one[i], rician * two[i]
                    value[i] = sqrt(real * real + imaginary * imaginary)
            for i in range(GROUP):
                x = value[i]
                x = select(x > ZERO, x, ZERO)
                value[i] = select(x < WHITE, x, WHITE)
            if gamma != ONE:
                for i in range(GROUP):
                    x = value[i] / WHITE
                    value[i] = select(x > ZERO, WHITE * exp(gamma * log(x)), ZERO)
            for i in range(GROUP):
                bytes_[i] = uint8(value[i] + HALF)
            out = shift(uint8_at(job[scanner.OUT]), z * voxels + g * GROUP)
            for i in range(min(GROUP, voxels - g * GROUP)):
                out[i] = bytes_[i]
