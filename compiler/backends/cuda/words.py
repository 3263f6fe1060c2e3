"""The words of generated kernels, as a GPU computes them and as its simulator does. Imports numba.

With `NUMBA_ENABLE_CUDASIM=1` kernels are plain Python, a Python thread for each of the GPU's, and these words are
NumPy's functions on single numbers. Division and roots are correctly rounded, and a·b + c may be one operation, as on
the CPU: what bounds promise (passes/intervals.py) then holds here too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba import cuda
from numba.core import config
from numba.cuda import libdevice

from fdif_dsl.compiler.backends.elementary import CBRT_BITS, INF, ZERO, Primitives, elementary, f32
from fdif_dsl.compiler.ir import fields, lattice

__all__ = [
    "INF", "SIMULATED", "ZERO", "abs", "acos", "add", "asin", "atan2", "cbrt", "ceil", "cell_nearest", "cell_second",
    "cos", "exp", "exp2_of_product", "f32", "field", "field_pair", "fixed", "floor", "fma", "hash", "inline",
    "least", "log", "low", "most", "noise", "pow", "round", "select", "sign", "sin", "sqrt", "tan", "tanh", "words",
]

SIMULATED = bool(cast(Any, config).ENABLE_CUDASIM)

abs: Any
add: Any
ceil: Any
copysign: Any
floor: Any
fixed: Any
fma: Any
log: Any
low: Any
pow: Any
round: Any
select: Any
sqrt: Any
tan: Any
words: Any

if SIMULATED:
    _adding = threading.Lock()

    def inline(function: Callable[..., Any]) -> Any:
        return function

    def select(condition: Any, a: Any, b: Any) -> Any:
        return a if condition else b

    def fixed(array: Any, i: Any) -> Any:
        return array[i]

    def add(array: Any, i: Any, value: Any) -> Any:
        with _adding:
            old = array[i]
            array[i] += value
        return old

    def fma(a: Any, b: Any, c: Any) -> Any:
        return type(c)(np.float64(a) * np.float64(b) + np.float64(c))

    def power_of_two(n: Any) -> Any:
        return f32(2.0) ** n

    def near_cbrt(x: Any) -> Any:
        return np.uint32(np.array(x, f32).view(np.uint32) // 3 + CBRT_BITS).view(f32)

    abs, ceil, copysign, floor, round, sqrt = np.abs, np.ceil, np.copysign, np.floor, np.rint, np.sqrt
    log, pow, tan = np.log, np.power, np.tan
    words = lattice.words(np)

    def field_pair(key: str, bits: int, wide: bool) -> Any:
        """Two numbers of a field's memory that follow each other."""
        number = np.float64 if wide else f32

        def pair(i: Any) -> Any:
            memory = fields.baked(key).memory
            return number(memory[i]), number(memory[i + 1])

        return pair

    low = words.word  # which has room for every whole number
else:
    from llvmlite import ir
    from numba.cuda import types
    from numba.cuda.extending import intrinsic as numba_intrinsic

    from fdif_dsl.compiler.backends import words32

    intrinsic = cast(Callable[[Any], Any], numba_intrinsic)

    def inline(function: Callable[..., Any]) -> Any:
        """A function that is inlined into the kernel that calls it."""
        return cuda.jit(device=True, forceinline=True)(function)

    @intrinsic
    def select(context: Any, condition: Any, a: Any, b: Any) -> Any:
        """a where the condition holds, else b; both are computed, nothing branches."""

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.select(*args)

        return a(condition, a, a), generate

    @intrinsic
    def fixed(context: Any, array: Any, i: Any) -> Any:
        """array[i], which nobody changes while the kernel runs: so it is read once, and not after each store."""

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            load = builder.load(builder.gep(args[0], [args[1]]))
            load.set_metadata("invariant.load", builder.module.add_metadata([]))
            return load

        return array.dtype(array, i), generate

    @intrinsic
    def add(context: Any, array: Any, i: Any, value: Any) -> Any:
        """Adds to array[i], a whole number that other blocks add to as well; what it was before."""

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.atomic_rmw("add", builder.gep(args[0], [args[1]]), args[2], "monotonic")

        return array.dtype(array, i, array.dtype), generate

    abs, ceil, copysign, floor = libdevice.fabsf, libdevice.ceilf, libdevice.copysignf, libdevice.floorf
    fma, round, sqrt = libdevice.fmaf, libdevice.rintf, libdevice.sqrtf
    log, pow, tan = libdevice.logf, libdevice.powf, libdevice.tanf
    words = words32.words(intrinsic)._replace(word=libdevice.float2int_rz)
    low = words32.low(intrinsic)
    near_cbrt = words32.near_cbrt(intrinsic)

    def field_pair(key: str, bits: int, wide: bool) -> Any:
        """Two numbers of a field's memory that follow each other. Where that is stands in a variable of the kernel's
        module, which is set when the module is loaded: see gpu.py."""
        word, address = ir.IntType(32), ir.IntType(64)
        stored = ir.HalfType() if bits == 16 else ir.FloatType()
        result = types.UniTuple(types.float64 if wide else types.float32, 2)

        @intrinsic
        def pair(context: Any, i: Any) -> Any:
            def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                module, name = builder.module, fields.symbol(key)
                place = module.globals.get(name)
                if place is None:
                    place = ir.GlobalVariable(module, address, name, addrspace=1)
                    place.initializer, place.linkage, place.align = ir.Constant(address, 0), "weak", 8
                memory = builder.inttoptr(builder.load(place), ir.PointerType(stored, 1))
                index = args[0] if args[0].type == word else builder.trunc(args[0], word)
                found = []
                for k in (0, 1):
                    load = builder.load(builder.gep(memory, [builder.add(index, ir.Constant(word, k))]))
                    load.set_metadata("invariant.load", module.add_metadata([]))
                    wanted = ir.DoubleType() if wide else ir.FloatType()
                    found.append(load if stored == wanted else builder.fpext(load, wanted))
                return context.make_tuple(builder, result, found)

            return result(i), generate

        return pair

    @inline
    def power_of_two(n: Any) -> Any:
        return libdevice.int_as_float(np.int32((np.int32(n) + np.int32(127)) << np.int32(23)))


@inline
def least(a: Any, b: Any) -> Any:
    return select(b < a, b, a)


@inline
def most(a: Any, b: Any) -> Any:
    return select(b > a, b, a)


sign, sin, cos, exp2_of_product, exp, tanh, cbrt, atan2, asin, acos = elementary(
    Primitives(select, fma, abs, copysign, floor, round, sqrt, power_of_two, near_cbrt), inline)
hash, noise, cell_nearest, cell_second = lattice.lattice(
    lattice.Primitives(select, least, most, fma, floor, round, sqrt, words), f32, inline)


def field(key: str, samples: int, sides: tuple[int, int, int], cell: float, bits: int) -> Any:
    """The function (sample, x, y, z) of a field."""
    target = lattice.Primitives(select, least, most, fma, floor, round, sqrt, words)
    pair = field_pair(key, bits, False)
    return fields.sampler(fields.Facts(samples, sides, cell, bits), target, abs, pair, f32, inline)
