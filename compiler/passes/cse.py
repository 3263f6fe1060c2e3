"""Common subexpressions: hash-consing shares equal nodes, this pass makes more of them equal.

Operands of a commutative op are put in one order, so that a + b and b + a become one node.
"""

from __future__ import annotations

from fdif_dsl.compiler.ir.graph import LEAVES, Graph, Node, reachable
from fdif_dsl.compiler.ir.ops import OPS


def cse(graph: Graph, roots: list[Node]) -> list[Node]:
    new: dict[Node, Node] = {}
    for node in reachable(roots):
        args = tuple(new[a] for a in node.args)
        if node.op in OPS and OPS[node.op].commutes:
            args = tuple(sorted(args, key=lambda a: (a.op == "const", a.number)))
        new[node] = node if node.op in LEAVES else graph.node(node.op, *args, const=node.const)
    return [new[r] for r in roots]
