"""Passes over the graph, one a file. Each is a function of nodes; none knows a shape."""

from __future__ import annotations

from collections.abc import Callable

from fdif_dsl.compiler.ir.graph import Graph, Node
from fdif_dsl.compiler.passes.cse import cse
from fdif_dsl.compiler.passes.simplify import simplify

Pass = Callable[[Graph, list[Node]], list[Node]]

# In the order in which they run.
PASSES: dict[str, Pass] = {"simplify": simplify, "cse": cse}


def optimise(graph: Graph, roots: list[Node]) -> list[Node]:
    """The roots after every pass."""
    for run in PASSES.values():
        roots = run(graph, roots)
    return roots
