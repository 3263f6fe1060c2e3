"""What expressions stand for while a formula is elaborated, and arithmetic on them.

    int     a Python int (whole numbers are gone once a formula is closed)
    float   a Node of type f;  bool  a Node of type b
    vec2/3/4  a tuple of Nodes;  mat2/3 a Matrix;  array a list of values
    profile/shape  an Instance (see elaborate)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fdif_dsl.compiler.ir.graph import Graph, Node

Value = Any


@dataclass(frozen=True)
class Matrix:
    """A matrix, by its columns. It is never a quantity of an object: the vectors that it is made of may be."""

    columns: tuple[tuple[Node, ...], ...]


def as_node(g: Graph, value: Value) -> Node:
    """A whole number becomes a real one; a node stays as it is."""
    return value if isinstance(value, Node) else g.number(value)


def as_nodes(g: Graph, value: Value) -> Value:
    """The same of a number or a vector."""
    return value if isinstance(value, tuple) else as_node(g, value)


def components(value: Value) -> tuple[Value, ...]:
    """The components of a vector; a scalar is its own one."""
    return value if isinstance(value, tuple) else (value,)


def lift(g: Graph, f: Callable[..., Node], *args: Value) -> Value:
    """Apply a scalar function to scalars and vectors component by component; scalars are repeated."""
    width = max(len(components(a)) for a in args)
    rows = [[as_node(g, c) for c in components(a)] * (width // len(components(a))) for a in args]
    out = tuple(f(*column) for column in zip(*rows, strict=True))
    return out if width > 1 else out[0]


def apply(g: Graph, op: str, *args: Value) -> Value:
    """An op of the table on scalars and vectors."""
    return lift(g, lambda *nodes: g.node(op, *nodes), *args)


def total(g: Graph, values: list[Node]) -> Node:
    """The sum, from left to right; 0 of nothing."""
    out = values[0] if values else g.number(0)
    for value in values[1:]:
        out = g.node("add", out, value)
    return out
