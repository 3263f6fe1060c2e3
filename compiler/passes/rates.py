"""Rates: the earliest moment at which each node can be computed.

    constant < grid < object < axis < voxel

A number of the grid is known before any object, an edge length once per object, `sin(40 * p.x)` in
world coordinates once per index of one axis, a distance once per voxel. Joining two different axes
gives a voxel.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from fdif_dsl.compiler.ir.graph import LEAVES, REDUCTION, Node, one_evaluation


class Rate(IntEnum):
    CONSTANT = 0
    GRID = 1
    OBJECT = 2
    AXIS_X = 3
    AXIS_Y = 4
    AXIS_Z = 5
    VOXEL = 6

    def __str__(self) -> str:
        return self.name.lower().replace("_", " ")


AXES = (Rate.AXIS_X, Rate.AXIS_Y, Rate.AXIS_Z)
_WORLD = {"w.x": Rate.AXIS_X, "w.y": Rate.AXIS_Y, "w.z": Rate.AXIS_Z}


def join(rates: Iterable[Rate]) -> Rate:
    """The rate of an operation on operands of these rates."""
    out = Rate.CONSTANT
    for rate in rates:
        out = Rate.VOXEL if rate in AXES and out in AXES and rate is not out else max(out, rate)
    return out


def node_rate(node: Node, of: dict[Node, Rate]) -> Rate:
    """The rate of one node, given its operands' rates."""
    if node.op in ("const", "samples"):
        return Rate.CONSTANT
    if node.op == "grid":
        return Rate.GRID
    if node.op in ("slot", "draw", REDUCTION):
        return Rate.OBJECT
    if node.op == "input":
        return _WORLD.get(node.const, Rate.VOXEL)
    return join(of[a] for a in node.args)


def infer_rates(nodes: Iterable[Node]) -> dict[Node, Rate]:
    """The rate of each node; operands must come before users (as `ir.reachable` gives them)."""
    of: dict[Node, Rate] = {}
    for node in nodes:
        of[node] = node_rate(node, of)
    return of


@dataclass(frozen=True)
class Stages:
    """A formula cut by rate.

    `voxel` are the operations left in the voxel loop, operands first. `values` are what the loop
    reads of the earlier stages: per object (or grid), and per index of each axis. Constants are
    literals in the loop and appear in neither.
    """

    voxel: tuple[Node, ...]
    values: tuple[Node, ...]
    axis_values: tuple[tuple[Node, ...], tuple[Node, ...], tuple[Node, ...]]


def split(*results: Node, world_is_axis: bool = True) -> Stages:
    """Cut the formula of the results by rate. With `world_is_axis` false, points are not on a grid, so
    that world coordinates count as voxel rate."""
    order = one_evaluation(*results)
    of: dict[Node, Rate] = {}
    for node in order:
        rate = node_rate(node, of)
        of[node] = Rate.VOXEL if rate in AXES and not world_is_axis else rate
    voxel = [n for n in order if of[n] is Rate.VOXEL and n.op not in LEAVES]
    used: dict[Node, None] = {}
    for node in voxel:
        used.update(dict.fromkeys(node.args))
    used.update(dict.fromkeys(r for r in results if of[r] is not Rate.VOXEL or r.op in LEAVES))
    values = tuple(n for n in used if of[n] in (Rate.GRID, Rate.OBJECT))
    axis = [tuple(n for n in used if of[n] is a) for a in AXES]
    return Stages(tuple(voxel), values, (axis[0], axis[1], axis[2]))
