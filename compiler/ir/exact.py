"""Single float64 numbers, computed alike on every processor.

Arithmetic is IEEE 754, and sines and powers are those of the C library, because NumPy's vectorised ones may
differ in the last digit from one processor to the next. Scalar kernels have the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np


def _c_library(name: str) -> Callable[..., Any]:
    """The C library's function; where Python's wrapper of it refuses a value, NumPy's answer."""
    function, instead = getattr(math, name), getattr(np, name)

    def call(*operands: Any) -> Any:
        try:
            return np.float64(function(*operands))
        except (ValueError, OverflowError):
            return instead(*operands)

    return call


SCALARS = SimpleNamespace(**{
    **vars(np),
    "where": lambda condition, a, b: a if condition else b,
    **{name: _c_library(name) for name in ("sin", "cos", "tan", "asin", "acos", "atan2", "exp", "log", "pow", "cbrt",
                                            "tanh")},
})
"""The module for the op table's array rules: NumPy's functions, with a `where` that costs no array."""
