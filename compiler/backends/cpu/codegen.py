"""Formula to kernel source: one straight-line float32 loop of readable Python.

A kernel has one of seven kinds, each with a fixed signature (pointers to float32, n int64):

    points  (x, y, z, f, out, n)      out[i] = value at point i: distances in object coordinates,
                                      offsets in world coordinates, fields that are reduced
    bounds  (xl, xh, yl, yh, zl, zh,  low[i], high[i] = bounds of the same in box i, from xl[i] to xh[i]
             f, low, high, n)         and so on; NaN where nothing is known
    tile    (t, f, out, n)            out[i] += offset of voxel i of a tile; `t` has n numbers for each
                                      value of the x axis, then of y, then of z
    axis    (w, f, out, n)            out[i], out[n + i], ... = those values at world coordinate w[i] of one axis
    mapper  (d, f, out, n)            out[i] = intensity of distance d[i]
    shader  (t, f, out, n)            out[i] = intensity at voxel i, of a mapper that sees the point; `t` has n numbers
                                      for each of `ROWS`
    range   (t, f, low, high, n)      low[i], high[i] = bounds of the intensity in box i; `t` has n numbers for the
                                      lower and n for the upper end of each of `ROWS`

`f` holds the values of the earlier stages, computed once an object. A kernel is named by its kind and
its text, so equal texts are one kernel and no name of a user's file reaches generated code.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from fdif_dsl.compiler.backends.statements import NAMES, ROWS, SEEN, Statements, called, constants
from fdif_dsl.compiler.backends.store.unit import Unit
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.graph import REDUCTION, Graph, Node, one_evaluation, reachable
from fdif_dsl.compiler.passes.intervals import NO_NAN, bounds
from fdif_dsl.compiler.passes.rates import AXES, Stages, infer_rates, split

KernelKind = Literal["points", "bounds", "tile", "axis", "mapper", "shader", "range"]

# f: float32*, n: int64 (machine.py knows the letters)
SIGNATURES: dict[KernelKind, str] = {
    "points": "fffffn", "bounds": "fffffffffn", "tile": "fffn", "axis": "fffn", "mapper": "fffn",
    "shader": "fffn", "range": "ffffn"}
_PARAMETERS: dict[KernelKind, str] = {
    "points": "px, py, pz, f, out, n", "bounds": "xl, xh, yl, yh, zl, zh, f, low, high, n",
    "tile": "t, f, out, n", "axis": "w, f, out, n",
    "mapper": "d, f, out, n", "shader": "t, f, out, n", "range": "t, f, low, high, n"}
# Where an input is read from.
_ARRAYS = {"d": "d"}
for _axis in "xyz":
    for _space in "pw":
        _ARRAYS[f"{_space}.{_axis}"] = f"p{_axis}"
        _ARRAYS[f"{_space}.{_axis}.lo"] = f"{_axis}l"
        _ARRAYS[f"{_space}.{_axis}.hi"] = f"{_axis}h"

# Operations that take more than a hundred instructions.
DEAR = frozenset({"noise", "cell_nearest", "cell_second"})


# The row of each input of a shader, and of each end of one in a range kernel.
_PLACES = {name: k for k, name in enumerate(ROWS)} | {
    f"{name}.{end}": 2 * k + (end == "hi") for k, name in enumerate(ROWS) for end in ("lo", "hi")}


@dataclass(frozen=True)
class Kernel:
    """A kernel before compilation.

    `values` are the nodes whose numbers the array `f` holds, in order; `axis_values` the nodes of the
    tables of a tile kernel, which is `dear` where it is better computed at few voxels than from many tables. A truth
    value is stored as 1 or 0.
    """

    kind: KernelKind
    source: str
    values: tuple[Node, ...]
    axis_values: tuple[tuple[Node, ...], tuple[Node, ...], tuple[Node, ...]] = ((), (), ())
    dear: bool = False

    @cached_property
    def name(self) -> str:
        return f"{self.kind}_{hashlib.sha256(self.source.encode()).hexdigest()[:24]}"

    @property
    def unit(self) -> Unit:
        """What is to be compiled."""
        return Unit(self.name, self.source, "kernel", SIGNATURES[self.kind])


def points_kernel(result: Node) -> Kernel:
    """`result` at points that may lie anywhere."""
    stages = split(result, world_is_axis=False)
    return Kernel("points", _Writer("points", {"out[i] = {}": result}, stages).text(), stages.values)


def bounds_kernel(result: Node, *, both: bool = True) -> Kernel:
    """Bounds of `result` in boxes; only the lower ones unless `both`."""
    # In the formula's own graph, what belongs to the object is the same node for both kernels.
    ends = bounds(Graph.of([result]), result)[: 2 if both else 1]
    stages = split(*ends, world_is_axis=False)
    stores = dict(zip(("low[i] = {}", "high[i] = {}"), ends, strict=False))
    return Kernel("bounds", _Writer("bounds", stores, stages).text(), stages.values)


def tile_kernel(result: Node) -> Kernel:
    """The displacement `result` on tiles of a grid."""
    stages = split(result)
    dear = any(node.op in DEAR for node in stages.voxel)
    if dear:
        stages = _of_coordinates(result)
    return Kernel("tile", _Writer("tile", {"out[i] = out[i] + {}": result}, stages).text(), stages.values,
                  stages.axis_values, dear)


def _of_coordinates(result: Node) -> Stages:
    """Where the loop reads one number of each axis that it knows: the coordinate, or what all else is made of it."""
    order = one_evaluation(result)
    rates = infer_rates(order)
    users: dict[Node, list[Node]] = {}
    for node in order:
        for operand in dict.fromkeys(node.args):
            users.setdefault(operand, []).append(node)
    read: list[tuple[Node, ...]] = [(), (), ()]
    known = set()
    for node in order:
        if node.op == "input":
            while len(users.get(node, ())) == 1 and rates[users[node][0]] is rates[node]:
                known.add(node := users[node][0])
            read[AXES.index(rates[node])] = (node,)
    stages = split(result, world_is_axis=False)
    voxel = tuple(node for node in stages.voxel if node not in known)
    used = {operand for node in voxel for operand in node.args}
    return Stages(voxel, tuple(node for node in stages.values if node in used), (read[0], read[1], read[2]))


def axis_kernels(tile: Kernel) -> tuple[Kernel, ...]:
    """What works out the tables of a tile kernel, for those axes that it reads."""
    made = []
    for nodes in filter(None, tile.axis_values):
        stages = split(*nodes, world_is_axis=False)
        stores = {f"out[{k} * n + i] = {{}}" if k else "out[i] = {}": node for k, node in enumerate(nodes)}
        made.append(Kernel("axis", _Writer("axis", stores, stages).text(), stages.values))
    return tuple(made)


def mapper_kernel(result: Node) -> Kernel:
    """The mapper `result` at distances."""
    stages = split(result)
    return Kernel("mapper", _Writer("mapper", {"out[i] = {}": result}, stages).text(), stages.values)


def shader_kernel(result: Node) -> Kernel:
    """The mapper `result`, which sees the point, at voxels."""
    stages = split(result, world_is_axis=False)
    return Kernel("shader", _Writer("shader", {"out[i] = {}": result}, stages).text(), stages.values)


def range_kernel(result: Node) -> Kernel:
    """Bounds of the mapper `result` in boxes, also where the distance is infinite. They hold where the numbers of the
    object are of a magnitude up to `LIMIT`."""
    ends = bounds(Graph.of([result]), result, NO_NAN)
    stages = split(*ends, world_is_axis=False)
    stores = dict(zip(("low[i] = {}", "high[i] = {}"), ends, strict=True))
    return Kernel("range", _Writer("range", stores, stages).text(), stages.values)


def reductions_of(formula: Formula) -> list[Node]:
    """The reductions that the formula or one of its definitions uses."""
    roots = [formula.result, *(node for q in formula.quantities for node in q.definition)]
    return [node for node in reachable(roots) if node.op == REDUCTION]


class _Writer(Statements):
    """Writes one kernel."""

    def __init__(self, kind: KernelKind, stores: dict[str, Node], stages: Stages) -> None:
        """`stores` has a statement with a place for the value, and the node that it stores."""
        super().__init__()
        self._kind = kind
        self._stores = stores
        self._stages = stages
        self._reads: list[str] = []  # first in the loop

    def text(self) -> str:
        self.load_values(self._stages, "f[{}]")
        if self._kind == "tile":
            for k, node in enumerate(n for axis in self._stages.axis_values for n in axis):
                self.load(self._reads, node, f"t{k}", f"t[{k} * n + i]" if k else "t[i]")
        self.compute(self._stages)
        self.lines += [store.format(self.operand(node)) for store, node in self._stores.items()]
        defined = constants(self.literals, *self.values, *self._reads, *self.lines)
        imported = sorted({*called(*self.lines, *defined), "f32"})
        lines = ["# Generated by fdif_dsl.compiler.backends.cpu.codegen."]
        lines += ["from fdif_dsl.compiler.backends.cpu.prelude import " + ", ".join(imported)]
        lines += ["", *defined] if defined else []
        lines += ["", "", f"def kernel({_PARAMETERS[self._kind]}):"]
        lines += [f"    {line}" for line in self.values]
        lines += ["    for i in range(n):"]
        lines += [f"        {line}" for line in (*self._reads, *self.lines)]
        return "\n".join(lines) + "\n"

    def input(self, name: str) -> str:
        if self._kind in ("shader", "range"):
            self._reads.append(f"{SEEN[name]} = t[{_PLACES[name]} * n + i]")
            return SEEN[name]
        self._reads.append(f"{NAMES[name]} = {'w' if self._kind == 'axis' else _ARRAYS[name]}[i]")
        return NAMES[name]
