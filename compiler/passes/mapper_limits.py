"""Where a mapper has nothing to say: beyond which distance it adds nothing, and how deep inside it is constant.

Found from the formula: its bounds are evaluated over all distances beyond a number, and that number is searched
for by bisection over the float32 numbers. No name of a mapper is known here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.graph import Graph, Node, rebuild
from fdif_dsl.compiler.passes.intervals import LIMIT, NO_NAN, bounds
from fdif_dsl.compiler.passes.rates import split
from fdif_dsl.compiler.passes.schedule import run_voxels

DEEPEST = -(2.0**11)
"""How deep, in voxels, a mapper is asked at least whether it is constant from there on."""


@dataclass(frozen=True)
class MapperLimits:
    """For each distance >= `empty_from` the intensity is 0; for each <= `constant_to` it is exactly `constant`.

    A limit that does not exist is an infinity: `empty_from` +inf, `constant_to` -inf. Else `constant_to` lies
    between `DEEPEST` and 0. Both hold for the float32 kernel and for infinite distances; a distance must not be
    NaN.
    """

    empty_from: float
    constant_to: float
    constant: float


NEVER = MapperLimits(math.inf, -math.inf, 0.0)


def limits(formula: Formula, values: Mapping[Node, float]) -> MapperLimits:
    """The limits of a mapper that sees the distance alone.

    `values` has the number of each node that is computed before any distance is known and that the mapper
    reads; `rates.split` lists them.
    """
    graph = Graph()
    numbers = {node: graph.number(float(np.float32(value))) for node, value in values.items()}
    (result,) = rebuild(graph, [formula.result], numbers)
    value = _intensity(graph, result, {})
    constant = value(-math.inf, DEEPEST)
    constant_to = _last(lambda d: value(-math.inf, d) == constant, DEEPEST, 0.0)
    return MapperLimits(_empty_from(value), constant_to, 0.0 if math.isnan(constant) else constant)


def empty_from(formula: Formula) -> float:
    """From which distance on a mapper adds nothing, whatever the numbers of its object and the coordinates of the
    point, up to a magnitude of `intervals.LIMIT`."""
    graph = Graph()
    others: dict[Node, Node] = {}
    for k, node in enumerate(split(formula.result, world_is_axis=False).values):
        number = graph.node("input", const=f"number {k}")
        others[node] = number if node.type == "f" else graph.node("lt", number, graph.number(0))
    (result,) = rebuild(graph, [formula.result], others)
    names = [*(f"{space}.{axis}" for space in "pw" for axis in "xyz"), *(f"number {k}" for k in range(len(others)))]
    return _empty_from(_intensity(graph, result, {
        f"{name}.{end}": np.float32(side) for name in names for end, side in (("lo", -LIMIT), ("hi", LIMIT))}))


def _intensity(graph: Graph, result: Node, known: Mapping[str, np.float32]) -> Callable[[float, float], float]:
    """The intensity at all distances from lo to hi, and all other inputs within the ends `known`; NaN where it is not
    known to be one."""
    ends = bounds(graph, result, NO_NAN)

    def value(lo: float, hi: float) -> float:
        inputs = {**known, "d.lo": np.float32(lo), "d.hi": np.float32(hi)}
        with np.errstate(all="ignore"):
            least, most = (float(run_voxels(end, {}, inputs, convert=np.float32)) for end in ends)
        return least if least == most and math.isfinite(least) else math.nan

    return value


def _empty_from(value: Callable[[float, float], float]) -> float:
    return -_last(lambda d: value(-d, math.inf) == 0, -math.inf, math.inf)


def _last(holds: Callable[[float], bool], first: float, last: float) -> float:
    """The greatest float32 from `first` to `last` up to which a property holds that, once lost, stays lost;
    -infinity if there is none."""
    low, high = _rank(first), _rank(last)
    if not holds(first):
        return -math.inf
    while low < high:
        middle = (low + high + 1) // 2
        if holds(_number(middle)):
            low = middle
        else:
            high = middle - 1
    return _number(low)


def _rank(x: float) -> int:
    """The place of a float32 among all of them, from the least to the greatest; of 0 and -0 it is the same."""
    bits = int(np.float32(x).view(np.int32))
    return bits if bits >= 0 else -(bits & 0x7FFFFFFF)


def _number(rank: int) -> float:
    return math.copysign(float(np.int32(abs(rank)).view(np.float32)), rank)
