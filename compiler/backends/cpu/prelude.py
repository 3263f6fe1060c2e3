"""The words of generated kernels: float32 functions that LLVM can vectorise. Imports numba.

Everything here is branch-free and treats NaN and infinities as `ops.py` says. A plain numba install
has no vector maths library, and one call of `sinf` keeps a whole loop scalar, so that sin, cos, exp,
atan2 and what follows from them are polynomials here. Errors measured against float64:

    sin, cos           absolute <= 2e-7 for |x| <= 1e6; bounded by 1.000001 beyond; NaN for infinities
    exp, b^x           relative <= 2e-7; overflow gives infinity, underflow goes through denormals to 0
    atan2, asin, acos  absolute <= 4e-7
    log, tan, x^y      libm, one lane at a time
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic as numba_intrinsic

# Numba annotates these for calls from Python; here they are called from compiled code.
intrinsic = cast(Callable[[Any], Any], numba_intrinsic)
insert_function: Any = cgutils.get_or_insert_function
jit: Any = numba.njit

f32, uint8, uint16, uint32 = np.float32, np.uint8, np.uint16, np.uint32
# Helpers are inlined into the loop that uses them; `contract` lets a·b + c become one instruction.
inline: Callable[[Any], Any] = jit(
    error_model="numpy", fastmath={"contract"}, forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)


# Instructions and libm calls ------------------------------------------------------------------


def _float_function(name: str, arity: int) -> Any:
    """The external function or LLVM intrinsic `name` on float32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.FloatType(), [ir.FloatType()] * arity)
        function = insert_function(builder.module, kind, name)
        if not name.startswith("llvm."):
            # errno is of no interest: without this, a call would pin every load and store around it.
            function.attributes.add("readnone")
            function.attributes.add("nounwind")
        return builder.call(function, args)

    signature = types.float32(*[types.float32] * arity)
    if arity == 1:
        return intrinsic(lambda context, a: (signature, generate))
    if arity == 2:
        return intrinsic(lambda context, a, b: (signature, generate))
    return intrinsic(lambda context, a, b, c: (signature, generate))


abs = _float_function("llvm.fabs.f32", 1)
sqrt = _float_function("llvm.sqrt.f32", 1)
floor = _float_function("llvm.floor.f32", 1)
ceil = _float_function("llvm.ceil.f32", 1)
round = _float_function("llvm.rint.f32", 1)
copysign = _float_function("llvm.copysign.f32", 2)
fma = _float_function("llvm.fma.f32", 3)
log = _float_function("logf", 1)
tan = _float_function("tanf", 1)
pow = _float_function("powf", 2)


@intrinsic
def select(context: Any, condition: Any, a: Any, b: Any) -> Any:
    """a where the condition holds, else b; both are computed, nothing branches."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(*args)

    return a(condition, a, a), generate


def _compare_and_select(operator: str) -> Any:
    """`b if b <operator> a else a`, which is exactly what the min and max instructions compute."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        a, b = args
        return builder.select(builder.fcmp_ordered(operator, b, a), b, a)

    return intrinsic(lambda context, a, b: (a(a, a), generate))  # float32, or float64 in scalar kernels


least = _compare_and_select("<")
most = _compare_and_select(">")


@intrinsic
def power_of_two(context: Any, n: Any) -> Any:
    """2^n for a whole float32 n in -126..127, by writing the exponent bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole = builder.fptosi(args[0], ir.IntType(32))
        bits = builder.shl(builder.add(whole, ir.Constant(ir.IntType(32), 127)), ir.Constant(ir.IntType(32), 23))
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(types.float32), generate


# Constants: a bare literal in a kernel would be float64 and drag the sum with it ----------------

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
ATAN_1, ATAN_2, ATAN_3, ATAN_4 = f32(-0.33333153), f32(0.19993773), f32(-0.14211054), f32(0.10666002)
ATAN_5, ATAN_6, ATAN_7, ATAN_8 = f32(-0.07552209), f32(0.04321179), f32(-0.016367882), f32(0.0029206804)


# Functions --------------------------------------------------------------------------------------


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
    return sine_of_half_turns(fma(n, MINUS_PI_LOW, fma(n, MINUS_PI_HIGH, x)), n)


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
    angle = select(copysign(ONE, x) < ZERO, PI - angle, angle)
    # A NaN in one operand may have lost every comparison: adding both brings it back.
    both = x + y
    return select((x == x) & (y == y), copysign(angle, y), both)


@inline
def asin(x: Any) -> Any:
    return atan2(x, sqrt((ONE - x) * (ONE + x)))


@inline
def acos(x: Any) -> Any:
    return atan2(sqrt((ONE - x) * (ONE + x)), x)
