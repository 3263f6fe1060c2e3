"""What is computed once an object, as straight-line float64 statements, for whatever target compiles them.

Definitions of quantities that are not given are part of the statements. What is left of the leaves are inputs: slots
that are given, numbers of the grid, draws, and reductions, as a kernel cannot scan.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from fdif_dsl.compiler.backends.field_constants import field_name
from fdif_dsl.compiler.ir.formula import Formula, Quantity
from fdif_dsl.compiler.ir.graph import REDUCTION, Graph, Node, reachable
from fdif_dsl.compiler.ir.ops import OPS

Input = tuple[str, int | str | Node]
"""What an input is: ("slot", number), ("grid", name), ("draw", number), or ("reduction", node)."""

# Functions where the table has conditional expressions, which would become branches.
_SPELLING = {"min": "least({0}, {1})", "max": "most({0}, {1})", "where": "select({0}, {1}, {2})",
             "atan2": "atan2({0}, {1} + 0.0)",  # -0 + 0 is 0: the zero vector has one angle
             "sign": "select({0} > 0.0, 1.0, select({0} < 0.0, -1.0, 0.0))"}
# An expression that is longer becomes a statement: enough to spare most, and readable.
_LONGEST = 100
_CALL = re.compile(r"[a-z0-9_]+\(.*\)")


class Closed(NamedTuple):
    """Roots in a graph of their own, where equal terms of different definitions are one node; what each of its input
    leaves is, in order of use; and the random quantities that are needed and not known."""

    roots: list[Node]
    inputs: dict[Node, Input]
    missing: dict[Quantity, None]


def close(formula: Formula, roots: Sequence[Node], given: frozenset[int], *, drawn: bool = False) -> Closed:
    """The roots, nodes of object rate or earlier, when the slots `given` are known. With `drawn`, random quantities
    come from their priors."""
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
    return Closed([new[root] for root in roots], inputs, missing)


def statements(roots: Sequence[Node], places: Mapping[Node, str], store: Callable[[int, str], str]) -> list[str]:
    """The statements; `places` says where each input stands, `store(k, value)` is the one that stores root k, a truth
    value as 1 or 0. A term that is used once is written where it is used, as each statement costs time to compile."""
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
        if node.op == "samples":
            words[node] = field_name(node.const)
            continue
        text = places[node] if node in places else _template(node).format(*(words[a] for a in node.args))
        if uses[node] > 1 or len(text) > _LONGEST:
            name = f"v{len(lines)}"
            lines.append(f"{name} = {text}")
            words[node] = bare[node] = name
        else:
            atomic = node in places or _CALL.fullmatch(_template(node))
            words[node], bare[node] = text if atomic else f"({text})", text
    lines += [store(k, bare[root] if root.type == "f" else f"select({bare[root]}, 1.0, 0.0)")
              for k, root in enumerate(roots)]
    return lines


def imported(lines: Sequence[str]) -> list[str]:
    """The functions and constants that statements use, in alphabetical order."""
    return sorted(set(re.findall(r"\b[a-z][a-z0-9_]*(?=\()|\bINF\b|\bNAN\b", "\n".join(lines))))


def _template(node: Node) -> str:
    return _SPELLING.get(node.op, OPS[node.op].scalar)


def _literal(value: float) -> str:
    text = "NAN" if math.isnan(value) else repr(value).replace("inf", "INF")
    return f"({text})" if text.startswith("-") else text
