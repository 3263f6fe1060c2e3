"""Formula to straight-line float32 statements of readable Python, for whatever target compiles them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import numpy as np

from fdif_dsl.compiler.backends.field_constants import field_constants, field_name
from fdif_dsl.compiler.ir.graph import Node
from fdif_dsl.compiler.ir.ops import OPS
from fdif_dsl.compiler.passes.rates import Stages
from fdif_dsl.compiler.passes.schedule import run_voxels

# The table spells these as conditional expressions, which numba turns into branches: the loop is the
# same after optimisation, but compiling it takes half as long again.
_SPELLING = {"min": "least({0}, {1})", "max": "most({0}, {1})", "where": "select({0}, {1}, {2})"}
_LARGEST_UNROLLED_POWER = 16

# What an input is called.
NAMES = {"d": "t"}
for _axis in "xyz":
    for _space in "pw":
        NAMES[f"{_space}.{_axis}"] = _axis
        NAMES[f"{_space}.{_axis}.lo"] = f"{_axis}_low"
        NAMES[f"{_space}.{_axis}.hi"] = f"{_axis}_high"


SEEN = {**NAMES, **{f"w.{_axis}{end}": f"w{NAMES[f'w.{_axis}{end}']}" for _axis in "xyz" for end in ("", ".lo", ".hi")},
        "d": "d", "d.lo": "d_low", "d.hi": "d_high"}
"""The same in a mapper that sees the point, which it may do in both coordinates."""
ROWS = ("p.x", "p.y", "p.z", "w.x", "w.y", "w.z", "d")
"""What such a mapper is given, in this order."""


class Statements:
    """The statements of one function. Names are given in the order of use, so that the text does not depend on how
    the graph was numbered.

    `values` are the statements that fetch what was computed earlier, `lines` those that compute. Functions of one
    module share the names of its constants, `literals`. `names` says what inputs are called.
    """

    def __init__(self, literals: dict[str, str] | None = None, names: Mapping[str, str] = NAMES) -> None:
        self.values: list[str] = []
        self.lines: list[str] = []
        self._names: dict[Node, str] = {}
        self._inputs = names
        self.literals = {} if literals is None else literals
        self._temporaries = 0

    def load(self, lines: list[str], node: Node, name: str, place: str) -> None:
        """Fetch a number that stands at `place`; a truth value is stored as 1 or 0."""
        lines.append(f"{name} = {place}" if node.type == "f" else f"{name} = {place} != {self._literal(0.0)}")
        self._names[node] = name

    def load_values(self, stages: Stages, place: str) -> None:
        """Fetch what the stages read of the object; `place` has a hole for the number of each."""
        for k, node in enumerate(stages.values):
            self.load(self.values, node, f"f{k}", place.format(k))

    def compute(self, stages: Stages) -> None:
        for node in stages.voxel:
            arguments = [self.operand(a) for a in node.args]
            self._names[node] = self._assign(self._expression(node, arguments))

    def operand(self, node: Node) -> str:
        """How a node is written where it is used."""
        if node.op == "const":
            return repr(node.const) if node.type == "b" else self._literal(node.const)
        if node.op == "samples":
            return field_name(node.const)
        if node.op == "input" and node not in self._names:
            self._names[node] = self.input(node.const)
        if node not in self._names:  # operations on constants alone, where no pass has folded them
            with np.errstate(all="ignore"):
                value = run_voxels(node, {}, {})
            self._names[node] = repr(bool(value)) if node.type == "b" else self._literal(float(value))
        return self._names[node]

    def input(self, name: str) -> str:
        """What an input is called, when it is first used."""
        return self._inputs[name]

    def _assign(self, value: str) -> str:
        name = f"v{self._temporaries}"
        self._temporaries += 1
        self.lines.append(f"{name} = {value}")
        return name

    def _literal(self, value: float) -> str:
        """A name for a float32 constant: as a module constant it needs no typing at each use."""
        with np.errstate(over="ignore"):
            text = str(np.float32(value))
        return self.literals.setdefault(text, f"C{len(self.literals)}")

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


def constants(literals: dict[str, str], *used_in: str) -> list[str]:
    """The definitions of those module constants that statements read: numbers, and fields."""
    read = set(re.findall(r"\bC\d+\b", "\n".join(used_in)))
    numbers = [f'{name} = f32("{text}")' for text, name in literals.items() if name in read]
    return numbers + field_constants(*used_in)


def called(*statements: str) -> list[str]:
    """The functions that statements call, in alphabetical order."""
    return sorted(set(re.findall(r"([a-z][a-z0-9_]*)\(", "\n".join(statements))))
