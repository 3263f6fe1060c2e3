"""Elementary functions in float32 from a handful of primitive ones: branch-free, the same on each target.

Polynomials with fused multiply-add: a call of libm would keep a CPU's loop scalar, and a GPU's own
sine is slow for large angles or coarse for all of them. Errors measured against float64:

    sin, cos           absolute <= 2e-7 for |x| <= 1e6; bounded by 1.000001 beyond; NaN for infinities
    exp, b^x           relative <= 2e-7; overflow gives infinity, underflow goes through denormals to 0
    atan2, asin, acos  absolute <= 4e-7
    tanh               relative <= 3e-7
    cbrt               relative <= 2e-7

NaN and infinities are treated as `ops.py` says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

f32 = np.float32


class Primitives(NamedTuple):
    """What a target has to offer. `select(c, a, b)` is a where c holds, else b; `power_of_two(n)` is 2^n for a whole
    float32 n in -126..127; `near_cbrt(x)` is within 4 % of the cube root of a normal x > 0; `round` goes to even; the
    others are what IEEE 754 calls by that name."""

    select: Any
    fma: Any
    abs: Any
    copysign: Any
    floor: Any
    round: Any
    sqrt: Any
    power_of_two: Any
    near_cbrt: Any


class Elementary(NamedTuple):
    sign: Any
    sin: Any
    cos: Any
    exp2_of_product: Any
    exp: Any
    tanh: Any
    cbrt: Any
    atan2: Any
    asin: Any
    acos: Any


# Constants: a bare literal in a kernel would be float64 and drag the sum with it.
ZERO, HALF, ONE, TWO, FOUR = f32(0), f32(0.5), f32(1), f32(2), f32(4)
INF = f32(np.inf)
PI, HALF_PI = f32(np.pi), f32(np.pi / 2)
INVERSE_PI = f32(1 / np.pi)
# -pi in two parts: with fused multiply-add the reduction is good to 2^-48 of n.
MINUS_PI_HIGH = -f32(np.pi)
MINUS_PI_LOW = f32(-(np.pi - float(f32(np.pi))))
LOG2_E_HIGH = f32(1 / np.log(2))
LOG2_E_LOW = f32(1 / np.log(2) - float(f32(1 / np.log(2))))
EXPONENT_MOST, EXPONENT_LEAST = f32(129), f32(-151)
# Minimax coefficients, lowest power first, fitted to the relative error.
SIN_1, SIN_2, SIN_3, SIN_4 = f32(-0.16666658), f32(0.008333032), f32(-0.00019806968), f32(2.5997433e-06)
EXP_1, EXP_2, EXP_3 = f32(0.6931472), f32(0.24022648), f32(0.055503294)
EXP_4, EXP_5, EXP_6 = f32(0.00961845), f32(0.0013400171), f32(0.00015352316)
TANH_1, TANH_2, TANH_3 = f32(-0.3333328), f32(0.13331442), f32(-0.053739715)
TANH_4, TANH_5, TANH_SMALL = f32(0.020639086), f32(-0.005704985), f32(0.625)
# A third of the bits of a number is, plus this, near those of its cube root.
CBRT_BITS = 0x2A5119F2
CBRT_LEAST, CBRT_MOST = f32(2.0**-100), f32(2.0**100)
CBRT_DOWN, CBRT_UP = f32(2.0**-72), f32(2.0**72)
CBRT_ROOT_DOWN, CBRT_ROOT_UP = f32(2.0**-24), f32(2.0**24)
ATAN_1, ATAN_2, ATAN_3, ATAN_4 = f32(-0.33333153), f32(0.19993773), f32(-0.14211054), f32(0.10666002)
ATAN_5, ATAN_6, ATAN_7, ATAN_8 = f32(-0.07552209), f32(0.04321179), f32(-0.016367882), f32(0.0029206804)


def elementary(target: Primitives, inline: Callable[[Any], Any]) -> Elementary:
    """The functions of a target; `inline` makes one of plain Python into one that its kernels can call."""
    select, fma, abs, copysign, floor, round, sqrt, power_of_two, near_cbrt = target

    @inline
    def sign(x: Any) -> Any:
        return select(x > ZERO, ONE, select(x < ZERO, -ONE, ZERO))

    @inline
    def sine_of_half_turns(r: Any, n: Any) -> Any:
        """sin(r + n·pi) for |r| <= pi/2 and a whole n."""
        # Out of the range of the reduction r is noise: keep it in bounds. NaN passes.
        r = select(r > TWO, TWO, select(r < -TWO, -TWO, r))
        z = r * r
        tail = fma(fma(fma(SIN_4, z, SIN_3), z, SIN_2), z, SIN_1)
        half = n * HALF
        parity = ONE - FOUR * (half - floor(half))
        return parity * fma(r * z, tail, r)

    @inline
    def sin(x: Any) -> Any:
        n = round(x * INVERSE_PI)
        sine = sine_of_half_turns(fma(n, MINUS_PI_LOW, fma(n, MINUS_PI_HIGH, x)), n)
        return select(x == ZERO, x, sine)  # the sine of -0 is -0

    @inline
    def cos(x: Any) -> Any:
        # cos(x) = -sin(x - m·pi)·(-1)^n with m = n + 1/2, which is exact in float32.
        n = round(x * INVERSE_PI - HALF)
        m = n + HALF
        return -sine_of_half_turns(fma(m, MINUS_PI_LOW, fma(m, MINUS_PI_HIGH, x)), n)

    @inline
    def exp2_of_product(x: Any, high: Any, low: Any) -> Any:
        """2^(x·(high + low)): the factor in two parts, so that a large x costs no accuracy."""
        t = x * high
        n = round(select(t < EXPONENT_MOST, select(t > EXPONENT_LEAST, t, EXPONENT_LEAST), EXPONENT_MOST))
        r = fma(x, low, fma(x, high, -n))
        # Only at an infinity is r not within ±1/2 or so. NaN passes.
        r = select(r > ONE, ONE, select(r < -ONE, -ONE, r))
        tail = fma(fma(fma(fma(fma(EXP_6, r, EXP_5), r, EXP_4), r, EXP_3), r, EXP_2), r, EXP_1)
        # In two steps, because 2^n alone may overflow or be a denormal number.
        first = floor(n * HALF)
        return fma(tail, r, ONE) * power_of_two(first) * power_of_two(n - first)

    @inline
    def exp(x: Any) -> Any:
        return exp2_of_product(x, LOG2_E_HIGH, LOG2_E_LOW)

    @inline
    def tanh(x: Any) -> Any:
        ax = abs(x)
        z = ax * ax
        tail = fma(fma(fma(fma(TANH_5, z, TANH_4), z, TANH_3), z, TANH_2), z, TANH_1)
        near = fma(ax * z, tail, ax)
        return copysign(select(ax < TANH_SMALL, near, ONE - TWO / (exp(TWO * ax) + ONE)), x)

    @inline
    def cbrt(x: Any) -> Any:
        ax = abs(x)
        # Within the range where cubes are normal numbers.
        a = ax * select(ax < CBRT_LEAST, CBRT_UP, select(ax > CBRT_MOST, CBRT_DOWN, ONE))
        root = near_cbrt(a)
        # Halley's step, twice: errors of 4e-2, 4e-5, and then of rounding.
        cube = root * root * root
        root = root + root * ((a - cube) / (TWO * cube + a))
        cube = root * root * root
        root = root + root * ((a - cube) / (TWO * cube + a))
        root = root * select(ax < CBRT_LEAST, CBRT_ROOT_DOWN, select(ax > CBRT_MOST, CBRT_ROOT_UP, ONE))
        return select((ax > ZERO) & (ax < INF), copysign(root, x), x)

    @inline
    def atan2(y: Any, x: Any) -> Any:
        ax, ay = abs(x), abs(y)
        large = select(ay > ax, ay, ax)
        small = select(ay > ax, ax, ay)
        t = small / large
        # 0/0 is the zero vector; infinity/infinity is a diagonal.
        t = select(large == ZERO, ZERO, select(small == INF, ONE, t))
        z = t * t
        head = fma(fma(fma(ATAN_8, z, ATAN_7), z, ATAN_6), z, ATAN_5)
        tail = fma(fma(fma(fma(head, z, ATAN_4), z, ATAN_3), z, ATAN_2), z, ATAN_1)
        angle = fma(t * z, tail, t)
        angle = select(ay > ax, HALF_PI - angle, angle)
        angle = select(x < ZERO, PI - angle, angle)
        # A NaN in one operand may have lost every comparison: adding both brings it back.
        both = x + y
        return select((x == x) & (y == y), copysign(angle, y), both)

    @inline
    def asin(x: Any) -> Any:
        return atan2(x, sqrt((ONE - x) * (ONE + x)))

    @inline
    def acos(x: Any) -> Any:
        return atan2(sqrt((ONE - x) * (ONE + x)), x)

    return Elementary(sign, sin, cos, exp2_of_product, exp, tanh, cbrt, atan2, asin, acos)
