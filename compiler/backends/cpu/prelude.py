"""The words of generated kernels: float32 functions that LLVM can vectorise. Imports numba.

Everything here is branch-free and treats NaN and infinities as `ops.py` says. A plain numba install
has no vector maths library, and one call of `sinf` keeps a whole loop scalar, so that sin, cos, exp,
atan2 and what follows from them are polynomials, see elementary.py. log, tan and x^y are libm's, one lane
at a time. Noise and its like are those of ir/lattice.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic as numba_intrinsic

from fdif_dsl.compiler.backends import words32
from fdif_dsl.compiler.backends.elementary import INF, ZERO, Primitives, elementary
from fdif_dsl.compiler.ir import fields, lattice

# Numba annotates these for calls from Python; here they are called from compiled code.
intrinsic = cast(Callable[[Any], Any], numba_intrinsic)
insert_function: Any = cgutils.get_or_insert_function
jit: Any = numba.njit

__all__ = [
    "INF", "ZERO", "abs", "acos", "asin", "atan2", "cbrt", "ceil", "cell_nearest", "cell_second", "copysign", "cos",
    "exp", "exp2_of_product", "f32", "field", "floor", "fma", "hash", "inline", "insert_function", "intrinsic", "jit",
    "least", "log", "most", "noise", "pow", "power_of_two", "round", "select", "sign", "sin", "sqrt", "tan", "tanh",
    "uint8",
    "uint16", "uint64", "words",
]

f32, uint8, uint16, uint64 = np.float32, np.uint8, np.uint16, np.uint64
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


# Functions --------------------------------------------------------------------------------------

sign, sin, cos, exp2_of_product, exp, tanh, cbrt, atan2, asin, acos = elementary(
    Primitives(select, fma, abs, copysign, floor, round, sqrt, power_of_two, words32.near_cbrt(intrinsic)), inline)

words = words32.words(intrinsic)
hash, noise, cell_nearest, cell_second = lattice.lattice(
    lattice.Primitives(select, least, most, fma, floor, round, sqrt, words), f32, inline)


# Fields -----------------------------------------------------------------------------------------


def field(key: str, samples: int, sides: tuple[int, int, int], cell: float, bits: int) -> Any:
    """The function (sample, x, y, z) of a field."""
    facts = fields.Facts(samples, sides, cell, bits)
    target = lattice.Primitives(select, least, most, fma, floor, round, sqrt, words)
    return fields.sampler(facts, target, abs, field_pair(key, bits, ir.FloatType(), types.float32), f32, inline)


tuple_type: Any = types.UniTuple
_NOWHERE = np.zeros(1, np.int64)


def field_pair(key: str, bits: int, number: Any, kind: Any) -> Any:
    """Two numbers of a field's memory that follow each other. They are of another kind than a kernel computes with, and
    nobody writes them: so each pair of halves is one load, which vector code can gather."""
    word = ir.IntType(32)
    if llvm.address_of_symbol(fields.symbol(key)) is None:  # numba loads helpers that nobody calls: see loader.provide
        llvm.add_symbol(fields.symbol(key), _NOWHERE.ctypes.data)

    def load(builder: Any, index: Any) -> Any:
        module, name = builder.module, fields.symbol(key)
        stored = ir.IntType(bits)
        array = ir.ArrayType(stored, 0)
        memory = module.globals.get(name)
        if memory is None:
            memory = ir.GlobalVariable(module, array, name)
            memory.global_constant, memory.linkage = True, "external"
        start = ir.Constant(ir.IntType(64), 0)
        place = builder.gep(memory, [start, builder.sext(index, ir.IntType(64))])
        found = builder.load(builder.bitcast(place, word.as_pointer()))
        found.align = bits // 8
        found.set_metadata("invariant.load", module.add_metadata([]))
        return found

    def from_half(builder: Any, both: Any) -> Any:
        """The float16 in the high bits of a word: its exponent is moved behind copies of the sign, of which one is
        kept, and set right by a product; so it needs no instruction that some processors lack."""
        moved = builder.ashr(both, ir.Constant(word, 3))
        scaled = builder.bitcast(builder.and_(moved, ir.Constant(word, 0x8FFFE000)), ir.FloatType())
        return builder.fmul(scaled, ir.Constant(ir.FloatType(), 2.0**112))

    def widened(builder: Any, value: Any) -> Any:
        return value if number == ir.FloatType() else builder.fpext(value, number)

    @intrinsic
    def pair(context: Any, i: Any) -> Any:
        result = tuple_type(kind, 2)

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            index = args[0] if args[0].type == word else builder.trunc(args[0], word)
            if bits == 16:
                both = load(builder, index)
                low, high = from_half(builder, builder.shl(both, ir.Constant(word, 16))), from_half(builder, both)
            else:
                low, high = (builder.bitcast(load(builder, builder.add(index, ir.Constant(word, k))), ir.FloatType())
                             for k in (0, 1))
            return context.make_tuple(builder, result, [widened(builder, v) for v in (low, high)])

        return result(i), generate

    @inline
    def both(i: Any) -> Any:
        return pair(i)

    return both
