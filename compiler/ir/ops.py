"""The op table: everything that is known about an operator stands in its row.

Ops are scalar; vectors and arrays are taken apart when a formula is elaborated. A type is one
letter, `f` (real number), `b` (truth value) or `s` (the samples of a field). Backends, documentation
and tests read this table, so adding an op means adding a row.

Arithmetic is IEEE 754 (x/0 is an infinity or NaN, sqrt of a negative number is NaN), with one rule
for NaN: *every comparison with NaN is false*. `min`, `max` and `sign` are defined through
comparisons, so each op gives the same answer on every backend.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from fdif_dsl.compiler.ir import fields
from fdif_dsl.compiler.ir import interval_rules as rules
from fdif_dsl.compiler.ir.lattice import of_arrays

Array = Any  # a NumPy array or a torch tensor
ArrayRule = Callable[..., Array]  # (xp, *operands) -> result, with xp the module numpy or torch


@dataclass(frozen=True)
class Op:
    """One row of the table.

    `array` is the meaning on arrays of the module `xp` (numpy or torch); `torch` is the same with a
    derivative that is finite where the formula's is; `scalar` is the spelling on scalars inside a
    generated kernel, with operands `{0}`, `{1}`, ...; `interval` bounds the result where the operands
    are bounded.
    """

    name: str
    operands: str
    result: str
    array: ArrayRule
    torch: ArrayRule
    scalar: str
    interval: rules.Rule
    doc: str
    commutes: bool = False


OPS: dict[str, Op] = {}


def _op(name: str, signature: str, array: ArrayRule, scalar: str, interval: rules.Rule, doc: str, *,
        torch: ArrayRule | None = None, commutes: bool = False) -> None:
    operands, result = signature.split("->")
    OPS[name] = Op(name, operands, result, array, torch or array, scalar, interval, doc, commutes)


def _sqrt_with_flat_zero(t: Any, x: Array) -> Array:
    # The true slope at 0 is infinite, and infinity times the usual inner slope of 0 is NaN. The root of -0 is -0.
    zero = x == 0
    return t.where(zero, x.detach(), t.sqrt(t.where(zero, t.ones_like(x), x)))


def _cbrt(xp: Any, x: Array) -> Array:
    return xp.cbrt(x) if hasattr(xp, "cbrt") else _sign(xp, x) * xp.pow(xp.abs(x), 1 / 3)


def _cbrt_with_flat_zero(t: Any, x: Array) -> Array:
    zero = x == 0
    return t.where(zero, x.detach(), _cbrt(t, t.where(zero, t.ones_like(x), x)))


def _sign(xp: Any, x: Array) -> Array:
    one = xp.ones_like(x)
    return xp.where(x > 0, one, xp.where(x < 0, -one, xp.zeros_like(x)))


def _of_lattice(name: str) -> ArrayRule:
    return lambda xp, *point: getattr(of_arrays(xp, xp.sqrt), name)(*point)


def _of_lattice_with_finite_slope(name: str) -> ArrayRule:
    def rule(t: Any, *point: Array) -> Array:
        # What is no point of space has the value NaN, and no slope that could get into another one's.
        there = (point[0] - point[0] + (point[1] - point[1]) + (point[2] - point[2])).detach()
        inside = there == 0
        value = getattr(of_arrays(t, partial(_sqrt_with_flat_zero, t)), name)(
            *(t.where(inside, x, t.zeros_like(x)) for x in point))
        return t.where(inside, value, there)

    return rule


def _field(xp: Any, *operands: Array) -> Array:
    return fields.of_arrays(xp, xp.sqrt, *operands)


def _field_with_finite_slope(t: Any, samples: str, k: Array, *point: Array) -> Array:
    far = (t.abs(point[0]) + t.abs(point[1]) + t.abs(point[2])).detach()  # infinite, or NaN, as the distance is there
    inside = t.isfinite(far)
    value = fields.of_arrays(t, partial(_sqrt_with_flat_zero, t), samples, k,
                             *(t.where(inside, x, t.zeros_like(x)) for x in point))
    return t.where(inside, value, far)


_op("add", "ff->f", lambda xp, a, b: a + b, "{0} + {1}", rules.ADD, "sum", commutes=True)
_op("sub", "ff->f", lambda xp, a, b: a - b, "{0} - {1}", rules.SUB, "difference")
_op("mul", "ff->f", lambda xp, a, b: a * b, "{0} * {1}", rules.MUL, "product", commutes=True)
_op("div", "ff->f", lambda xp, a, b: a / b, "{0} / {1}", rules.DIV, "quotient; x/0 is an infinity, 0/0 NaN")
_op("mod", "ff->f", lambda xp, a, b: a - b * xp.floor(a / b), "{0} - {1} * floor({0} / {1})", rules.MOD,
    "floored remainder a - b·floor(a/b), with the sign of b; NaN for b = 0")
_op("pow", "ff->f", lambda xp, a, b: xp.pow(a, b), "pow({0}, {1})", rules.POW,
    "power; NaN for a negative base with a fractional exponent; x^0 is 1")
_op("neg", "f->f", lambda xp, a: -a, "-{0}", rules.NEG, "negation")
_op("abs", "f->f", lambda xp, a: xp.abs(a), "abs({0})", rules.ABS, "absolute value")
_op("sign", "f->f", _sign, "sign({0})", rules.SIGN, "1, 0 or -1; 0 for NaN")
_op("sqrt", "f->f", lambda xp, a: xp.sqrt(a), "sqrt({0})", rules.SQRT,
    "square root; NaN for a negative number", torch=_sqrt_with_flat_zero)
_op("cbrt", "f->f", _cbrt, "cbrt({0})", rules.CBRT, "cube root, of negative numbers too", torch=_cbrt_with_flat_zero)
_op("exp", "f->f", lambda xp, a: xp.exp(a), "exp({0})", rules.EXP, "e^x")
_op("log", "f->f", lambda xp, a: xp.log(a), "log({0})", rules.LOG,
    "natural logarithm; -infinity for 0, NaN for a negative number")
_op("sin", "f->f", lambda xp, a: xp.sin(a), "sin({0})", rules.SIN, "sine of an angle in radians")
_op("cos", "f->f", lambda xp, a: xp.cos(a), "cos({0})", rules.COS, "cosine of an angle in radians")
_op("tan", "f->f", lambda xp, a: xp.tan(a), "tan({0})", rules.TAN, "tangent of an angle in radians")
_op("asin", "f->f", lambda xp, a: xp.asin(a), "asin({0})", rules.ASIN, "arc sine in radians; NaN outside -1..1")
_op("acos", "f->f", lambda xp, a: xp.acos(a), "acos({0})", rules.ACOS, "arc cosine in radians; NaN outside -1..1")
_op("atan2", "ff->f", lambda xp, a, b: xp.atan2(a, b + 0.0), "atan2({0}, {1})", rules.ATAN2,
    "angle of the vector (x, y), called atan2(y, x), in -pi..pi; 0 for the zero vector")
_op("tanh", "f->f", lambda xp, a: xp.tanh(a), "tanh({0})", rules.TANH, "hyperbolic tangent, in -1..1")
_op("floor", "f->f", lambda xp, a: xp.floor(a), "floor({0})", rules.FLOOR, "greatest whole number not above x")
_op("ceil", "f->f", lambda xp, a: xp.ceil(a), "ceil({0})", rules.CEIL, "least whole number not below x")
_op("round", "f->f", lambda xp, a: xp.round(a), "round({0})", rules.ROUND, "nearest whole number, halves to even")
_op("min", "ff->f", lambda xp, a, b: xp.where(b < a, b, a), "{1} if {1} < {0} else {0}", rules.MIN,
    "b where b < a, else a (so a NaN in b is passed over)")
_op("max", "ff->f", lambda xp, a, b: xp.where(b > a, b, a), "{1} if {1} > {0} else {0}", rules.MAX,
    "b where b > a, else a (so a NaN in b is passed over)")
_op("lt", "ff->b", lambda xp, a, b: a < b, "{0} < {1}", rules.LT, "a < b")
_op("le", "ff->b", lambda xp, a, b: a <= b, "{0} <= {1}", rules.LE, "a <= b")
_op("eq", "ff->b", lambda xp, a, b: a == b, "{0} == {1}", rules.EQ, "a == b", commutes=True)
_op("and", "bb->b", lambda xp, a, b: a & b, "{0} & {1}", rules.AND, "both", commutes=True)
_op("or", "bb->b", lambda xp, a, b: a | b, "{0} | {1}", rules.OR, "either", commutes=True)
_op("not", "b->b", lambda xp, a: ~a, "not {0}", rules.NOT, "negation of a truth value")
_op("where", "bff->f", lambda xp, c, a, b: xp.where(c, a, b), "{1} if {0} else {2}", rules.WHERE,
    "a where the condition holds, else b")
_op("signed", "bf->f", lambda xp, c, a: xp.where(c, -a, a), "select({0}, -{1}, {1})", rules.SIGNED,
    "-a where the condition holds, else a; promises that the condition changes only where a is 0")

for _name, _rule, _doc in (
    ("hash", rules.HASH, "number in 0..1 - 2^-24 of the lattice point (floor x, floor y, floor z), modulo 2^32"),
    ("noise", rules.NOISE, "gradient noise of the point (x, y, z) in -1..1, 0 at whole points"),
    ("cell_nearest", rules.CELL_NEAREST, "distance of (x, y, z) to the nearest of points scattered one a unit cell"),
    ("cell_second", rules.CELL_SECOND, "distance of (x, y, z) to the second nearest of them"),
):
    _op(_name, "fff->f", _of_lattice(_name), f"{_name}({{0}}, {{1}}, {{2}})", _rule, _doc,
        torch=_of_lattice_with_finite_slope(_name))

_op("field", "sffff->f", _field, "{0}({1}, {2}, {3}, {4})", rules.FIELD,
    "distance of (x, y, z) to a sample of a field, given by its number, in units of its longest side",
    torch=_field_with_finite_slope)
