"""The sampler as it is compiled, see sampling.py. What it means in plain Python is in
`runtime/scenes/sampler_definition.py`.

Every number is a function of (seed, volume, object, draw), by Philox4x32-10 as in `runtime/scenes/philox.py`. Here
`Any` is a pointer or a number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fdif_dsl.compiler.backends.cpu import sampling
from fdif_dsl.compiler.backends.cpu.addresses import call_scalars, float64_at, int64_at, shift
from fdif_dsl.compiler.backends.cpu.prelude import jit
from fdif_dsl.compiler.backends.cpu.prelude64 import cos, sin

# No liberties with arithmetic here.
inline: Callable[[Any], Any] = jit(
    error_model="numpy", forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
uint64, float64 = np.uint64, np.float64

# With signed numbers in it, numba would make floats of a sum.
MULTIPLY_A, MULTIPLY_C = uint64(0xD2511F53), uint64(0xCD9E8D57)
WEYL_LOW, WEYL_HIGH = uint64(0x9E3779B9), uint64(0xBB67AE85)
WORD, BITS = uint64(0xFFFFFFFF), uint64(32)
FIRST_BLOCKS = tuple(first // 4 for first in sampling.FIRST_DRAWS.values())
VOLUME = 0xFFFFFFFF  # the object number of what is drawn for a volume as a whole
UNIT = 2.0**-32


@inline
def draw_four(job: Any, object_: int, block: int, out: Any) -> None:
    """The uniform random numbers 4·block to 4·block + 3 of an object."""
    a, b = uint64(block), uint64(object_)
    c, d = uint64(job[sampling.INDEX_LOW]), uint64(job[sampling.INDEX_HIGH])
    low, high = uint64(job[sampling.KEY_LOW]), uint64(job[sampling.KEY_HIGH])
    for _ in range(10):
        first, second = a * MULTIPLY_A, c * MULTIPLY_C
        a, b, c, d = (second >> BITS) ^ b ^ low, second & WORD, (first >> BITS) ^ d ^ high, first & WORD
        low, high = (low + WEYL_LOW) & WORD, (high + WEYL_HIGH) & WORD
    out[0] = (float64(a) + 0.5) * UNIT
    out[1] = (float64(b) + 0.5) * UNIT
    out[2] = (float64(c) + 0.5) * UNIT
    out[3] = (float64(d) + 0.5) * UNIT


@inline
def write_affine(u: Any, numbers: Any, out: Any) -> None:
    """Object-to-world T R S from nine draws: shift, R = Rz Ry Rx, symmetric shear."""
    turn, bend = numbers[sampling.ROTATION], numbers[sampling.SHEAR]
    x, y, z = turn * (2.0 * u[3] - 1.0), turn * (2.0 * u[4] - 1.0), turn * (2.0 * u[5] - 1.0)
    sx, sy, sz, cx, cy, cz = sin(x), sin(y), sin(z), cos(x), cos(y), cos(z)
    a, b, c = bend * (2.0 * u[6] - 1.0), bend * (2.0 * u[7] - 1.0), bend * (2.0 * u[8] - 1.0)
    write_row(cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx, a, b, c, out)
    write_row(sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx, a, b, c, shift(out, 4))
    write_row(-sy, cy * sx, cy * cx, a, b, c, shift(out, 8))
    for k in range(3):
        out[4 * k + 3] = numbers[sampling.TRANSLATE] * (2.0 * u[k] - 1.0) * numbers[sampling.SIZE + k]
        out[12 + k] = 0.0
    out[15] = 1.0


@inline
def write_row(r: float, s: float, t: float, a: float, b: float, c: float, out: Any) -> None:
    """A row (r, s, t) of the rotation times the shear; 0 + -0 is 0, as in a sum."""
    out[0] = 0.0 + r + s * a + t * b
    out[1] = 0.0 + r * a + s + t * c
    out[2] = 0.0 + r * b + s * c + t


def draw_scene(job: Any, numbers: Any) -> None:
    """All objects of a scene."""
    memory, out, written = float64_at(job[sampling.MEMORY]), float64_at(job[sampling.VALUES]), 0
    drawn = shift(memory, sampling.DRAWN)
    draw_four(job, VOLUME, 0, drawn)
    objects = job[sampling.LEAST] + int(drawn[0] * (job[sampling.MOST] - job[sampling.LEAST] + 1))
    for k in range(sampling.DRAWN):
        memory[k] = numbers[k]
    for k in range(objects):
        for block in range(sampling.PLACING // 4):
            draw_four(job, k, block, shift(drawn, 4 * block))
        chosen = shift(int64_at(job[sampling.CHOSEN]), 3 * k)
        chosen[0] = int(drawn[0] * job[sampling.SHAPES])
        chosen[1] = int(drawn[1] * job[sampling.DISPLACEMENTS])
        chosen[2] = int(drawn[2] * job[sampling.MAPPERS])
        write_affine(shift(drawn, 3), numbers, shift(out, written))
        written += sampling.AFFINE
        for kind in range(3):
            choice = shift(int64_at(job[sampling.TABLES + kind]), chosen[kind] * sampling.COLUMNS)
            if choice[sampling.KERNEL] != 0:
                blocks = (choice[sampling.DRAWS] + 3) // 4
                for block in range(blocks):
                    draw_four(job, k, FIRST_BLOCKS[kind] + block, shift(drawn, 4 * block))
                given = shift(drawn, max(sampling.PLACING, 4 * blocks))
                sources = int64_at(choice[sampling.SOURCES])
                for j in range(choice[sampling.INPUTS]):
                    given[j] = memory[sources[j]]
                call_scalars(choice[sampling.KERNEL], given, shift(out, written))
                written += choice[sampling.OUTPUTS]
    job[sampling.OBJECTS] = objects
    job[sampling.END] = written
