"""Bounds of a formula over a box, as formulas: evaluate those, and every voxel of the box is bounded.

An input `p.x` of the formula becomes the two inputs `p.x.lo` and `p.x.hi` of its bounds. What does not
differ from point to point is taken over as it is. See `interval_rules.py` for what the bounds promise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fdif_dsl.compiler.ir.graph import REDUCTION, Graph, Node, one_evaluation, rebuild
from fdif_dsl.compiler.ir.interval_rules import Ends, Interval, field_range
from fdif_dsl.compiler.ir.ops import OPS
from fdif_dsl.compiler.passes.cse import cse
from fdif_dsl.compiler.passes.rates import Rate, infer_rates
from fdif_dsl.compiler.passes.simplify import make

LIMIT = 2.0**20
"""Bounds hold where every end of an input and every number of the object that the voxels read is finite
and of this magnitude at most, unless `assumed` says otherwise."""


@dataclass(frozen=True)
class Range:
    """What is known of a number beforehand: least <= x <= most, or NaN if `nan`."""

    least: float
    most: float
    nan: bool = False

    @property
    def finite(self) -> bool:
        return not self.nan and -math.inf < self.least and self.most < math.inf


FINITE = Range(-LIMIT, LIMIT)
NO_NAN = Range(-math.inf, math.inf)
ANYTHING = Range(-math.inf, math.inf, nan=True)


def bounds(graph: Graph, result: Node, assumed: Range = FINITE) -> tuple[Node, Node]:
    """The nodes `(lo, hi)`, made by `graph`, of bounds of `result` over a box of its inputs.

    With v what a float32 kernel computes at inputs within the box: lo <= v <= hi, or both are NaN, which
    means that nothing is known. Of a truth value lo is true where it holds in the whole box, and hi where
    it may hold somewhere. The bounds hold if evaluated in float32 from float32 ends, under the assumption
    that each input, and each value that is computed once an object and read at voxels (`rates.split`
    lists them), lies in `assumed`. v is a kernel's result as it is stored, not fused with what is done to it
    next. Products below 1e-37 are taken to be exact.

    To share what belongs to the object with the formula, give `Graph.of` its nodes.
    """
    with np.errstate(all="ignore"):
        ends = _Bounds(graph, result, assumed).of(result)
        lo, hi = cse(graph, [ends.lo, ends.hi])
    return lo, hi


class _Bounds:
    def __init__(self, graph: Graph, result: Node, assumed: Range) -> None:
        self._graph = graph
        self._assumed = assumed
        self._order = one_evaluation(result)
        self._moving = _moving(self._order)
        self._constant = {n for n, rate in infer_rates(self._order).items() if rate is Rate.CONSTANT}
        self._read = {a for n in self._order if n in self._moving for a in n.args if a not in self._moving}
        self._exposed = _exposed(self._order)
        self._known: dict[Node, Interval] = {}
        self._middles: dict[Node, Node] = {}

    def of(self, result: Node) -> Interval:
        for node in self._order:
            self._known[node] = self._input(node) if node.op == "input" else self._interval(node)
        return self._known[result]

    def _input(self, node: Node) -> Interval:
        lo, hi = (self._graph.node("input", const=f"{node.const}.{end}") for end in ("lo", "hi"))
        if self._assumed.nan:
            lo, hi = _sealed(_Nodes(self, node), lo, hi)
        return Interval(lo, hi, self._assumed.least, self._assumed.most, self._assumed.nan)

    def _interval(self, node: Node) -> Interval:
        if node.type == "s":
            return Interval(rebuild(self._graph, [node], {})[0], None, -math.inf, math.inf)
        operands = [self._known[a] for a in node.args] if node.op != REDUCTION else []
        known = self._range(node, operands)
        # What is made of constants alone is what it is; nobody looks at it before a kernel runs.
        if node in self._read and node not in self._constant and OPS.get(node.op, _NUMBER).result == "f":
            known = _both(known, self._assumed)
        if node not in self._moving:
            point = self._point(node)
            return Interval(point, point, known.least, known.most, known.nan)
        lo, hi, _ = _apply(_Nodes(self, node), node.op, operands)
        return Interval(lo, hi, known.least, known.most, known.nan)

    def _range(self, node: Node, operands: list[Interval]) -> Range:
        if node.op == "const":
            value = float(np.float32(node.const)) if node.type == "f" else node.const
            return Range(value, value) if value == value else ANYTHING
        if node.op not in OPS:
            return ANYTHING
        if node.op == "field":
            samples, _, *sides = operands
            return Range(*field_range(samples.lo.const, sides), any(x.nan for x in sides))
        # An operand that stands twice is one object here too: the rule of a product asks for that.
        numbers = {id(x): _as_numbers(x) for x in operands}
        lo, hi, nan = _apply(_Numbers(), node.op, [numbers[id(x)] for x in operands])
        return _outward(lo, hi, nan)

    def _point(self, node: Node) -> Node:
        if node.op == REDUCTION or not node.args:
            return rebuild(self._graph, [node], {})[0]
        return self._graph.node(node.op, *(self._known[a].lo for a in node.args))

    def middle(self, node: Node) -> Node | None:
        """The value of `node` in the middle of the box."""
        if not self._assumed.finite:
            return None
        graph, new = self._graph, self._middles
        for n in one_evaluation(node):
            if n in new:
                continue
            if n not in self._moving:
                new[n] = self._known[n].lo
            elif n.op == "input":
                ends = self._known[n]
                new[n] = make(graph, "mul", [graph.number(0.5), make(graph, "add", [ends.lo, ends.hi])])
            else:
                new[n] = graph.node(n.op, *(new[a] for a in n.args))
        return new[node]


_NUMBER = OPS["add"]  # leaves and reductions are numbers as its result is


class _Nodes:
    """The maker of nodes, for the rule of one node."""

    def __init__(self, bounds: _Bounds, node: Node) -> None:
        self._bounds = bounds
        self._node = node
        self.exposed = node in bounds._exposed

    def __call__(self, op: str, *ends: Node) -> Node:
        graph = self._bounds._graph
        if all(e.op == "const" for e in ends):  # as the kernel would: in float32
            return self.number(_evaluate(op, [np.float32(e.const) if e.type == "f" else e.const for e in ends]))
        return make(graph, op, ends)

    def number(self, value: Any) -> Node:
        graph = self._bounds._graph
        return graph.truth(bool(value)) if isinstance(value, bool | np.bool_) else graph.number(float(value))

    def doubt(self, x: Interval) -> Node:
        if x.point or (x.nan and x.finite):  # the ends are both finite or both NaN
            return self("sub", x.lo, x.lo)
        return self("add", self("sub", x.lo, x.lo), self("sub", x.hi, x.hi))

    def in_the_middle(self) -> Node | None:
        return self._bounds.middle(self._node.args[0])


class _Numbers:
    """The maker of numbers: what the same rule says of all boxes at once."""

    exposed = True

    def __call__(self, op: str, *ends: Any) -> Any:
        return _evaluate(op, [np.float64(e) if not isinstance(e, bool) else e for e in ends])

    def number(self, value: float) -> float:
        return float(value)

    def doubt(self, x: Interval) -> float:
        return math.nan if x.nan or not x.finite else 0.0

    def in_the_middle(self) -> None:
        return None


def _evaluate(op: str, ends: list[Any]) -> Any:
    value = OPS[op].array(np, *(np.bool_(e) if isinstance(e, bool) else e for e in ends))
    return bool(value) if OPS[op].result == "b" else float(value)


def _apply(m: Any, op: str, operands: list[Interval]) -> Ends:
    """The rule of an op, and what NaN does to it: both ends NaN, unless the operands' are finite."""
    rule = OPS[op].interval
    lo, hi, made = rule.ends(m, *operands)
    nan = made or any(x.nan for x in operands)
    if OPS[op].result == "b":
        return lo, hi, False
    if nan and not rule.minds_nan:
        for x in dict.fromkeys(operands):
            if OPS[op].operands[operands.index(x)] == "f" and (x.nan or not x.finite):
                lo = m("add", lo, m.doubt(x))
        lo, hi = _sealed(m, lo, hi)
    return lo, hi, nan


def _sealed(m: Any, lo: Any, hi: Any) -> tuple[Any, Any]:
    """Both ends NaN unless both are finite."""
    doubt = m("add", m("sub", lo, lo), m("sub", hi, hi))
    return m("add", lo, doubt), m("add", hi, doubt)


def _as_numbers(x: Interval) -> Interval:
    hi = x.least if x.least == x.most else x.most
    return Interval(x.least, hi, x.least, x.most, x.nan)


def _outward(lo: Any, hi: Any, nan: bool) -> Range:
    """A range moved out by more than float32 rounds, and over what float32 cannot hold: below 1e-37 to 0, above
    3e38 to infinity. A bound that is 0 stays, so that signs are known."""
    if isinstance(lo, bool):
        return Range(lo, hi)
    least = -math.inf if not lo > -3e38 else lo - 1e-6 * abs(lo) if lo < 3e38 else 3e38
    most = math.inf if not hi < 3e38 else hi + 1e-6 * abs(hi) if hi > -3e38 else -3e38
    return Range(0.0 if 0 < least < 1e-37 else least, 0.0 if -1e-37 < most < 0 else most, nan)


def _both(a: Range, b: Range) -> Range:
    least, most = max(a.least, b.least), min(a.most, b.most)
    return Range(least, most, a.nan and b.nan) if least <= most else a


def _moving(order: Iterable[Node]) -> set[Node]:
    """The nodes that differ from point to point."""
    moving: set[Node] = set()
    for node in order:
        if node.op == "input" or (node.op != REDUCTION and any(a in moving for a in node.args)):
            moving.add(node)
    return moving


def _exposed(order: list[Node]) -> set[Node]:
    """The nodes that a sum may use directly or through a choice: a product among them may be fused."""
    exposed: set[Node] = set()
    for node in reversed(order):
        if node.op in ("add", "sub", "mod") or (node.op in ("neg", "abs", "min", "max", "where", "signed")
                                                and node in exposed):
            exposed.update(node.args)
    return exposed
