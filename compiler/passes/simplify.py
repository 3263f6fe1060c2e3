"""Simplification: constants are folded, and a few rules that hold for every value of IEEE arithmetic.

No rule may change a number, a NaN or an infinity (`x * 0` stays, since x may be infinite); only the sign
of a zero may differ, and a power of a constant by rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

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
        value = OPS[op].array(np, *(np.float64(a.const) if a.type == "f" else np.bool_(a.const) for a in args))
        return g.truth(bool(value)) if OPS[op].result == "b" else g.number(float(value))
    rule = _RULES.get(op)
    return (rule(g, *args) if rule else None) or g.node(op, *args)


def _is(node: Node, value: float) -> bool:
    return node.op == "const" and node.const == value


def _add(g: Graph, a: Node, b: Node) -> Node | None:
    if _is(b, 0):
        return a
    if _is(a, 0):
        return b
    if b.op == "neg":
        return make(g, "sub", [a, b.args[0]])
    return None


def _sub(g: Graph, a: Node, b: Node) -> Node | None:
    if _is(b, 0):
        return a
    if _is(a, 0):
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
    if b.op == "const" and b.const != 0 and np.isfinite(b.const) and np.frexp(b.const)[0] in (0.5, -0.5):
        return make(g, "mul", [a, g.number(1 / b.const)])  # a power of two has an exact reciprocal
    return None


def _neg(g: Graph, a: Node) -> Node | None:
    return a.args[0] if a.op == "neg" else None


def _abs(g: Graph, a: Node) -> Node | None:
    if a.op == "neg":
        return make(g, "abs", [a.args[0]])
    return a if a.op in ("abs", "sqrt", "exp") else None


def _pow(g: Graph, a: Node, b: Node) -> Node | None:
    if b.op == "const" and b.const in (1.0, 2.0, 3.0, 4.0):
        square = g.node("mul", a, a)
        return {1.0: lambda: a, 2.0: lambda: square, 3.0: lambda: g.node("mul", square, a),
                4.0: lambda: g.node("mul", square, square)}[b.const]()
    if b.op == "const" and b.const == 0.5:
        return None  # pow(-0, 1/2) and pow(-inf, 1/2) differ from the square root
    if _is(a, 1):
        return a
    if a.op == "const" and a.const > 0 and np.isfinite(a.const):
        return g.node("exp", g.node("mul", b, g.number(float(np.log(a.const)))))
    return None


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


_RULES: dict[str, Rule] = {
    "add": _add, "sub": _sub, "mul": _mul, "div": _div, "neg": _neg, "abs": _abs, "pow": _pow, "where": _where,
    "min": _same, "max": _same, "and": _and, "or": _or, "not": _not,
    "signed": _signed,
}
