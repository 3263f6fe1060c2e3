"""Formula to kernel source: one straight-line float32 loop of readable Python.

A kernel has one of four kinds, each with a fixed signature (pointers to float32, n int64):

    points  (x, y, z, f, out, n)      out[i] = value at point i: distances in object coordinates,
                                      offsets in world coordinates, fields that are reduced
    bounds  (xl, xh, yl, yh, zl, zh,  low[i], high[i] = bounds of the same in box i, from xl[i] to xh[i]
             f, low, high, n)         and so on; NaN where nothing is known
    tile    (t, f, out, n)            out[i] += offset of voxel i of a tile; `t` has n numbers for each
                                      value of the x axis, then of y, then of z
    mapper  (d, f, out, n)            out[i] = intensity of distance d[i]

`f` holds the values of the earlier stages, computed once an object. A kernel is named by its kind and
its text, so equal texts are one kernel and no name of a user's file reaches generated code.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from fdif_dsl.compiler.formula import Formula
from fdif_dsl.compiler.ir import REDUCTION, Graph, Node, reachable
from fdif_dsl.compiler.ops import OPS
from fdif_dsl.compiler.passes.intervals import bounds
from fdif_dsl.compiler.passes.rates import Stages, split
from fdif_dsl.compiler.schedule import run_voxels

KernelKind = Literal["points", "bounds", "tile", "mapper"]

# f: float32*, n: int64 (machine.py knows the letters)
SIGNATURES: dict[KernelKind, str] = {
    "points": "fffffn", "bounds": "fffffffffn", "tile": "fffn", "mapper": "fffn"}
_PARAMETERS: dict[KernelKind, str] = {
    "points": "px, py, pz, f, out, n", "bounds": "xl, xh, yl, yh, zl, zh, f, low, high, n",
    "tile": "t, f, out, n", "mapper": "d, f, out, n"}
# Where an input is read from, and what it is called in the loop.
_INPUTS = {"d": ("d", "t")}
for _axis in "xyz":
    for _space in "pw":
        _INPUTS[f"{_space}.{_axis}"] = f"p{_axis}", _axis
        _INPUTS[f"{_space}.{_axis}.lo"] = f"{_axis}l", f"{_axis}_low"
        _INPUTS[f"{_space}.{_axis}.hi"] = f"{_axis}h", f"{_axis}_high"

# The table spells these as conditional expressions, which numba turns into branches: the loop is the
# same after optimisation, but compiling it takes half as long again.
_SPELLING = {"min": "least({0}, {1})", "max": "most({0}, {1})", "where": "select({0}, {1}, {2})"}
_LARGEST_UNROLLED_POWER = 16


@dataclass(frozen=True)
class Kernel:
    """A kernel before compilation.

    `values` are the nodes whose numbers the array `f` holds, in order; `axis_values` the nodes of the
    tables of a tile kernel. A truth value is stored as 1 or 0.
    """

    kind: KernelKind
    source: str
    values: tuple[Node, ...]
    axis_values: tuple[tuple[Node, ...], tuple[Node, ...], tuple[Node, ...]] = ((), (), ())

    @cached_property
    def name(self) -> str:
        return f"{self.kind}_{hashlib.sha256(self.source.encode()).hexdigest()[:24]}"


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
    return Kernel("tile", _Writer("tile", {"out[i] = out[i] + {}": result}, stages).text(), stages.values,
                  stages.axis_values)


def mapper_kernel(result: Node) -> Kernel:
    stages = split(result)
    return Kernel("mapper", _Writer("mapper", {"out[i] = {}": result}, stages).text(), stages.values)


def reductions_of(formula: Formula) -> list[Node]:
    """The reductions that the formula or one of its definitions uses."""
    roots = [formula.result, *(node for q in formula.quantities for node in q.definition)]
    return [node for node in reachable(roots) if node.op == REDUCTION]


class _Writer:
    """Writes one kernel. Names are given in the order of use, so that the text does not depend on
    how the graph was numbered."""

    def __init__(self, kind: KernelKind, stores: dict[str, Node], stages: Stages) -> None:
        """`stores` has a statement with a place for the value, and the node that it stores."""
        self._kind = kind
        self._stores = stores
        self._stages = stages
        self._names: dict[Node, str] = {}
        self._literals: dict[str, str] = {}
        self._before: list[str] = []  # before the loop
        self._inputs: list[str] = []  # first in the loop
        self._loop: list[str] = []
        self._temporaries = 0

    def text(self) -> str:
        for k, node in enumerate(self._stages.values):
            self._load(self._before, node, f"f{k}", f"f[{k}]")
        if self._kind == "tile":
            self._load_tables()
        for node in self._stages.voxel:
            arguments = [self._operand(a) for a in node.args]
            value = self._expression(node, arguments)
            self._names[node] = self._assign(value)
        self._loop += [store.format(self._operand(node)) for store, node in self._stores.items()]
        called = set(re.findall(r"([a-z][a-z0-9_]*)\(", "\n".join(self._loop)))
        read = set(re.findall(r"\bC\d+\b", "\n".join([*self._before, *self._inputs, *self._loop])))
        lines = ["# Generated by fdif_dsl.compiler.backends.cpu.codegen."]
        lines += ["from fdif_dsl.compiler.backends.cpu.prelude import " + ", ".join(sorted(called | {"f32"}))]
        constants = [f'{name} = f32("{text}")' for text, name in self._literals.items() if name in read]
        lines += ["", *constants] if constants else []
        lines += ["", "", f"def kernel({_PARAMETERS[self._kind]}):"]
        lines += [f"    {line}" for line in self._before]
        lines += ["    for i in range(n):"]
        lines += [f"        {line}" for line in (*self._inputs, *self._loop)]
        return "\n".join(lines) + "\n"

    def _load(self, lines: list[str], node: Node, name: str, place: str) -> None:
        lines.append(f"{name} = {place}" if node.type == "f" else f"{name} = {place} != {self._literal(0.0)}")
        self._names[node] = name

    def _load_tables(self) -> None:
        for k, node in enumerate(n for axis in self._stages.axis_values for n in axis):
            self._load(self._inputs, node, f"t{k}", f"t[{k} * n + i]" if k else "t[i]")

    def _operand(self, node: Node) -> str:
        if node.op == "const":
            return repr(node.const) if node.type == "b" else self._literal(node.const)
        if node.op == "input" and node not in self._names:
            pointer, name = _INPUTS[node.const]
            self._inputs.append(f"{name} = {pointer}[i]")
            self._names[node] = name
        if node not in self._names:  # operations on constants alone, where no pass has folded them
            with np.errstate(all="ignore"):
                value = run_voxels(node, {}, {})
            self._names[node] = repr(bool(value)) if node.type == "b" else self._literal(float(value))
        return self._names[node]

    def _assign(self, value: str) -> str:
        name = f"v{self._temporaries}"
        self._temporaries += 1
        self._loop.append(f"{name} = {value}")
        return name

    def _literal(self, value: float) -> str:
        """A name for a float32 constant: as a module constant it needs no typing at each use."""
        with np.errstate(over="ignore"):
            text = str(np.float32(value))
        return self._literals.setdefault(text, f"C{len(self._literals)}")

    def _expression(self, node: Node, arguments: list[str]) -> str:
        if node.op == "pow":
            special = self._power(node, arguments)
            if special is not None:
                return special
        return _SPELLING.get(node.op, OPS[node.op].scalar).format(*arguments)

    def _power(self, node: Node, arguments: list[str]) -> str | None:
        """Powers with a constant whole exponent or a constant positive base, which need no libm."""
        base, exponent = node.args
        if exponent.op == "const":
            n = float(exponent.const)
            if n.is_integer() and abs(n) <= _LARGEST_UNROLLED_POWER:
                return self._whole_power(arguments[0], int(n))
        if base.op == "const" and 0 < base.const < math.inf:
            if base.const == 1:
                return self._literal(1.0)
            # log2 to more digits than a float32 has, in two parts.
            log2 = math.log2(base.const)
            high = float(np.float32(log2))
            return f"exp2_of_product({arguments[1]}, {self._literal(high)}, {self._literal(log2 - high)})"
        return None

    def _whole_power(self, x: str, n: int) -> str:
        if n < 0:
            return f"{self._literal(1.0)} / {self._assign(self._whole_power(x, -n))}"
        if n <= 1:
            return x if n else self._literal(1.0)
        half = self._whole_power(x, n // 2)
        if half != x:
            half = self._assign(half)
        square = f"{half} * {half}"
        return f"{self._assign(square)} * {x}" if n % 2 else square
