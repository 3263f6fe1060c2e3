"""The intermediate representation: hash-consed scalar nodes `(op, args, const)`.

A node is made by a `Graph`, which returns the same object for the same content, so equal
subexpressions are one node and identity is equality. A node's number grows from operands to
users: sorting by number is a topological order, and no pass needs recursion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fdif_dsl.compiler.ir.ops import OPS

# Leaves, with what `const` holds:
#   const  a number (float) or a truth value (bool)
#   input  "p.x" "p.y" "p.z"  the point in the object's coordinates (shapes, mappers)
#          "w.x" "w.y" "w.z"  the point in world coordinates (displacements, mappers)
#          "d"                the distance (mappers)
#          "p.x.lo" "p.x.hi" ...  the ends of an input over a box (bounds, see passes/intervals.py)
#   grid   "size.x" "limit.x" ..., "min": numbers of the sampling grid, in voxels
#   slot   number of one scalar of a named quantity (see formula.Quantity)
#   draw   number of one uniform random number in [0, 1)
#   samples  the key of a field's samples, for the op `field` (see fields.py)
# and one reduction, which is no scalar op because it ranges over the grid:
#   grid_min(x)  the least value of x over all voxels of the grid
LEAVES = ("const", "input", "grid", "slot", "draw", "samples")
REDUCTION = "grid_min"


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Node:
    """One operation. Compare with `is`; made by `Graph` only."""

    number: int
    op: str
    args: tuple[Node, ...]
    const: Any = None

    @property
    def type(self) -> str:
        """`f` for a real number, `b` for a truth value, `s` for the samples of a field."""
        if self.op in OPS:
            return OPS[self.op].result
        if self.op == "samples":
            return "s"
        return "b" if isinstance(self.const, bool) else "f"

    def __str__(self) -> str:
        if self.op == "const":
            return repr(self.const) if isinstance(self.const, bool) else f"{self.const:.9g}"
        if self.op in LEAVES:
            return f"{self.op}[{self.const}]"
        return f"{self.op}({', '.join(_name(a) for a in self.args)})"

    __repr__ = __str__  # one line: spelt out, shared operands would grow without end


def _name(node: Node) -> str:
    return str(node) if node.op in LEAVES else f"%{node.number}"


def _content(op: str, args: tuple[Node, ...], const: Any) -> tuple[Any, ...]:
    # repr tells 0.0 from -0.0 and 1 from True, and makes every NaN the same.
    return op, *(a.number for a in args), type(const), repr(const)


@dataclass(eq=False)
class Graph:
    """The maker of nodes: one object for one content."""

    _nodes: dict[tuple[Any, ...], Node] = field(default_factory=dict)
    _next: int = 0

    @classmethod
    def of(cls, roots: Iterable[Node]) -> Graph:
        """A graph that goes on from what another one made: what equals a node of `roots` is that node."""
        graph = cls()
        for node in reachable(roots):
            graph._nodes[_content(node.op, node.args, node.const)] = node
            graph._next = node.number + 1
        return graph

    def __len__(self) -> int:
        return len(self._nodes)

    def node(self, op: str, *args: Node, const: Any = None) -> Node:
        key = _content(op, args, const)
        found = self._nodes.get(key)
        if found is None:
            found = self._nodes[key] = Node(self._next, op, args, const)
            self._next += 1
        return found

    def number(self, value: float) -> Node:
        return self.node("const", const=float(value))

    def truth(self, value: bool) -> Node:
        return self.node("const", const=bool(value))


def reachable(roots: Iterable[Node], stop: Callable[[Node], bool] = lambda node: False) -> list[Node]:
    """Every node that the roots use, operands before users. Operands of a node that `stop` accepts
    are not followed."""
    seen: dict[int, Node] = {}
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node.number not in seen:
            seen[node.number] = node
            if not stop(node):
                stack.extend(node.args)
    return [seen[n] for n in sorted(seen)]


def fields_of(roots: Iterable[Node]) -> list[str]:
    """The keys of the fields that formulas read, each once."""
    return list(dict.fromkeys(node.const for node in reachable(roots) if node.op == "samples"))


def one_evaluation(*roots: Node) -> list[Node]:
    """The nodes of one evaluation of the roots: what a reduction ranges over is not part of it."""
    return reachable(roots, lambda node: node.op == REDUCTION)


def rebuild(graph: Graph, roots: Sequence[Node], replace: dict[Node, Node]) -> list[Node]:
    """The roots with each node of `replace` exchanged; new nodes are made by `graph`."""
    new: dict[Node, Node] = {}
    for node in reachable(roots):
        if node in replace:
            new[node] = replace[node]
        elif node.args:
            new[node] = graph.node(node.op, *(new[a] for a in node.args), const=node.const)
        else:
            new[node] = graph.node(node.op, const=node.const)
    return [new[r] for r in roots]


def to_text(roots: dict[str, Node]) -> str:
    """The graph as readable text, one operation a line, roots named at the end."""
    lines = [f"  %{n.number} = {n}" for n in reachable(roots.values()) if n.op not in LEAVES]
    lines += [f"  {name} = {_name(node)}" for name, node in roots.items()]
    return "\n".join(lines)
