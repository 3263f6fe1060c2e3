"""Words of 32 bits for the kernels of numba's targets, as ir/lattice.py asks for them. Imports numba.

Numba widens whole numbers as it computes with them, and half of a vector would be lost; so each operation is LLVM's
own. Whole constants stand in kernels as numbers of 64 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types

from fdif_dsl.compiler.backends.elementary import CBRT_BITS
from fdif_dsl.compiler.ir.lattice import Words

_WORD = ir.IntType(32)
_FLOATS = {32: ir.FloatType(), 64: ir.DoubleType()}


def words(intrinsic: Callable[[Any], Any]) -> Words:
    """The operations on words, made with numba's decorator for a target, as all here is."""

    def operation(result: Any, build: Callable[..., Any], arity: int) -> Any:
        """`build(builder, *words)`, giving a result of that type."""

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return build(builder, *(_word(builder, a) for a in args))

        if arity == 1:
            return intrinsic(lambda context, a: (result(a), generate))
        return intrinsic(lambda context, a, b: (result(a, b), generate))

    @intrinsic
    def signed(context: Any, a: Any, x: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.sitofp(args[0], args[1].type)

        return x(a, x), generate

    @intrinsic
    def flipped(context: Any, x: Any, a: Any, n: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            x, width = args[0], signature.return_type.bitwidth
            kind = ir.IntType(width)
            turned = builder.and_(builder.shl(args[1], _word(builder, args[2])), ir.Constant(_WORD, -(2**31)))
            if width > 32:
                turned = builder.shl(builder.zext(turned, kind), ir.Constant(kind, width - 32))
            return builder.bitcast(builder.xor(builder.bitcast(x, kind), turned), _FLOATS[width])

        return x(x, a, n), generate

    @intrinsic
    def word(context: Any, x: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            whole = builder.fptosi(args[0], ir.IntType(signature.args[0].bitwidth))
            # What has no room is undefined for LLVM: frozen, it is at least one and the same number at each use.
            frozen = ir.instructions.Instruction(builder.block, whole.type, "freeze", (whole,))
            builder._insert(frozen)
            return _word(builder, frozen)

        return types.int32(x), generate

    return Words(
        word=word,
        plus=operation(types.int32, lambda b, p, q: b.add(p, q), 2),
        times=operation(types.int32, lambda b, p, q: b.mul(p, q), 2),
        mixed=operation(types.int32, lambda b, p, q: b.xor(p, q), 2),
        shifted=operation(types.int32, lambda b, p, q: b.lshr(p, q), 2),
        odd=operation(types.int32, lambda b, p: b.or_(p, ir.Constant(_WORD, 1)), 1),
        less=operation(types.boolean, lambda b, p, q: b.icmp_signed("<", p, q), 2),
        signed=signed,
        flipped=flipped,
    )


def low(intrinsic: Callable[[Any], Any]) -> Any:
    """The word of a whole number of 32 or 64 bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _word(builder, args[0])

    return intrinsic(lambda context, n: (types.int32(n), generate))


def near_cbrt(intrinsic: Callable[[Any], Any]) -> Any:
    """A number near the cube root of a normal float32 x > 0, from a third of its bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        third = builder.udiv(builder.bitcast(args[0], _WORD), ir.Constant(_WORD, 3))
        return builder.bitcast(builder.add(third, ir.Constant(_WORD, CBRT_BITS)), _FLOATS[32])

    return intrinsic(lambda context, x: (x(x), generate))


def _word(builder: Any, value: Any) -> Any:
    return value if value.type == _WORD else builder.trunc(value, _WORD)
