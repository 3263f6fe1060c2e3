"""Functions of the lattice of whole points: a hash, gradient noise, and distances to scattered points.

One text for every back end, from a handful of primitive operations; whole numbers are words of 32 bits that wrap
around, so that every back end finds the same word at the same lattice point.

A lattice point (i, j, k) has the word `sheet(i, j) · layer(k)`. The eight corners of a cell share four sheets and two
layers, which leaves one product a corner. Its high bits are good; whoever needs more of them takes `scattered`.

Noise (Perlin, Improving Noise, 2002): each corner has one of the twelve directions to the middle of a cube's edge. Its
product with the vector from the corner is blended over the cell by 6t^5 - 15t^4 + 10t^3, twice smooth at the borders,
and NOISE_SCALE brings the range into -1..1. How steep that is at most is found by looking at every choice of
directions and every place of a cell (tests/compiler/ir/test_lattice.py):

    |noise(p) - noise(q)| <= NOISE_SLOPE · (|dx| + |dy| + |dz|), and <= NOISE_STEEPEST · max(|dx|, |dy|, |dz|)

Scattered points (Worley, A Cellular Texture Basis Function, 1996): one a cell, in the middle half of it along each
axis, so at 1/2 + u with |u| <= 1/4. Then the two nearest ones lie in the 27 cells around. For let a <= 1/2 be how far a
point is off the middle of its cell along each axis, the greatest along x. Its own cell and the next one along x have
points within (5/4 - a_x)^2 + (a_y + 1/4)^2 + (a_z + 1/4)^2, squared, which is at most FARTHEST^2. Those of cells
beyond are no nearer than (7/4 - a_x)^2 + max(a_y - 1/4, 0)^2 + max(a_z - 1/4, 0)^2. That is not less, for
(7/4 - a_x)^2 - (5/4 - a_x)^2 = 3/2 - a_x, while (a_y + 1/4)^2 - max(a_y - 1/4, 0)^2 <= max(a_y, 1/4), and no a
exceeds 1/2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

NOISE_SCALE = 15 / 16
NOISE_SLOPE = 3.6
NOISE_STEEPEST = 5.2
FARTHEST = 1.3
"""No place is farther than this from the second nearest scattered point: sqrt(27)/4, rounded up."""

# Odd numbers without structure, as signed words: of the golden ratio, and from hash functions in wide use.
_I, _J, _K = 0x9E3779B1 - 2**32, 0x85EBCA77 - 2**32, 0xC2B2AE3D - 2**32
_SHEET, _LAYER, _MIX = 0x5BD1E995, 0x1B873593, 0x2C1B3C6D
# A third of the words lie below the first, a third above the second.
_THIRD, _TWO_THIRDS = -715827883, 715827882
_WORDS = 2.0**32


class Words(NamedTuple):
    """What a target does with words, which are signed:

        word(x)           of a whole number x below 2^31 in magnitude, and of any other number some word
        plus, times, mixed sum, product and exclusive or of words or whole constants
        shifted(a, n)     a moved down by n bits, zeros coming from above
        odd(a)            a with its last bit set
        less(a, b)        whether a < b, of words or whole constants
        signed(a, x)      the number that a is, as wide as x
        flipped(x, a, n)  -x where bit 31 - n of a is set, else x
    """

    word: Any
    plus: Any
    times: Any
    mixed: Any
    shifted: Any
    odd: Any
    less: Any
    signed: Any
    flipped: Any


class Primitives(NamedTuple):
    """What a target has to offer. `select(c, a, b)` is a where c holds, else b; `least` and `most` are the table's min
    and max; `fma` may round once or twice; `round` goes to even."""

    select: Any
    least: Any
    most: Any
    fma: Any
    floor: Any
    round: Any
    sqrt: Any
    words: Words


class Lattice(NamedTuple):
    hash: Any
    noise: Any
    cell_nearest: Any
    cell_second: Any


def lattice(target: Primitives, number: Callable[[float], Any], inline: Callable[[Any], Any]) -> Lattice:
    """The functions of a target. `number` makes its constants, `inline` makes a function of plain Python into one that
    its kernels can call."""
    select, least, most, fma, floor, round, sqrt, of_words = target
    word, plus, times, mixed, shifted, odd, less, signed, flipped = of_words
    zero, half, one, four, six, ten, fifteen = (number(n) for n in (0, 0.5, 1, 4, 6, 10, -15))
    noise_scale, bits_24, bits_33 = number(NOISE_SCALE), number(2.0**-24), number(2.0**-33)
    words, inverse_words, half_words, end = (number(n) for n in (_WORDS, 1 / _WORDS, _WORDS / 2, _WORDS / 4))

    @inline
    def sheet(i: Any, j: Any) -> Any:
        s = plus(plus(i, j), _SHEET)
        return mixed(s, shifted(s, 15))

    @inline
    def layer(k: Any) -> Any:
        s = plus(k, _LAYER)
        return odd(mixed(s, shifted(s, 16)))

    @inline
    def scattered(a: Any) -> Any:
        """A word whose every bit depends on every bit of the word of a lattice point."""
        a = times(mixed(a, shifted(a, 16)), _MIX)
        return mixed(a, shifted(a, 15))

    @inline
    def wrapped(x: Any) -> Any:
        """The word of a whole number x of any size, modulo 2^32; every step is exact."""
        x = x - words * round(x * inverse_words)
        return word(select(x == half_words, -half_words, x))

    @inline
    def hash(x: Any, y: Any, z: Any) -> Any:
        a = sheet(times(wrapped(floor(x)), _I), times(wrapped(floor(y)), _J))
        a = scattered(times(a, layer(times(wrapped(floor(z)), _K))))
        nothing = (x - x) + (y - y) + (z - z)  # NaN where an operand is none or infinite
        return signed(shifted(a, 8), x) * bits_24 + nothing

    @inline
    def held(x: Any) -> Any:
        """The word of a whole number x, those beyond 2^30 taken as that: a float32 has no fraction there."""
        return word(least(end, most(-end, x)))

    @inline
    def fade(t: Any) -> Any:
        return t * t * t * fma(t, fma(t, six, fifteen), ten)

    @inline
    def blend(t: Any, a: Any, b: Any) -> Any:
        return fma(t, b - a, a)

    @inline
    def slant(a: Any, x: Any, y: Any, z: Any) -> Any:
        """The product of the direction of a corner and the vector from there."""
        u = select(less(_TWO_THIRDS, a), y, x)
        v = select(less(a, _THIRD), y, z)
        return flipped(u, a, 10) + flipped(v, a, 14)

    @inline
    def noise(x: Any, y: Any, z: Any) -> Any:
        i, j, k = floor(x), floor(y), floor(z)
        x, y, z = x - i, y - j, z - k
        x1, y1, z1 = x - one, y - one, z - one
        i0, j0, k0 = times(held(i), _I), times(held(j), _J), times(held(k), _K)
        i1, j1, k1 = plus(i0, _I), plus(j0, _J), plus(k0, _K)
        s00, s10, s01, s11 = sheet(i0, j0), sheet(i1, j0), sheet(i0, j1), sheet(i1, j1)
        a, b = layer(k0), layer(k1)
        tx, ty, tz = fade(x), fade(y), fade(z)
        low = blend(ty, blend(tx, slant(times(s00, a), x, y, z), slant(times(s10, a), x1, y, z)),
                    blend(tx, slant(times(s01, a), x, y1, z), slant(times(s11, a), x1, y1, z)))
        high = blend(ty, blend(tx, slant(times(s00, b), x, y, z1), slant(times(s10, b), x1, y, z1)),
                     blend(tx, slant(times(s01, b), x, y1, z1), slant(times(s11, b), x1, y1, z1)))
        return fma(blend(tz, low, high), noise_scale, zero)  # a sum with 0, so that no -0 comes out

    @inline
    def with_point(nearest: Any, second: Any, a: Any, x: Any, y: Any, z: Any) -> Any:
        """The least two squares so far, and of the point of a cell whose middle is (x, y, z) away."""
        a = scattered(a)
        x = fma(signed(a, x), bits_33, x)
        y = fma(signed(times(a, 1 << 11), y), bits_33, y)
        z = fma(signed(times(a, 1 << 22), z), bits_33, z)
        square = fma(x, x, fma(y, y, z * z))
        return least(nearest, square), least(second, most(nearest, square))

    @inline
    def with_three(nearest: Any, second: Any, s: Any, a: Any, b: Any, c: Any, x: Any, y: Any, z: Any) -> Any:
        nearest, second = with_point(nearest, second, times(s, b), x, y, z)
        nearest, second = with_point(nearest, second, times(s, a), x, y, z - one)
        return with_point(nearest, second, times(s, c), x, y, z + one)

    @inline
    def with_nine(nearest: Any, second: Any, i: Any, j: Any, a: Any, b: Any, c: Any, x: Any, y: Any, z: Any) -> Any:
        nearest, second = with_three(nearest, second, sheet(i, j), a, b, c, x, y, z)
        nearest, second = with_three(nearest, second, sheet(i, plus(j, -_J)), a, b, c, x, y - one, z)
        return with_three(nearest, second, sheet(i, plus(j, _J)), a, b, c, x, y + one, z)

    @inline
    def squares(x: Any, y: Any, z: Any) -> Any:
        i, j, k = floor(x), floor(y), floor(z)
        x, y, z = i - x + half, j - y + half, k - z + half  # from the point to the middle of its cell
        i, j, k = times(wrapped(i), _I), times(wrapped(j), _J), times(wrapped(k), _K)
        a, b, c = layer(plus(k, -_K)), layer(k), layer(plus(k, _K))
        # Farther than any of them; NaN where an operand is none or infinite.
        nearest = four + ((x - x) + (y - y) + (z - z))
        nearest, second = with_nine(nearest, nearest, i, j, a, b, c, x, y, z)
        nearest, second = with_nine(nearest, second, plus(i, -_I), j, a, b, c, x - one, y, z)
        return with_nine(nearest, second, plus(i, _I), j, a, b, c, x + one, y, z)

    @inline
    def cell_nearest(x: Any, y: Any, z: Any) -> Any:
        return sqrt(squares(x, y, z)[0])

    @inline
    def cell_second(x: Any, y: Any, z: Any) -> Any:
        return sqrt(squares(x, y, z)[1])

    return Lattice(hash, noise, cell_nearest, cell_second)


def primitives(xp: Any, sqrt: Any) -> Primitives:
    """On arrays of the module `xp`, NumPy or torch."""
    return Primitives(
        select=xp.where,
        least=lambda a, b: xp.where(b < a, b, a),
        most=lambda a, b: xp.where(b > a, b, a),
        fma=lambda a, b, c: a * b + c,
        floor=xp.floor,
        round=xp.round,
        sqrt=sqrt,
        words=words(xp),
    )


def words(xp: Any) -> Words:
    """On arrays of the module `xp`."""
    return Words(
        word=lambda x: cast_to(cast_to(x, xp.int64), xp.int32),
        # As functions: the operators of NumPy's single numbers warn where a word wraps around.
        plus=xp.add,
        times=xp.multiply,
        mixed=xp.bitwise_xor,
        shifted=lambda a, n: (a >> n) & ((1 << 32 - n) - 1),
        odd=lambda a: a | 1,
        less=lambda a, b: a < b,
        signed=lambda a, x: cast_to(a, x.dtype),
        flipped=lambda x, a, n: xp.where((a & (1 << 31 - n)) != 0, -x, x),
    )


def of_arrays(xp: Any, sqrt: Any) -> Lattice:
    """The functions on arrays of the module `xp`."""
    return lattice(primitives(xp, sqrt), float, lambda function: function)


def cast_to(x: Any, kind: Any) -> Any:
    """An array of NumPy or torch as one of numbers of another kind."""
    return x.to(kind) if hasattr(x, "to") else np.asarray(x).astype(kind)
