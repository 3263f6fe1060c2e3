"""Does a mapper add nothing outside an object? Then tiles that lie outside need no mapper at all.

Each node is given bounds on the assumption that the distance is positive (infinity included); a
comparison that the bounds decide chooses its branch. No name of a mapper is known here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fdif_dsl.compiler.ir import Node, one_evaluation

_LEAST_POSITIVE = 2.0**-149  # of float32


@dataclass(frozen=True)
class Bounds:
    """least <= value <= greatest, or the value is NaN where `nan` allows it. Truth values are 0 and 1."""

    least: float = -math.inf
    greatest: float = math.inf
    nan: bool = True


_ANY = Bounds()
_TRUTH = Bounds(0, 1, False)


def adds_nothing_outside(result: Node) -> bool:
    """Whether `result`, an intensity, is 0 (or NaN, which adds 0) for every distance > 0."""
    known: dict[Node, Bounds] = {}
    for node in one_evaluation(result):
        known[node] = _bounds(node, [known[a] for a in node.args] if node.op != "grid_min" else [])
    found = known[result]
    return found.least == found.greatest == 0


def _bounds(node: Node, args: Sequence[Bounds]) -> Bounds:
    match node.op:
        case "const" if not math.isnan(node.const):
            return Bounds(float(node.const), float(node.const), False)
        case "input" if node.const == "d":
            return Bounds(_LEAST_POSITIVE, math.inf, False)
        case "neg":
            return Bounds(-args[0].greatest, -args[0].least, args[0].nan)
        case "abs":
            a = args[0]
            least = 0.0 if a.least <= 0 <= a.greatest else min(abs(a.least), abs(a.greatest))
            return Bounds(least, max(abs(a.least), abs(a.greatest)), a.nan)
        case "min" | "max":
            return _extreme(node.op, *args)
        case "mul":
            return _product(*args)
        case "lt":
            return _less(args[0], args[1], strict=True)
        case "le":
            return _less(args[0], args[1], strict=False)
        case "eq":
            a, b = args
            return Bounds(0, 0, False) if a.greatest < b.least or b.greatest < a.least else _TRUTH
        case "not":
            return Bounds(1 - args[0].greatest, 1 - args[0].least, False)
        case "and":
            return Bounds(min(args[0].least, args[1].least), min(args[0].greatest, args[1].greatest), False)
        case "or":
            return Bounds(max(args[0].least, args[1].least), max(args[0].greatest, args[1].greatest), False)
        case "where":
            condition, a, b = args
            if condition.least == condition.greatest:
                return a if condition.least else b
            return Bounds(min(a.least, b.least), max(a.greatest, b.greatest), a.nan or b.nan)
    return _TRUTH if node.type == "b" else _ANY


def _less(a: Bounds, b: Bounds, *, strict: bool) -> Bounds:
    never = a.least >= b.greatest if strict else a.least > b.greatest
    always = a.greatest < b.least if strict else a.greatest <= b.least
    if never:  # and NaN is not less either
        return Bounds(0, 0, False)
    return Bounds(1, 1, False) if always and not (a.nan or b.nan) else _TRUTH


def _extreme(op: str, a: Bounds, b: Bounds) -> Bounds:
    """`min(a, b)` is b where b < a, else a: a NaN in b is passed over, one in a stays."""
    pick = min if op == "min" else max
    least, greatest = pick(a.least, b.least), pick(a.greatest, b.greatest)
    if b.nan:
        least, greatest = min(least, a.least), max(greatest, a.greatest)
    return Bounds(least, greatest, a.nan)


def _product(a: Bounds, b: Bounds) -> Bounds:
    zero = any(x.least <= 0 <= x.greatest for x in (a, b))
    infinite = any(math.isinf(v) for x in (a, b) for v in (x.least, x.greatest))
    # 0 times infinity is NaN, and whatever else the product is, NaN does not bound it.
    ends = [p for x in (a.least, a.greatest) for y in (b.least, b.greatest) if not math.isnan(p := x * y)]
    if zero and infinite:
        ends.append(0.0)
    return Bounds(min(ends), max(ends), a.nan or b.nan or (zero and infinite)) if ends else _ANY
