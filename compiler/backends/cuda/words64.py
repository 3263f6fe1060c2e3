"""The words of what is computed once an object: float64 functions, on a GPU and in its simulator. Imports numba."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.cuda import libdevice

from fdif_dsl.compiler.backends.cuda.words import SIMULATED, least, most, select

__all__ = [
    "INF", "NAN", "abs", "acos", "asin", "atan2", "cbrt", "ceil", "cos", "exp", "floor", "least", "log", "most", "pow",
    "round", "select", "sin", "sqrt", "tan", "tanh",
]

INF, NAN = np.inf, np.nan

abs: Any
if SIMULATED:
    abs, ceil, floor, round, sqrt = np.abs, np.ceil, np.floor, np.rint, np.sqrt
    sin, cos, tan = np.sin, np.cos, np.tan
    asin, acos, atan2 = np.arcsin, np.arccos, np.arctan2
    exp, log, pow = np.exp, np.log, np.power
    cbrt, tanh = np.cbrt, np.tanh
else:
    abs, ceil, floor, round, sqrt = (
        libdevice.fabs, libdevice.ceil, libdevice.floor, libdevice.rint, libdevice.sqrt)
    sin, cos, tan = libdevice.sin, libdevice.cos, libdevice.tan
    asin, acos, atan2 = libdevice.asin, libdevice.acos, libdevice.atan2
    exp, log, pow = libdevice.exp, libdevice.log, libdevice.pow
    cbrt, tanh = libdevice.cbrt, libdevice.tanh
