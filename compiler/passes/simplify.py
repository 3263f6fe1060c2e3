"""Simplification: constants are folded, and a few rules that hold for every value of IEEE arithmetic.

No rule may change a bit of a value, nor whether it is a NaN: `x * 0` stays, since x may be infinite or negative,
and so does `0 - x`, which is 0 where x is 0, while `-x` is -0 there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from fdif_dsl.compiler.ir.exact import SCALARS
from fdif_dsl.compiler.ir.graph import LEAVES, Graph, Node, reachable
from fdif_dsl.compiler.ir.ops import OPS

Rule = Callable[..., Node | None]


def simplify(graph: Graph, roots: list[Node]) -> list[Node]:
    new: dict[Node, Node] = {}
    with np.errstate(all="ignore"):
        for node in reachable(roots):
            new[node] = node if node.op in LEAVES else make(graph, node.op, [new[a] for a in node.args])
    return [new[r] for r in roots]


def make(g: Graph, op: str, args: Sequence[Node]) -> Node:
    """The node of an operation on simplified operands, itself simplified."""
    if op in OPS and all(a.op == "const" for a in args):
        value = OPS[op].array(SCALARS, *(np.float64(a.const) if a.type == "f" else np.bool_(a.const) for a in args))
        return g.truth(bool(value)) if OPS[op].result == "b" else g.number(float(value))
    rule = _RULES.get(op)
    return (rule(g, *args) if rule else None) or g.node(op, *args)


def _is(node: Node, value: float) -> bool:
    """Whether a node is this constant; 0 and -0 are two."""
    return node.op == "const" and node.const == value and math.copysign(1, node.const) == math.copysign(1, value)


def _add(g: Graph, a: Node, b: Node) -> Node | None:
    for x, y in ((a, b), (b, a)):
        if _is(y, -0.0) or (_is(y, 0.0) and _never_minus_zero(x)):  # -0 + 0 is 0
            return x
    if b.op == "neg":
        return make(g, "sub", [a, b.args[0]])
    return None


def _sub(g: Graph, a: Node, b: Node) -> Node | None:
    if _is(b, 0.0) or (_is(b, -0.0) and _never_minus_zero(a)):
        return a
    if _is(a, -0.0):  # 0 - 0 is 0, and so is -0 - -0, but -0 - 0 is -0
        return make(g, "neg", [b])
    if b.op == "neg":
        return make(g, "add", [a, b.args[0]])
    return None


def _mul(g: Graph, a: Node, b: Node) -> Node | None:
    for x, y in ((a, b), (b, a)):
        if _is(y, 1):
            return x
        if _is(y, -1):
            return make(g, "neg", [x])
    return None


def _div(g: Graph, a: Node, b: Node) -> Node | None:
    if _is(b, 1):
        return a
    if b.op == "const" and np.isfinite(b.const):
        half, exponent = np.frexp(b.const)
        # A power of two has an exact reciprocal, if that is a normal number in float32 too.
        if half in (0.5, -0.5) and abs(exponent) < 126:
            return make(g, "mul", [a, g.number(1 / b.const)])
    return None


def _neg(g: Graph, a: Node) -> Node | None:
    return a.args[0] if a.op == "neg" else None


def _abs(g: Graph, a: Node) -> Node | None:
    if a.op == "neg":
        return make(g, "abs", [a.args[0]])
    return a if a.op in ("abs", "exp") or (a.op == "sqrt" and _never_minus_zero(a)) else None


def _pow(g: Graph, a: Node, b: Node) -> Node | None:
    return a if _is(a, 1) else None


def _where(g: Graph, c: Node, a: Node, b: Node) -> Node | None:
    if c.op == "const":
        return a if c.const else b
    if a is b:
        return a
    if c.op == "not":
        return make(g, "where", [c.args[0], b, a])
    return None


def _same(g: Graph, a: Node, b: Node) -> Node | None:
    return a if a is b else None


def _and(g: Graph, a: Node, b: Node) -> Node | None:
    for x, y in ((a, b), (b, a)):
        if x.op == "const":
            return y if x.const else x
    return _same(g, a, b)


def _or(g: Graph, a: Node, b: Node) -> Node | None:
    for x, y in ((a, b), (b, a)):
        if x.op == "const":
            return x if x.const else y
    return _same(g, a, b)


def _not(g: Graph, a: Node) -> Node | None:
    return a.args[0] if a.op == "not" else None


def _signed(g: Graph, c: Node, a: Node) -> Node | None:
    if c.op == "const":
        return make(g, "neg", [a]) if c.const else a
    return None


_DEEP = 8  # how far to look for the sign of a zero: enough for what people write, and no long walk


def _never_minus_zero(node: Node, steps: int = _DEEP) -> bool:
    """Whether a value is known not to be -0, so that adding 0 to it changes nothing."""
    if steps == 0:
        return False

    def known(*args: Node) -> list[bool]:
        return [_never_minus_zero(a, steps - 1) for a in args]

    match node.op:
        case "const":
            return not _is(node, -0.0)
        case "grid" | "draw" | "abs" | "exp" | "sign":
            return True
        case "add":  # -0 only where both are
            return any(known(*node.args))
        case "sub":  # -0 only of -0 - 0
            return known(node.args[0])[0] or (node.args[1].op == "const" and node.args[1].const != 0)
        case "mul":
            return node.args[0] is node.args[1]
        case "sqrt" | "floor" | "min" | "max":
            return all(known(*node.args))
        case "where":
            return all(known(*node.args[1:]))
    return False


_RULES: dict[str, Rule] = {
    "add": _add, "sub": _sub, "mul": _mul, "div": _div, "neg": _neg, "abs": _abs, "pow": _pow, "where": _where,
    "min": _same, "max": _same, "and": _and, "or": _or, "not": _not,
    "signed": _signed,
}
