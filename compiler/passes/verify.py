"""The check that a graph is well formed; tests and `--explain` run it after every pass."""

from __future__ import annotations

from collections.abc import Sequence

from fdif_dsl.compiler.ir.graph import LEAVES, REDUCTION, Node, reachable
from fdif_dsl.compiler.ir.ops import OPS


def verify(roots: Sequence[Node]) -> None:
    """Raises AssertionError if an op is unknown, has wrong operands, or stands before one of them."""
    for node in reachable(roots):
        if node.op in LEAVES:
            assert not node.args, f"{node} is a leaf with operands"
        elif node.op == REDUCTION:
            assert [a.type for a in node.args] == ["f"], f"{node} wants one number"
        else:
            assert node.op in OPS, f"{node.op} is not in the table"
            wanted = list(OPS[node.op].operands)
            assert [a.type for a in node.args] == wanted, f"{node} wants operands {wanted}"
        assert all(a.number < node.number for a in node.args), f"{node} stands before an operand"
