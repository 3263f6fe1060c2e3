"""The words of what is computed once an object: float64 functions, on a GPU and in its simulator. Imports numba."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.cuda import libdevice

from fdif_dsl.compiler.backends.cuda.words import SIMULATED, field_pair, inline, least, low, most, select, words
from fdif_dsl.compiler.ir import fields, lattice

__all__ = [
    "INF", "NAN", "abs", "acos", "asin", "atan2", "cbrt", "ceil", "cell_nearest", "cell_second", "cos", "exp", "field",
    "floor", "hash", "least", "log", "most", "noise", "pow", "round", "select", "sin", "sqrt", "tan", "tanh",
]

INF, NAN = np.inf, np.nan

abs: Any
if SIMULATED:
    abs, ceil, floor, round, sqrt = np.abs, np.ceil, np.floor, np.rint, np.sqrt
    sin, cos, tan = np.sin, np.cos, np.tan
    asin, acos, atan2 = np.arcsin, np.arccos, np.arctan2
    exp, log, pow = np.exp, np.log, np.power
    cbrt, tanh = np.cbrt, np.tanh
    word = words.word
else:
    abs, ceil, floor, round, sqrt = (
        libdevice.fabs, libdevice.ceil, libdevice.floor, libdevice.rint, libdevice.sqrt)
    sin, cos, tan = libdevice.sin, libdevice.cos, libdevice.tan
    asin, acos, atan2 = libdevice.asin, libdevice.acos, libdevice.atan2
    exp, log, pow = libdevice.exp, libdevice.log, libdevice.pow
    cbrt, tanh = libdevice.cbrt, libdevice.tanh

    @inline
    def word(x: Any) -> Any:
        return low(libdevice.double2ll_rz(x))


@inline
def fma(a: Any, b: Any, c: Any) -> Any:
    return a * b + c


hash, noise, cell_nearest, cell_second = lattice.lattice(
    lattice.Primitives(select, least, most, fma, floor, round, sqrt, words._replace(word=word)), float, inline)


def field(key: str, samples: int, sides: tuple[int, int, int], cell: float, bits: int) -> Any:
    """The function (sample, x, y, z) of a field."""
    target = lattice.Primitives(select, least, most, fma, floor, round, sqrt, words._replace(word=word))
    pair = field_pair(key, bits, True)
    return fields.sampler(fields.Facts(samples, sides, cell, bits), target, abs, pair, float, inline)
