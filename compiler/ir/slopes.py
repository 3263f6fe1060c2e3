"""Slopes: the partial derivatives of operations whose derivative may be infinite or NaN.

A slope is a function `(m, *operands)` of arrays of torch, written with the maker `m(op, *arrays)` where it may itself
be infinite or NaN, so that slopes of slopes are as safe; see `backends/gradients.py`. Operations without a row here
only add, turn signs, pass on or drop what comes to them, and autograd does that exactly.

A slope that is infinite although the value is finite is taken as 0: of the square root and other powers at 0, of
asin and acos at -1 and 1. The usual inner slope there is 0, and infinity times 0 would be NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Array = Any  # a torch tensor
Slope = Callable[..., Array]  # (m, *operands) -> the derivative in one of them


def _flat(where: Array, slope: Array) -> Array:
    """The slope, but 0 at these places, whatever it is there."""
    return slope.masked_fill(where, 0)


def _reciprocal(m: Any, x: Array) -> Array:
    return m("div", x.new_ones(()), x)


def _settled(value: Array, slope: Array) -> Array:
    """0 where the value is finite and the slope came out NaN: an operand is infinite and the value at its limit, or
    the base is negative, where the exponent is whole or the value NaN."""
    return _flat(slope.isnan() & value.isfinite(), slope)


def _pow_in_base(m: Any, a: Array, b: Array) -> Array:
    slope = m("mul", b, m("pow", a, b - 1))
    return _settled(m("pow", a, b), _flat((b == 0) | ((a == 0) & (b > 0) & (b < 1)), slope))


def _pow_in_exponent(m: Any, a: Array, b: Array) -> Array:
    value = m("pow", a, b)
    return _settled(value, _flat((a == 0) & (b >= 0), m("mul", value, m("log", a))))


def _cbrt(m: Any, a: Array) -> Array:
    root = m("cbrt", a)
    return _flat(a == 0, m("div", a.new_full((), 1 / 3), m("mul", root, root)))


def _asin(m: Any, a: Array) -> Array:
    root = m("sqrt", m("mul", 1 - a, 1 + a))
    return _flat(root == 0, _reciprocal(m, root))


def _angle(m: Any, along: Array, y: Array, x: Array) -> Array:
    square = m("mul", y, y) + m("mul", x, x)
    return _flat((square == 0) | square.isinf(), m("div", along, square))


SLOPES: dict[str, tuple[Slope, ...]] = {
    "mul": (lambda m, a, b: b, lambda m, a, b: a),
    "div": (lambda m, a, b: _reciprocal(m, b), lambda m, a, b: -m("div", m("div", a, b), b)),
    "mod": (lambda m, a, b: a.new_ones(()), lambda m, a, b: -m("div", a, b).floor()),
    "pow": (_pow_in_base, _pow_in_exponent),
    "abs": (lambda m, a: m("sign", a),),
    "sqrt": (lambda m, a: _flat(a == 0, m("div", a.new_full((), 0.5), m("sqrt", a))),),
    "cbrt": (_cbrt,),
    "exp": (lambda m, a: m("exp", a),),
    "log": (_reciprocal,),
    "sin": (lambda m, a: m("cos", a),),
    "cos": (lambda m, a: -m("sin", a),),
    "tan": (lambda m, a: 1 + m("mul", m("tan", a), m("tan", a)),),
    "asin": (_asin,),
    "acos": (lambda m, a: -_asin(m, a),),
    "tanh": (lambda m, a: 1 - m("mul", m("tanh", a), m("tanh", a)),),
    "atan2": (lambda m, y, x: _angle(m, x, y, x), lambda m, y, x: _angle(m, -y, y, x)),
}
