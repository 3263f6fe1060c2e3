"""The object stage: named quantities and everything else that is computed once an object.

A schedule is the list of nodes to evaluate, in order, when some slots are given and the others are
to be computed from their definitions. Backends differ only in the array module that runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from fdif_dsl.compiler.ir.formula import Formula, Quantity
from fdif_dsl.compiler.ir.graph import LEAVES, REDUCTION, Node, reachable
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.ir.ops import OPS, ArrayRule, Op
from fdif_dsl.compiler.passes.rates import split

Value = Any  # a number or an array of the backend's module
ARRAY: Callable[[Op], ArrayRule] = attrgetter("array")


@dataclass(frozen=True)
class Schedule:
    """Nodes to evaluate, operands first.

    `missing` are random quantities that are needed, not given, and have no drawn numbers to come
    from. `reductions` tells whether the grid has to be scanned, `grid` whether it is needed at all.
    """

    order: tuple[Node, ...]
    missing: tuple[Quantity, ...]

    @property
    def reductions(self) -> tuple[Node, ...]:
        return tuple(n for n in self.order if n.op == REDUCTION)

    @property
    def needs_grid(self) -> bool:
        return any(n.op in ("grid", REDUCTION) for n in self.order)


def make_schedule(formula: Formula, roots: Sequence[Node], given: frozenset[int], *, drawn: bool = False) -> Schedule:
    """What to evaluate for `roots` when the slots `given` are known.

    With `drawn`, random quantities come from their priors (their `draw` leaves are bound);
    without, a random quantity that is needed and not given is `missing`.
    """
    definitions = formula.definitions
    order: dict[Node, None] = {}
    missing: dict[Quantity, None] = {}
    stack: list[tuple[Node, bool]] = [(r, False) for r in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if node in order:
            continue
        if ready:
            order[node] = None
            continue
        needs: tuple[Node, ...] = node.args
        if node.op == "slot" and node.const not in given:
            quantity, definition = definitions[node.const]
            if quantity.random and not drawn:
                missing[quantity] = None
                continue
            needs = (definition,)
        elif node.op == REDUCTION:
            # The reduced formula runs per voxel; only what it reads of the object is needed here.
            needs = split(node.args[0]).values
        stack.append((node, True))
        stack.extend((a, False) for a in needs)
    return Schedule(tuple(order), tuple(missing))


def run_schedule(
    formula: Formula,
    schedule: Schedule,
    slots: Mapping[int, Value],
    *,
    xp: Any = np,
    rule: Callable[[Op], ArrayRule] = ARRAY,
    grid: Grid | None = None,
    draws: Sequence[Value] = (),
    reduce: Callable[[Node, dict[Node, Value]], Value] | None = None,
    convert: Callable[[float], Value] = np.float64,
) -> dict[Node, Value]:
    """The value of each scheduled node.

    `rule` says which function of a row of the op table to use; `reduce(node, values)` evaluates a reduction over
    the grid; `convert` makes a leaf's number into a value of the backend.
    """
    definitions = formula.definitions
    values: dict[Node, Value] = {}
    for node in schedule.order:
        if node.op == "const":
            values[node] = _constant(node, convert)
        elif node.op == "samples":
            values[node] = node.const
        elif node.op == "slot":
            number = node.const
            values[node] = slots[number] if number in slots else values[definitions[number][1]]
        elif node.op == "grid":
            assert grid is not None, "the caller checks Schedule.needs_grid"
            values[node] = convert(grid.number(node.const))
        elif node.op == "draw":
            values[node] = draws[node.const]
        elif node.op == REDUCTION:
            assert reduce is not None, "the caller checks Schedule.reductions"
            values[node] = reduce(node, values)
        else:
            values[node] = rule(OPS[node.op])(xp, *(values[a] for a in node.args))
    return values


def run_voxels(result: Node, values: dict[Node, Value], inputs: Mapping[str, Value], *, xp: Any = np,
               rule: Callable[[Op], ArrayRule] = ARRAY, convert: Callable[[float], Value] = np.float64) -> Value:
    """The value of `result` at points: `values` holds the earlier stages, `inputs` the coordinates.

    Nodes of any rate that `values` lacks are computed here, so it serves every array backend.
    """
    known = dict(values)
    for node in reachable([result], known.__contains__):
        if node in known:
            continue
        if node.op == "input":
            known[node] = inputs[node.const]
        elif node.op == "const":
            known[node] = _constant(node, convert)
        elif node.op == "samples":
            known[node] = node.const
        elif node.op in LEAVES or node.op == REDUCTION:
            raise AssertionError(f"{node} was not scheduled")
        else:
            known[node] = rule(OPS[node.op])(xp, *(known[a] for a in node.args))
    return known[result]


def _constant(node: Node, convert: Callable[[float], Value]) -> Value:
    if node.type == "f":
        return convert(node.const)
    # The backend's own kind of truth value: `~True` of Python's would be -2.
    return convert(1.0) == convert(float(node.const))
