"""The words of scalar kernels: float64 functions with the bits of `schedule.run_schedule`. Imports numba.

A scene is drawn with these, so they may not differ from one processor to the next: nothing is contracted or
reordered, and sines and powers are calls of the C library. LLVM is kept from knowing those functions, because
it would turn some of them into others (2^x into exp2, x^2 into x·x), which round differently.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types

from fdif_dsl.compiler.backends.cpu.prelude import (
    field_pair,
    insert_function,
    intrinsic,
    jit,
    least,
    most,
    select,
    words,
)
from fdif_dsl.compiler.ir import fields, lattice

__all__ = [
    "INF", "NAN", "abs", "acos", "asin", "atan2", "cbrt", "ceil", "cell_nearest", "cell_second", "cos", "exp", "field",
    "floor", "hash", "least", "log", "most", "noise", "pow", "round", "select", "sin", "sqrt", "tan", "tanh",
]

INF, NAN = np.inf, np.nan


def _function(name: str, arity: int = 1) -> Any:
    """The C function or LLVM intrinsic `name` on float64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.DoubleType(), [ir.DoubleType()] * arity)
        function = insert_function(builder.module, kind, name)
        if not name.startswith("llvm."):
            for attribute in ("nobuiltin", "readnone", "nounwind"):
                function.attributes.add(attribute)
        return builder.call(function, args)

    signature = types.float64(*[types.float64] * arity)
    if arity == 1:
        return intrinsic(lambda context, a: (signature, generate))
    return intrinsic(lambda context, a, b: (signature, generate))


abs = _function("llvm.fabs.f64")
sqrt = _function("llvm.sqrt.f64")
floor = _function("llvm.floor.f64")
ceil = _function("llvm.ceil.f64")
round = _function("llvm.rint.f64")
sin, cos, tan = _function("sin"), _function("cos"), _function("tan")
asin, acos, atan2 = _function("asin"), _function("acos"), _function("atan2", 2)
exp, log, pow = _function("exp"), _function("log"), _function("pow", 2)
cbrt, tanh = _function("cbrt"), _function("tanh")

_inline: Callable[[Any], Any] = jit(
    error_model="numpy", forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)


@_inline
def _twice_rounded(a: Any, b: Any, c: Any) -> Any:
    return a * b + c


hash, noise, cell_nearest, cell_second = lattice.lattice(
    lattice.Primitives(select, least, most, _twice_rounded, floor, round, sqrt, words), float, _inline)


def field(key: str, samples: int, sides: tuple[int, int, int], cell: float, bits: int) -> Any:
    """The function (sample, x, y, z) of a field."""
    target = lattice.Primitives(select, least, most, _twice_rounded, floor, round, sqrt, words)
    pair = field_pair(key, bits, ir.DoubleType(), types.float64)
    return fields.sampler(fields.Facts(samples, sides, cell, bits), target, abs, pair, float, _inline)
