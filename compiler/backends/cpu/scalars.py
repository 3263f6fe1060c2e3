"""What is computed once an object, as straight-line float64 code.

A scalar kernel has the C signature `(const double *given, double *out)`. Its numbers are those of
`schedule.run_schedule` on single numbers with the C library's functions, bit for bit, so that priors can be
drawn by one: see prelude64.py. Definitions of quantities that are not given are part of the kernel.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from fdif_dsl.compiler.backends.cpu.machine import Unit
from fdif_dsl.compiler.formula import Formula, Quantity
from fdif_dsl.compiler.ir import REDUCTION, Graph, Node, reachable
from fdif_dsl.compiler.ops import OPS

SIGNATURE = "dd"

Input = tuple[str, int | str | Node]
"""What one of the numbers given to a kernel is: ("slot", number), ("grid", name), ("draw", number), or
("reduction", node)."""

# Functions where the table has conditional expressions, which would become branches.
_SPELLING = {"min": "least({0}, {1})", "max": "most({0}, {1})", "where": "select({0}, {1}, {2})",
             "sign": "select({0} > 0.0, 1.0, select({0} < 0.0, -1.0, 0.0))"}
# An expression that is longer becomes a statement: enough to spare most, and readable.
_LONGEST = 100
_CALL = re.compile(r"[a-z0-9]+\(.*\)")


@dataclass(frozen=True)
class ScalarKernel:
    """A scalar kernel before compilation.

    `inputs` says what its argument `given` holds, in order; `out` gets one number for each root, and 1 or 0
    for a truth value. `missing` are random quantities that are needed, not given, and not drawn: no number
    can stand for them, so the kernel is of no use then.
    """

    source: str
    inputs: tuple[Input, ...]
    outputs: int
    missing: tuple[Quantity, ...] = ()

    @cached_property
    def name(self) -> str:
        return f"scalars_{hashlib.sha256(self.source.encode()).hexdigest()[:24]}"

    @cached_property
    def unit(self) -> Unit:
        return Unit(self.name, self.source, "kernel", SIGNATURE)


def scalar_kernel(formula: Formula, roots: Sequence[Node], given: frozenset[int], *,
                  drawn: bool = False) -> ScalarKernel:
    """The kernel of `roots`, nodes of object rate or earlier, when the slots `given` are known.

    With `drawn`, random quantities come from their priors. The least value of a field over the grid is an
    input, as a kernel cannot scan.
    """
    closed, inputs, missing = _close(formula, roots, given, drawn)
    return ScalarKernel(_text(closed, inputs), tuple(inputs.values()), len(closed), tuple(missing))


def _close(formula: Formula, roots: Sequence[Node], given: frozenset[int],
           drawn: bool) -> tuple[list[Node], dict[Node, Input], dict[Quantity, None]]:
    """The roots in a graph of their own, where equal terms of different definitions are one node; what each
    of its input leaves is, in order of use; and the quantities that are missing."""
    graph, new = Graph(), dict[Node, Node]()
    inputs: dict[Node, Input] = {}
    missing: dict[Quantity, None] = {}
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if node in new:
            continue
        if node.op == "slot" and node.const not in given:
            quantity, definition = formula.definitions[node.const]
            if drawn or not quantity.random:
                if definition in new:
                    new[node] = new[definition]
                else:
                    stack += [(node, False), (definition, False)]
                continue
            missing[quantity] = None
        if node.op in ("slot", "grid", "draw", REDUCTION):
            # By number, as a node's text is not its own.
            new[node] = graph.node("input", const=(node.op, node.number if node.op == REDUCTION else node.const))
            inputs[new[node]] = ("reduction", node) if node.op == REDUCTION else (node.op, node.const)
        elif node.op == "input":
            raise ValueError(f"{node} is not known before the voxel")
        elif ready or not node.args:
            new[node] = graph.node(node.op, *(new[a] for a in node.args), const=node.const)
        else:
            stack.append((node, True))
            stack.extend((a, False) for a in reversed(node.args))
    return [new[root] for root in roots], inputs, missing


def _text(roots: Sequence[Node], inputs: dict[Node, Input]) -> str:
    """The module. A term that is used once is written where it is used, as each statement costs time to compile."""
    places = {node: f"given[{k}]" for k, node in enumerate(inputs)}
    order = reachable(roots)
    uses = Counter(roots)
    for node in order:
        for k, operand in enumerate(node.args):
            uses[operand] += _template(node).count(f"{{{k}}}")
    words: dict[Node, str] = {}  # how a node is written as an operand
    bare: dict[Node, str] = {}  # and on its own
    lines: list[str] = []
    for node in order:
        if node.op == "const":
            words[node] = bare[node] = repr(node.const) if node.type == "b" else _literal(node.const)
            continue
        text = places[node] if node in places else _template(node).format(*(words[a] for a in node.args))
        if uses[node] > 1 or len(text) > _LONGEST:
            name = f"v{len(lines)}"
            lines.append(f"{name} = {text}")
            words[node] = bare[node] = name
        else:
            atomic = node in places or _CALL.fullmatch(_template(node))
            words[node], bare[node] = text if atomic else f"({text})", text
    lines += [f"out[{k}] = " + (bare[root] if root.type == "f" else f"select({bare[root]}, 1.0, 0.0)")
              for k, root in enumerate(roots)]
    imported = sorted(set(re.findall(r"\b[a-z][a-z0-9]*(?=\()|\bINF\b|\bNAN\b", "\n".join(lines))))
    head = ["# Generated by fdif_dsl.compiler.backends.cpu.scalars."]
    head += [f"from fdif_dsl.compiler.backends.cpu.prelude64 import {', '.join(imported)}"] if imported else []
    return "\n".join([*head, "", "", "def kernel(given, out):", *(f"    {line}" for line in lines or ["pass"])]) + "\n"


def _template(node: Node) -> str:
    return _SPELLING.get(node.op, OPS[node.op].scalar)


def _literal(value: float) -> str:
    text = "NAN" if math.isnan(value) else repr(value).replace("inf", "INF")
    return f"({text})" if text.startswith("-") else text
