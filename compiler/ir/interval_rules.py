"""Interval rules: what an operation's value lies between when its operands lie between bounds.

A rule is written once, with a `Maker` that applies operations of the table to ends. With the maker of
nodes the bounds of a formula are a formula themselves; with the maker of numbers the same rule tells what
is known of a value before any input is (`least` and `most`). The pass `intervals` runs both.

What holds for an interval of numbers, with v any value that a float32 kernel computes:

- `lo <= v <= hi`, evaluated in float32 with rounding to nearest; products of the bounds may be fused into
  multiply-adds, and so may those of v.
- Where `nan` is false v is no NaN and neither are the ends. Where it is true v lies between the ends, or both
  are NaN, and nothing is known.

An interval of truth values has "true for all" in `lo` and "true for some" in `hi`.

Correctly rounded operations are monotone, so that their ends need no margin. What is not correctly rounded
(a product inside a sum, by fusing; sin, exp and the like, by their errors) is widened.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from fdif_dsl.compiler.ir import fields
from fdif_dsl.compiler.ir.lattice import FARTHEST, NOISE_SLOPE, NOISE_STEEPEST

End = Any  # a node of a graph, or a number


@dataclass(frozen=True, eq=False)
class Interval:
    """The ends of a value, and the range `least..most` that the ends are known to lie in.

    An interval whose ends are one object is a point: a value that does not differ within a box.
    """

    lo: End
    hi: End
    least: float
    most: float
    nan: bool = False

    @property
    def point(self) -> bool:
        return self.lo is self.hi

    @property
    def sign(self) -> int:
        """1 or -1 where no value has the other sign (0 may be among them), 0 where that is unknown."""
        return 1 if self.least >= 0 else -1 if self.most <= 0 else 0

    @property
    def nonzero(self) -> bool:
        return self.least > 0 or self.most < 0

    @property
    def finite(self) -> bool:
        return -math.inf < self.least and self.most < math.inf


class Maker(Protocol):
    """Makes ends. `exposed` tells whether the result may become part of a fused multiply-add."""

    exposed: bool

    def __call__(self, op: str, *ends: End) -> End:
        """An operation of the table on ends."""
        ...

    def number(self, value: float) -> End: ...

    def doubt(self, x: Interval) -> End:
        """0 where both ends of x are finite, else NaN."""
        ...

    def in_the_middle(self) -> End | None:
        """The first operand's value in the middle of the box; None where that cannot be told."""
        ...


Ends = tuple[End, End, bool]  # lo, hi, and whether a NaN may come of operands that are none


@dataclass(frozen=True)
class Rule:
    """`ends(make, *operands)`. The pass keeps what NaN does, unless the rule does so itself."""

    ends: Callable[..., Ends]
    minds_nan: bool = False


# Margins ------------------------------------------------------------------------------------------

# Two units in the last place of float32: more than fusing can make of a product.
_STEP = 2.0**-22
# sin, cos, asin, acos, atan2: more than the errors that the kernels' functions state.
_ANGLE_ERROR = 1e-6
# noise, cells: more than rounding makes of them.
_LATTICE_ERROR = 4e-6
# fields, whose values are of the order of 1: more than rounding makes of them.
_FIELD_ERROR = 1e-5
# exp, log, pow, cbrt, tan, tanh: relative, more than the errors of the kernels' functions and of libm.
_RELATIVE_ERROR = 4e-6
# The least float32 above 0, for results so small that no relative margin moves them.
_TINY = 2.0**-149
# e^x is exactly 0 in float32 below this.
_EXP_UNDERFLOW = -105.0
# `signed` trusts the middle of a box where the magnitude exceeds this: rounding may move the place where the
# condition changes off the place where the magnitude is 0.
SIGNED_MARGIN = 2.0**-10


def _outward(m: Maker, lo: End, hi: End, relative: float, sign: int = 0) -> tuple[End, End]:
    """The ends moved apart by a fraction of themselves; written such that infinities stay what they are."""
    small, large = m.number(1 - relative), m.number(1 + relative)
    if sign > 0:
        return m("mul", lo, small), m("mul", hi, large)
    if sign < 0:
        return m("mul", lo, large), m("mul", hi, small)
    return (m("min", m("mul", lo, small), m("mul", lo, large)),
            m("max", m("mul", hi, small), m("mul", hi, large)))


def _apart(m: Maker, lo: End, hi: End, by: End) -> tuple[End, End]:
    return m("sub", lo, by), m("add", hi, by)


def _doubted(m: Maker, ends: tuple[End, End], trusted: End) -> tuple[End, End]:
    """The ends where a condition holds, else NaN."""
    unknown = m.number(math.nan)
    return m("where", trusted, ends[0], unknown), m("where", trusted, ends[1], unknown)


def _unless_unknown(m: Maker, lo: End, hi: End, *operands: Interval) -> tuple[End, End]:
    """The ends where those of the operands are known, else NaN."""
    known = [m("eq", x.lo, x.lo) for x in operands if x.nan]
    return _doubted(m, (lo, hi), functools.reduce(lambda a, b: m("and", a, b), known)) if known else (lo, hi)


def _hull(m: Maker, ends: list[End]) -> tuple[End, End]:
    lo = hi = ends[0]
    for end in ends[1:]:
        lo, hi = m("min", lo, end), m("max", hi, end)
    return lo, hi


# Sums and products --------------------------------------------------------------------------------


def _add(m: Maker, a: Interval, b: Interval) -> Ends:
    clash = (a.most == math.inf and b.least == -math.inf) or (a.least == -math.inf and b.most == math.inf)
    return m("add", a.lo, b.lo), m("add", a.hi, b.hi), clash


def _sub(m: Maker, a: Interval, b: Interval) -> Ends:
    clash = a.most == b.most == math.inf or a.least == b.least == -math.inf
    return m("sub", a.lo, b.hi), m("sub", a.hi, b.lo), clash


def _neg(m: Maker, a: Interval) -> Ends:
    return m("neg", a.hi), m("neg", a.lo), False


def _contains_zero(x: Interval) -> bool:
    return x.least <= 0 <= x.most


def _mul(m: Maker, a: Interval, b: Interval) -> Ends:
    if a is b:
        return _square(m, a)
    if m.exposed:
        # Fusing leaves out a rounding of the product; moving one factor by more than that covers it, and
        # where one factor stands in many products, it is moved once.
        if b.point or (a.sign and not b.sign and not a.point):
            a = _moved(m, a)
        else:
            b = _moved(m, b)
    lo, hi = _corners(m, "mul", a, b)
    return lo, hi, (_contains_zero(a) and not b.finite) or (_contains_zero(b) and not a.finite)


def _moved(m: Maker, x: Interval) -> Interval:
    return Interval(*_outward(m, x.lo, x.hi, _STEP, x.sign), x.least, x.most)


def _corners(m: Maker, op: str, a: Interval, b: Interval) -> tuple[End, End]:
    """The hull of an operation that is monotone in both operands as the product is. A factor whose sign
    is known halves the corners to look at."""

    def ends(x: Interval, other: int) -> tuple[list[End], list[End]]:
        both = [x.lo] if x.point else [x.lo, x.hi]
        return {1: ([x.lo], [x.hi]), -1: ([x.hi], [x.lo]), 0: (both, both)}[other]

    low_a, high_a = ends(a, b.sign)
    low_b, high_b = ends(b, a.sign)
    lo, _ = _hull(m, [m(op, x, y) for x in low_a for y in low_b])
    _, hi = _hull(m, [m(op, x, y) for x in high_a for y in high_b])
    return lo, hi


def _square(m: Maker, a: Interval) -> Ends:
    nearest, farthest = _magnitude(m, a)
    lo, hi = m("mul", nearest, nearest), m("mul", farthest, farthest)
    if m.exposed:
        lo, hi = _outward(m, lo, hi, _STEP, 1)
    return lo, hi, False


def _magnitude(m: Maker, a: Interval) -> tuple[End, End]:
    """The least and the greatest absolute value."""
    if a.sign > 0:
        return a.lo, a.hi
    below, above = m("neg", a.hi), m("neg", a.lo)
    if a.sign < 0:
        return below, above
    return m("max", m("max", a.lo, below), m.number(0)), m("max", a.hi, above)


def _away_from_zero(m: Maker, x: Interval) -> End:
    return m("or", m("lt", m.number(0), x.lo), m("lt", x.hi, m.number(0)))


def _div(m: Maker, a: Interval, b: Interval) -> Ends:
    # The reciprocals have the ends of b in reverse order, and its sign, where 0 is not among them.
    lo, hi = _corners(m, "div", a, Interval(b.hi, b.lo, b.least, b.most))
    if not b.nonzero and not b.point:  # division by a point that is 0 gives infinities and NaN itself
        lo, hi = _doubted(m, (lo, hi), _away_from_zero(m, b))
    return lo, hi, not b.nonzero or not (a.finite or b.finite)


def _mod(m: Maker, a: Interval, b: Interval) -> Ends:
    zero = m.number(0)
    lo = zero if b.sign > 0 else m("min", b.lo, zero)
    hi = zero if b.sign < 0 else m("max", b.hi, zero)
    largest, divisor = _magnitude(m, a)[1], _magnitude(m, b)
    most_quotient = m("div", largest, divisor[0])
    sure = b.nonzero and max(-a.least, a.most) < 1e37 * min(abs(b.least), abs(b.most))
    if b.point:  # within one period the remainder is the operand shifted
        first, last = m("floor", m("div", a.lo, b.lo)), m("floor", m("div", a.hi, b.lo))
        same = m("eq", first, last)
        lo = m("where", same, m("sub", a.lo, m("mul", b.lo, first)), lo)
        hi = m("where", same, m("sub", a.hi, m("mul", b.lo, last)), hi)
        if not sure:  # infinite quotients
            lo, hi = m("add", lo, m("sub", first, first)), m("add", hi, m("sub", last, last))
    elif not sure:
        lo, hi = _doubted(m, (lo, hi), m("and", _away_from_zero(m, b), m("lt", most_quotient, m.number(math.inf))))
    # Rounding of the quotient may take the remainder just below 0 or up to the period.
    lo, hi = _apart(m, lo, hi, m("mul", m("max", largest, divisor[1]), m.number(2 * _STEP)))
    return lo, hi, not sure or not (a.finite and b.finite)


# Powers and other functions of the reals ----------------------------------------------------------


def _pow(m: Maker, a: Interval, b: Interval) -> Ends:
    whole = b.least == b.most and b.finite and float(b.least).is_integer()
    exponent = b.least if whole else math.nan
    if whole and exponent % 2 == 0:
        lo, hi = _magnitude(m, a)
        a = Interval(lo, hi, 0.0, max(abs(a.least), abs(a.most)))
    lo, hi = _hull(m, [m("pow", x, y) for x in (a.lo, a.hi) for y in ((b.lo,) if b.point else (b.lo, b.hi))])
    lo, hi = _outward(m, lo, hi, _RELATIVE_ERROR)
    lo, hi = _apart(m, lo, hi, m.number(_TINY))
    doubtful = False
    if whole:
        if exponent < 0 and exponent % 2 and not a.nonzero:
            doubtful = True
            lo, hi = _doubted(m, (lo, hi), _away_from_zero(m, a))
    elif a.least < 0 or (b.least < 0 and not a.nonzero):
        doubtful = True
        lo, hi = _doubted(m, (lo, hi), m("lt" if b.least < 0 else "le", m.number(0), a.lo))
    return lo, hi, doubtful


def _sqrt(m: Maker, a: Interval) -> Ends:
    return m("sqrt", a.lo), m("sqrt", a.hi), a.least < 0


def _cbrt(m: Maker, a: Interval) -> Ends:
    lo, hi = _outward(m, m("cbrt", a.lo), m("cbrt", a.hi), _RELATIVE_ERROR, a.sign)
    return lo, hi, False


def _tanh(m: Maker, a: Interval) -> Ends:
    lo, hi = _outward(m, m("tanh", a.lo), m("tanh", a.hi), _RELATIVE_ERROR, a.sign)
    return *_apart(m, lo, hi, m.number(_TINY)), False


def _exp(m: Maker, a: Interval) -> Ends:
    zero = m.number(0)
    lo, hi = _outward(m, m("exp", a.lo), m("exp", a.hi), _RELATIVE_ERROR, 1)
    lo, hi = _apart(m, lo, hi, m.number(_TINY))
    return m("max", lo, zero), m("where", m("lt", a.hi, m.number(_EXP_UNDERFLOW)), zero, hi), False


def _log(m: Maker, a: Interval) -> Ends:
    lo, hi = _outward(m, m("log", a.lo), m("log", a.hi), _RELATIVE_ERROR)
    return *_apart(m, lo, hi, m.number(_ANGLE_ERROR)), a.least < 0


def _turns(m: Maker, x: Interval, period: float, place: float) -> tuple[End, End]:
    """x in periods from `place`, its ends moved out by more than the error of that. The margin grows
    with x: where sines are noise it is larger than a period."""
    inverse, slack = m.number(1 / period), m.number(2.0**-17)
    lo, hi = m("mul", x.lo, inverse), m("mul", x.hi, inverse)
    return (m("sub", m("sub", lo, m("mul", m("abs", lo), slack)), m.number(place + 1e-6)),
            m("sub", m("add", hi, m("mul", m("abs", hi), slack)), m.number(place - 1e-6)))


def _wave(m: Maker, a: Interval, name: str, crest: float) -> Ends:
    """A sine wave with its highest value 1 at `crest` turns."""

    def reached(place: float) -> End:
        lo, hi = _turns(m, a, math.tau, place)
        return m("le", m("ceil", lo), m("floor", hi))

    lo, hi = _hull(m, [m(name, a.lo), m(name, a.hi)])
    lo = m("where", reached(crest + 0.5), m.number(-1), lo)
    hi = m("where", reached(crest), m.number(1), hi)
    return *_apart(m, lo, hi, m.number(_ANGLE_ERROR)), not a.finite


def _sin(m: Maker, a: Interval) -> Ends:
    return _wave(m, a, "sin", 0.25)


def _cos(m: Maker, a: Interval) -> Ends:
    return _wave(m, a, "cos", 0.0)


def _tan(m: Maker, a: Interval) -> Ends:
    lo, hi = _turns(m, a, math.pi, 0.5)
    same = m("eq", m("floor", lo), m("floor", hi))  # no pole between
    lo, hi = _outward(m, m("tan", a.lo), m("tan", a.hi), _RELATIVE_ERROR)
    return (m("where", same, lo, m.number(-math.inf)), m("where", same, hi, m.number(math.inf)), not a.finite)


def _asin(m: Maker, a: Interval) -> Ends:
    return *_apart(m, m("asin", a.lo), m("asin", a.hi), m.number(_ANGLE_ERROR)), a.least < -1 or a.most > 1


def _acos(m: Maker, a: Interval) -> Ends:
    return *_apart(m, m("acos", a.hi), m("acos", a.lo), m.number(_ANGLE_ERROR)), a.least < -1 or a.most > 1


def _atan2(m: Maker, a: Interval, b: Interval) -> Ends:
    """Without the origin and the cut, the negative half of the second operand's axis, the corners tell."""
    zero, half_turn = m.number(0), m.number(math.pi)
    corners = _hull(m, [m("atan2", y, x) for y in (a.lo, a.hi) for x in (b.lo, b.hi)])
    clear = m("or", _away_from_zero(m, a), m("lt", zero, b.lo))
    lo, hi = m("where", clear, corners[0], m("neg", half_turn)), m("where", clear, corners[1], half_turn)
    return *_apart(m, lo, hi, m.number(_ANGLE_ERROR)), False


# Steps and choices --------------------------------------------------------------------------------
#
# A choice that is known beforehand is left out, unless a point is chosen: what is made of points alone is
# computed once an object, in float64, and not as the kernel does at each voxel.


def _abs(m: Maker, a: Interval) -> Ends:
    return *_magnitude(m, a), False


def _rising(op: str) -> Rule:
    """The rule of a function that never falls and is exact."""
    return Rule(lambda m, a: (m(op, a.lo), m(op, a.hi), False))


def _min(m: Maker, a: Interval, b: Interval) -> Ends:
    if a.most <= b.least and not a.point:
        return a.lo, a.hi, False
    if b.most <= a.least and not b.point:
        return *_unless_unknown(m, b.lo, b.hi, a), False
    return *_unless_unknown(m, m("min", a.lo, b.lo), m("min", a.hi, b.hi), a, b), False


def _max(m: Maker, a: Interval, b: Interval) -> Ends:
    if a.least >= b.most and not a.point:
        return a.lo, a.hi, False
    if b.least >= a.most and not b.point:
        return *_unless_unknown(m, b.lo, b.hi, a), False
    return *_unless_unknown(m, m("max", a.lo, b.lo), m("max", a.hi, b.hi), a, b), False


def _certain(m: Maker, must: End, *operands: Interval) -> End:
    """`must`, where no operand may be NaN: a comparison with NaN is false."""
    for x in operands:
        if x.nan:
            must = m("and", must, m("eq", x.lo, x.lo))
    return must


def _lt(m: Maker, a: Interval, b: Interval) -> Ends:
    return _certain(m, m("lt", a.hi, b.lo), a, b), m("not", m("le", b.hi, a.lo)), False


def _le(m: Maker, a: Interval, b: Interval) -> Ends:
    return _certain(m, m("le", a.hi, b.lo), a, b), m("not", m("lt", b.hi, a.lo)), False


def _eq(m: Maker, a: Interval, b: Interval) -> Ends:
    must = m("and", m("eq", a.lo, b.hi), m("eq", a.hi, b.lo))
    cannot = m("or", m("lt", a.hi, b.lo), m("lt", b.hi, a.lo))
    return _certain(m, must, a, b), m("not", cannot), False


def _and(m: Maker, a: Interval, b: Interval) -> Ends:
    return m("and", a.lo, b.lo), m("and", a.hi, b.hi), False


def _or(m: Maker, a: Interval, b: Interval) -> Ends:
    return m("or", a.lo, b.lo), m("or", a.hi, b.hi), False


def _not(m: Maker, a: Interval) -> Ends:
    return m("not", a.hi), m("not", a.lo), False


def _where(m: Maker, c: Interval, a: Interval, b: Interval) -> Ends:
    """Where the condition is decided its branch alone counts, NaN or not."""
    if c.point:
        return m("where", c.lo, a.lo, b.lo), m("where", c.lo, a.hi, b.hi), False
    if c.least and not a.point:
        return a.lo, a.hi, False
    if not c.most and not b.point:
        return b.lo, b.hi, False
    lo, hi = _unless_unknown(m, m("min", a.lo, b.lo), m("max", a.hi, b.hi), a, b)
    lo = m("where", c.lo, a.lo, m("where", c.hi, lo, b.lo))
    hi = m("where", c.lo, a.hi, m("where", c.hi, hi, b.hi))
    return lo, hi, False


def _signed(m: Maker, c: Interval, a: Interval) -> Ends:
    """The condition changes only where the magnitude is 0. So where that is not 0 in the whole box, one
    place tells for all; the bounds come from a box, so that the places between are bounded too."""
    inside, outside = m("neg", a.hi), m("neg", a.lo)  # the ends if the condition holds
    if c.point:
        return m("where", c.lo, inside, a.lo), m("where", c.lo, outside, a.hi), False
    middle = m.in_the_middle()
    if middle is None:
        lo, hi = _hull(m, [inside, outside, a.lo, a.hi])
        return lo, hi, False
    decided = m("lt", m.number(SIGNED_MARGIN), a.lo)
    least, most = (inside, a.hi) if a.sign > 0 else (m("min", inside, a.lo), m("max", a.hi, outside))
    lo = m("where", m("and", decided, m("not", middle)), a.lo, least)
    hi = m("where", m("and", decided, middle), outside, most)
    return lo, hi, False


# The lattice ---------------------------------------------------------------------------------------
#
# The value in the middle of a box, and how far it may be from there at most.


def _middle(m: Maker, *sides: Interval) -> tuple[list[End], list[End]]:
    """The middle of a box, and how far it reaches along each axis that it has."""
    half, middles, reaches = m.number(0.5), [], []
    for x in sides:
        if x.point:
            middles.append(x.lo)
            continue
        middle = m("add", m("mul", half, x.lo), m("mul", half, x.hi))
        middles.append(middle)
        reaches.append(m("mul", m("max", m("sub", x.hi, middle), m("sub", middle, x.lo)), m.number(1 + 2 * _STEP)))
    return middles, reaches


def _near(m: Maker, op: str, sides: tuple[Interval, ...], middles: list[End], reach: End, least: float,
          most: float) -> Ends:
    """What an op gives within `reach` of its value in the middle of a box; it lies between `least` and `most`."""
    value = m(op, *middles)
    lo, hi = _apart(m, value, value, m("add", reach, m.number(_LATTICE_ERROR)))
    # In this order a NaN, of a reach that has overflowed, is passed over.
    return m("max", m.number(least), lo), m("min", m.number(most), hi), not all(x.finite for x in sides)


def _noise(m: Maker, *sides: Interval) -> Ends:
    middles, reaches = _middle(m, *sides)
    total = largest = m.number(0)
    for reach in reaches:
        total, largest = m("add", total, reach), m("max", largest, reach)
    rise = m("min", m("mul", total, m.number(NOISE_SLOPE)), m("mul", largest, m.number(NOISE_STEEPEST)))
    return _near(m, "noise", sides, middles, rise, -1, 1)


def _cell(op: str) -> Rule:
    """A distance changes no faster than its point."""
    def ends(m: Maker, *sides: Interval) -> Ends:
        middles, reaches = _middle(m, *sides)
        square = m.number(0)
        for reach in reaches:
            square = m("add", square, m("mul", reach, reach))
        across = m("mul", m("sqrt", square), m.number(1 + _STEP))
        return _near(m, op, sides, middles, across, 0, FARTHEST)

    return Rule(ends)


def _hash(m: Maker, *sides: Interval) -> Ends:
    x, y, z = (m("eq", m("floor", side.lo), m("floor", side.hi)) for side in sides)
    same = m("and", m("and", x, y), z)
    value = m("hash", *(side.lo for side in sides))
    return (m("where", same, value, m.number(0)), m("where", same, value, m.number(1 - 2.0**-24)),
            not all(side.finite for side in sides))


# Fields -------------------------------------------------------------------------------------------


def _field(m: Maker, samples: Interval, k: Interval, *sides: Interval) -> Ends:
    """The distance to the box, and the values in the middles of the eight parts of what the box leaves of the sides,
    each of which changes no faster than the samples are steep."""
    found = fields.baked(samples.lo.const)
    least, most = found.range
    near = far = reach = m.number(0)
    middles: list[tuple[End, End]] = []
    for x, half in zip(sides, found.halves, strict=True):
        end, zero = m.number(half), m.number(0)
        first, last = (m("max", m("sub", a, end), zero) for a in _magnitude(m, x))
        near, far = m("add", near, m("mul", first, first)), m("add", far, m("mul", last, last))
        lo, hi = (m("min", m("max", a, m("neg", end)), end) for a in (x.lo, x.hi))
        middle = m("add", m("mul", m.number(0.5), lo), m("mul", m.number(0.5), hi))
        across = m("mul", m.number(0.5), m("max", m("sub", hi, middle), m("sub", middle, lo)))
        middles.append((m("sub", middle, across), m("add", middle, across)))
        reach = m("add", reach, m("mul", across, across))
    lo, hi = m.number(least), m.number(most)
    if k.point:
        values = [m("field", samples.lo, k.lo, *places) for places in itertools.product(*middles)]
        around = m("add", m("mul", m("sqrt", reach), m.number(found.slope * (1 + 4 * _STEP))),
                   m.number(_FIELD_ERROR))
        low, high = (functools.reduce(functools.partial(m, op), values) for op in ("min", "max"))
        lo, hi = m("max", lo, m("sub", low, around)), m("min", hi, m("add", high, around))
    return (m("add", lo, m("mul", m("sqrt", near), m.number(1 - 4 * _STEP))),
            m("add", hi, m("mul", m("sqrt", far), m.number(1 + 4 * _STEP))), False)


def field_range(key: str, sides: list[Interval]) -> tuple[float, float]:
    """Between what the values of a field lie, wherever the point is."""
    found = fields.baked(key)
    least, most = found.range
    farthest = [max(0.0, max(-x.least, x.most) - half) for x, half in zip(sides, found.halves, strict=True)]
    return least - _FIELD_ERROR, most + _FIELD_ERROR + math.hypot(*farthest)


ADD, SUB, MUL, DIV, MOD, POW = Rule(_add), Rule(_sub), Rule(_mul), Rule(_div), Rule(_mod), Rule(_pow)
NEG, ABS, SQRT, CBRT, EXP, LOG = Rule(_neg), Rule(_abs), Rule(_sqrt), Rule(_cbrt), Rule(_exp), Rule(_log)
TANH = Rule(_tanh)
SIN, COS, TAN, ASIN, ACOS, ATAN2 = Rule(_sin), Rule(_cos), Rule(_tan), Rule(_asin), Rule(_acos), Rule(_atan2)
SIGN, FLOOR, CEIL, ROUND = _rising("sign"), _rising("floor"), _rising("ceil"), _rising("round")
MIN, MAX, SIGNED = Rule(_min, minds_nan=True), Rule(_max, minds_nan=True), Rule(_signed)
LT, LE, EQ = Rule(_lt, minds_nan=True), Rule(_le, minds_nan=True), Rule(_eq, minds_nan=True)
AND, OR, NOT = Rule(_and, minds_nan=True), Rule(_or, minds_nan=True), Rule(_not, minds_nan=True)
WHERE = Rule(_where, minds_nan=True)
HASH, NOISE, CELL_NEAREST, CELL_SECOND = Rule(_hash), Rule(_noise), _cell("cell_nearest"), _cell("cell_second")
FIELD = Rule(_field)
